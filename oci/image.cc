// image-spec's documents and Docker's schema 2 forms of them: one table serves both, only the media types differ.
// Spec: image-spec descriptor.md, manifest.md, image-index.md, config.md.
#include "moss/oci/image.hh"

#include <algorithm>

#include "json_table.hh"

namespace moss::oci {

namespace {

/// RFC 6838, section 4.2: type "/" subtype.
bool is_media_type(std::string_view text) {
  const auto is_name = [](std::string_view name) {
    return !name.empty() && name.size() <= 127 && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("!#$&-^_.+").find(c) != std::string_view::npos;
    });
  };
  const auto [type, subtype] = cut(text, '/');
  return subtype && is_name(type) && is_name(*subtype);
}

constexpr Rule kMediaType = {"a media type, such as \"application/vnd.oci.image.config.v1+json\"", &is_media_type};
constexpr Rule kDigest = {"sha256: and 64 lower-case hex digits, or sha512: and 128",
                          [](std::string_view text) { return Digest::parse(text).ok(); }};
constexpr Rule kSchema2 = {
    "2 (1 is Docker's form of before 2016, which moss does not read: push the image again with a current tool)",
    nullptr, [](Integer version) { return !version.negative && version.bits == 2; }};

// An empty mediaType is what some Go programs write for an absent one.
constexpr Rule kManifestType = {
    "an image manifest's media type (application/vnd.oci.image.manifest.v1+json or "
    "application/vnd.docker.distribution.manifest.v2+json)",
    [](std::string_view text) { return text.empty() || text == kOciManifest || text == kDockerManifest; }};
constexpr Rule kIndexType = {
    "an image index's media type (application/vnd.oci.image.index.v1+json or "
    "application/vnd.docker.distribution.manifest.list.v2+json)",
    [](std::string_view text) { return text.empty() || text == kOciIndex || text == kDockerIndex; }};

constexpr const char* kAmbiguous =
    "must not be here: the document could be read both as an image manifest and as an image index, with different "
    "contents";
constexpr const char* kSchema1 =
    "must not be here: it belongs to Docker's schema 1 of before 2016, which moss does not read; push the image again "
    "with a current tool";

constexpr Rule kLayers = {"\"layers\"", [](std::string_view text) { return text == "layers"; }};

constexpr auto kRootfs =
    std::tuple(constant("type", "layers", kLayers), required("diff_ids", &ImageConfig::diff_ids, kDigest));

}  // namespace

template <>
inline constexpr auto fields<Platform> =
    std::tuple(written("architecture", &Platform::architecture), written("os", &Platform::os),
               optional("os.version", &Platform::os_version), optional("os.features", &Platform::os_features),
               optional("variant", &Platform::variant), optional("features", &Platform::features));

template <>
inline constexpr auto fields<Descriptor> = std::tuple(
    required("mediaType", &Descriptor::media_type, kMediaType), required("digest", &Descriptor::digest, kDigest),
    required("size", &Descriptor::size, kNotNegative), optional("urls", &Descriptor::urls),
    optional("annotations", &Descriptor::annotations), optional("data", &Descriptor::data),
    optional("platform", &Descriptor::platform), optional("artifactType", &Descriptor::artifact_type));

template <>
inline constexpr auto fields<Manifest> =
    std::tuple(required("schemaVersion", &Manifest::schema_version, kSchema2),
               optional("mediaType", &Manifest::media_type, kManifestType),
               optional("artifactType", &Manifest::artifact_type), required("config", &Manifest::config),
               required("layers", &Manifest::layers), optional("subject", &Manifest::subject),
               optional("annotations", &Manifest::annotations), refused("manifests", kAmbiguous),
               refused("fsLayers", kSchema1), refused("history", kSchema1), refused("signatures", kSchema1));

template <>
inline constexpr auto fields<Index> = std::tuple(
    required("schemaVersion", &Index::schema_version, kSchema2), optional("mediaType", &Index::media_type, kIndexType),
    optional("artifactType", &Index::artifact_type), required("manifests", &Index::manifests),
    optional("subject", &Index::subject), optional("annotations", &Index::annotations), refused("config", kAmbiguous),
    refused("layers", kAmbiguous), refused("fsLayers", kSchema1), refused("history", kSchema1),
    refused("signatures", kSchema1));

