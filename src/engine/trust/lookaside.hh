// Where signatures of a registry's images are kept: registries.d. See containers-registries.d(5).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

struct SignaturePlace {
  std::string lookaside;     ///< a URL; empty: nowhere
  bool attachments = false;  ///< cosign's, in the registry itself
};

struct RegistriesD {
  std::optional<SignaturePlace> otherwise;   ///< default-docker
  std::map<std::string, SignaturePlace> of;  ///< by scope
  std::string file_of_otherwise;             ///< who said so, for errors
  std::map<std::string, std::string> file_of;
};

/// Adds one file. Errors name `file`: not YAML, unknown members, a scope that another file has too.
Result<Ok> merge_registries_d(RegistriesD& conf, std::string_view yaml, const std::string& file);

/// ~/.config/containers/registries.d, or else /etc/containers/registries.d.
Result<RegistriesD> read_registries_d();

/// The place for an image by its scopes, the most precise first; without any word of a file the built-in one: a folder
/// of the user's. Pure but for the environment.
SignaturePlace find_place(const RegistriesD& conf, const std::vector<std::string>& scopes);

/// The address of signature `number` (from 1) of a manifest: ".../org/app@sha256=<hex>/signature-1". Pure.
std::string signature_url(const std::string& lookaside, const std::string& reference, const std::string& digest,
                          int number);

}  // namespace moss::engine
