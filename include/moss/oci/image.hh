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
  std::vector<std::string> os_features;
  std::vector<std::string> features;  ///< of the processor; only Docker's lists have them
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
  std::string data;  ///< the content itself in base64, as written; may be empty
  bool operator==(const Descriptor&) const = default;
};

/// manifest.md.
struct Manifest {
  int schema_version = 2;
  std::string media_type;
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;
  std::optional<Descriptor> subject;  ///< the manifest that this one belongs to
  Annotations annotations;
  bool operator==(const Manifest&) const = default;
};

/// image-index.md, also index.json of an image layout and Docker's manifest list.
struct Index {
  int schema_version = 2;
  std::string media_type;
  std::string artifact_type;
  std::vector<Descriptor> manifests;
  std::optional<Descriptor> subject;
  Annotations annotations;
  bool operator==(const Index&) const = default;
};

/// Docker's HEALTHCHECK. Times in nanoseconds, 0 for the default.
struct Healthcheck {
  std::vector<std::string> test;  ///< {"NONE"}, {"CMD", arg…} or {"CMD-SHELL", line}; empty inherits
  int64_t interval = 0;
  int64_t timeout = 0;
  int64_t start_period = 0;
  int64_t start_interval = 0;
  int retries = 0;
  bool operator==(const Healthcheck&) const = default;
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
  std::vector<std::string> volumes;        ///< JSON: an object whose keys these are; sorted when decoded
  std::vector<std::string> exposed_ports;  ///< the same; "80/tcp"
  // Only Docker's images have these.
  std::optional<Healthcheck> healthcheck;
  std::vector<std::string> on_build;  ///< build instructions for images made from this one
  std::vector<std::string> shell;     ///< what RUN and the shell forms of CMD and ENTRYPOINT start with
  std::optional<int> stop_timeout;    ///< seconds
  bool args_escaped = false;          ///< Windows: the command is one line already
  bool operator==(const ImageRunConfig&) const = default;
};

struct History {
  std::string created;  ///< RFC 3339
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
  bool operator==(const History&) const = default;
};

/// config.md: the image's config blob.
struct ImageConfig {
  std::string created;  ///< RFC 3339
  std::string author;
  Platform platform;  ///< architecture, os, variant stand at the top level of the JSON
  ImageRunConfig config;
  std::vector<std::string> diff_ids;  ///< JSON: rootfs.diff_ids; digests of the uncompressed layers, lowest first
  std::vector<History> history;
  bool operator==(const ImageConfig&) const = default;
};

/// What shows which kind of document this is: the properties at its top, without what they hold.
struct Outline {
  std::string media_type;
  bool has_config = false;
  bool has_layers = false;
  bool has_manifests = false;
  bool has_fs_layers = false;  ///< Docker's schema 1
  bool operator==(const Outline&) const = default;
};

/// A page of a registry's list: the tags of a repository, or its repositories. distribution-spec "Listing Tags".
struct NamePage {
  std::vector<std::string> tags;
  std::vector<std::string> repositories;
  bool operator==(const NamePage&) const = default;
};

/// One image in the manifest.json of Docker's archives (docker save). Names of files in the archive, as written.
struct ArchivedImage {
  std::string config;
  std::vector<std::string> tags;
  std::vector<std::string> layers;
  bool operator==(const ArchivedImage&) const = default;
};

/// The media types that moss writes or tells apart. media-types.md, and Docker's image manifest version 2 schema 2.
inline constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kOciConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kOciLayerTar = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kOciLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kOciLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Each reads one blob. Pure; the caller limits the size and has compared the digest. Errors name the document and the
/// JSON path ("image manifest: layers[2].digest: expected …"). Unknown properties are ignored.
/// Refused: digests that Digest::parse refuses, negative sizes, media types that are none or belong to another kind of
/// document, schema 1, a known property given twice, text with a NUL byte, and a document that could be read both as a
/// manifest and as an index (CVE-2021-41190), whichever of the two it is read as.
Result<Manifest> decode_manifest(std::string_view json);
Result<Index> decode_index(std::string_view json);
Result<ImageConfig> decode_image_config(std::string_view json);

/// Any document that a registry may call a manifest. Refuses only what is no JSON object.
Result<Outline> decode_outline(std::string_view json);
Result<NamePage> decode_name_page(std::string_view json);
/// manifest.json of Docker's archives.
Result<std::vector<ArchivedImage>> decode_archived_images(std::string_view json);

/// Compact JSON, the same bytes for the same value: fit to be hashed.
std::string encode_manifest(const Manifest& manifest);
std::string encode_index(const Index& index);
std::string encode_image_config(const ImageConfig& config);

}  // namespace moss::oci
