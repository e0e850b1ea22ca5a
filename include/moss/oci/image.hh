// image-spec: descriptors, manifests, indexes and image configs, and Docker's schema 2 forms of them, which carry the
// same members under other media types.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/config.hh"

namespace moss::oci {

/// "sha256:<64 hex digits>", checked when it is made, so that it is safe in a path. descriptor.md "Digests".
/// Only sha256 and sha512 are digests here; anything else is an error.
class Digest {
 public:
  static Result<Digest> parse(std::string_view text);
  const std::string& text() const { return text_; }
  std::string_view algorithm() const { return std::string_view(text_).substr(0, text_.find(':')); }
  std::string_view hex() const { return std::string_view(text_).substr(text_.find(':') + 1); }
  auto operator<=>(const Digest&) const = default;

 private:
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// image-index.md "platform".
struct Platform {
  std::string architecture;  ///< Go's names: "amd64", "arm64", …
  std::string os;            ///< "linux"
  std::string variant;       ///< "v8", "v7", …
  std::string os_version;
  bool operator==(const Platform&) const = default;
};

/// descriptor.md.
struct Descriptor {
  std::string media_type;
  std::string digest;  ///< as written; Digest::parse before use in any path or URL
  int64_t size = 0;    ///< bytes; never negative after decoding
  std::vector<std::string> urls;
  Annotations annotations;
  std::optional<Platform> platform;
  std::string artifact_type;
};

/// manifest.md.
struct Manifest {
  int schema_version = 2;
  std::string media_type;
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  Annotations annotations;
};

/// image-index.md, also index.json of an image layout and Docker's manifest list.
struct Index {
  int schema_version = 2;
  std::string media_type;
  std::vector<Descriptor> manifests;
  Annotations annotations;
};

/// config.md "config": what a container made from the image starts with.
struct ImageRunConfig {
  std::string user;
  std::vector<std::string> env;
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::string working_dir;
  std::string stop_signal;
  std::map<std::string, std::string> labels;
  std::vector<std::string> volumes;        ///< JSON: an object whose keys these are
  std::vector<std::string> exposed_ports;  ///< the same; "80/tcp"
};

struct History {
  std::string created;  ///< RFC 3339
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
};

/// config.md: the image's config blob.
struct ImageConfig {
  std::string created;  ///< RFC 3339
  std::string author;
  Platform platform;  ///< architecture, os, variant stand at the top level of the JSON
  ImageRunConfig config;
  std::vector<std::string> diff_ids;  ///< JSON: rootfs.diff_ids; digests of the uncompressed layers, lowest first
  std::vector<History> history;
};

/// Each reads one blob; errors name the JSON path. A document that could be read both as a manifest and as an index is
/// refused by both (CVE-2021-41190).
Result<Manifest> decode_manifest(std::string_view json);
Result<Index> decode_index(std::string_view json);
Result<ImageConfig> decode_image_config(std::string_view json);

std::string encode_manifest(const Manifest& manifest);
std::string encode_index(const Index& index);
std::string encode_image_config(const ImageConfig& config);

}  // namespace moss::oci
