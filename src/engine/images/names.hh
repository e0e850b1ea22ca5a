// What a user's word for an image may mean.
#pragma once

#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

struct ImageName {
  std::string repository;  ///< "docker.io/library/alpine", or as short as it was given: "alpine"
  std::string tag;         ///< "latest" where neither tag nor digest was given
  std::string digest;      ///< "sha256:…" or empty; the tag is empty then
  bool is_short = false;   ///< names no registry

  /// ":latest" or "@sha256:…"
  std::string suffix() const;
};

/// Errors: not a name, in a user's words.
Result<ImageName> parse_image_name(const std::string& text);

/// The full names to look for in a local store, the likeliest first.
std::vector<std::string> local_candidates(const ImageName& name);

/// Whether it may be an image's id or the beginning of one: hexadecimal digits.
bool may_be_id(std::string_view text);

}  // namespace moss::engine