template <>
inline constexpr auto fields<Healthcheck> =
    std::tuple(optional("Test", &Healthcheck::test), optional("Interval", &Healthcheck::interval),
               optional("Timeout", &Healthcheck::timeout), optional("StartPeriod", &Healthcheck::start_period),
               optional("StartInterval", &Healthcheck::start_interval), optional("Retries", &Healthcheck::retries));

template <>
inline constexpr auto fields<ImageRunConfig> = std::tuple(
    optional("User", &ImageRunConfig::user), keys("ExposedPorts", &ImageRunConfig::exposed_ports),
    optional("Env", &ImageRunConfig::env), optional("Entrypoint", &ImageRunConfig::entrypoint),
    optional("Cmd", &ImageRunConfig::cmd), keys("Volumes", &ImageRunConfig::volumes),
    optional("WorkingDir", &ImageRunConfig::working_dir), optional("Labels", &ImageRunConfig::labels),
    optional("StopSignal", &ImageRunConfig::stop_signal), optional("ArgsEscaped", &ImageRunConfig::args_escaped),
    optional("Healthcheck", &ImageRunConfig::healthcheck), optional("OnBuild", &ImageRunConfig::on_build),
    optional("Shell", &ImageRunConfig::shell), optional("StopTimeout", &ImageRunConfig::stop_timeout));

template <>
inline constexpr auto fields<History> =
    std::tuple(optional("created", &History::created), optional("created_by", &History::created_by),
               optional("author", &History::author), optional("comment", &History::comment),
               optional("empty_layer", &History::empty_layer));

// Images without an architecture or os exist and run; whoever chooses a platform judges them.
template <>
inline constexpr auto fields<ImageConfig> = std::tuple(
    optional("created", &ImageConfig::created), optional("author", &ImageConfig::author),
    written("architecture", in(&ImageConfig::platform, &Platform::architecture)),
    written("os", in(&ImageConfig::platform, &Platform::os)),
    optional("os.version", in(&ImageConfig::platform, &Platform::os_version)),
    optional("os.features", in(&ImageConfig::platform, &Platform::os_features)),
    optional("variant", in(&ImageConfig::platform, &Platform::variant)), optional("config", &ImageConfig::config),
    object<kRootfs>("rootfs"), optional("history", &ImageConfig::history));

template <>
inline constexpr auto fields<Outline> =
    std::tuple(optional("mediaType", &Outline::media_type), presence("config", &Outline::has_config),
               presence("layers", &Outline::has_layers), presence("manifests", &Outline::has_manifests),
               presence("fsLayers", &Outline::has_fs_layers));

// Docker's image spec v1.2 "Combined Image JSON + Filesystem Changeset Format".
template <>
inline constexpr auto fields<ArchivedImage> =
    std::tuple(required("Config", &ArchivedImage::config), optional("RepoTags", &ArchivedImage::tags),
               optional("Layers", &ArchivedImage::layers));

template <>
inline constexpr auto fields<NamePage> =
    std::tuple(optional("tags", &NamePage::tags), optional("repositories", &NamePage::repositories));

Result<NamePage> decode_name_page(std::string_view json) { return decode<NamePage>("list of names", json); }
Result<Outline> decode_outline(std::string_view json) { return decode<Outline>("manifest", json); }
Result<std::vector<ArchivedImage>> decode_archived_images(std::string_view json) {
  return decode<std::vector<ArchivedImage>>("manifest.json", json);
}
Result<Manifest> decode_manifest(std::string_view json) { return decode<Manifest>("image manifest", json); }
Result<Index> decode_index(std::string_view json) { return decode<Index>("image index", json); }
Result<ImageConfig> decode_image_config(std::string_view json) { return decode<ImageConfig>("image config", json); }

std::string encode_manifest(const Manifest& manifest) { return encode(manifest, JsonWriter::Style::compact); }
std::string encode_index(const Index& index) { return encode(index, JsonWriter::Style::compact); }
std::string encode_image_config(const ImageConfig& config) { return encode(config, JsonWriter::Style::compact); }

}  // namespace moss::oci
