// From a document to one image. See the header. Spec: image-spec manifest.md, image-index.md, config.md.
#include "resolve.hh"

#include "lists.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/pull.hh"

namespace moss::engine {

namespace {

enum class Kind { manifest, index };

// The document decides what it is, not the header it came with: only the document is covered by the digest.
Result<Kind> classify(std::string_view text) {
  const oci::Outline document = TRY(oci::decode_outline(text));
  const std::string& type = document.media_type;
  const bool lists = document.has_manifests;
  const bool layers = document.has_layers || document.has_config;
  if (document.has_fs_layers || type.starts_with("application/vnd.docker.distribution.manifest.v1")) {
    return Error(0, "the image has only Docker's old manifest (schema 1); push it again with a newer client");
  }
  if (lists && layers) return Error(0, "the manifest is also a list of manifests; refused as ambiguous");
  if (!lists && !layers) return Error(0, "the document is neither a manifest nor a list of manifests");
  const bool index_type = type == oci::kOciIndex || type == oci::kDockerIndex;
  const bool manifest_type = type == oci::kOciManifest || type == oci::kDockerManifest;
  if (!type.empty() && !index_type && !manifest_type) {
    return Error(0, "the manifest's media type ", printable(type.substr(0, 200)), " is not known");
  }
  if ((lists && manifest_type) || (layers && index_type)) {
    return Error(0, "the manifest's media type does not fit its content; refused as ambiguous");
  }
  return lists ? Kind::index : Kind::manifest;
}

std::string platform_text(const oci::Platform& platform) {
  return printable(cat(platform.os, "/", platform.architecture, platform.variant.empty() ? "" : "/", platform.variant));
}

// Arm's variants by name: an entry without one is the oldest that all can run.
bool runs_on(const oci::Platform& entry, const oci::Platform& wanted) {
  if (entry.os != wanted.os || entry.architecture != wanted.architecture) return false;
  if (wanted.variant.empty() || entry.variant.empty() || entry.variant == wanted.variant) return true;
  if (wanted.architecture == "arm") return entry.variant <= wanted.variant;
  return false;
}

bool is_layer_type(std::string_view type) {
  for (const std::string_view known :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd", "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip", "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}) {
    if (type == known) return true;
  }
  return false;
}

bool is_config_type(std::string_view type) {
  return type.empty() || type == oci::kOciConfig || type == "application/vnd.docker.container.image.v1+json";
}

Result<std::string> fetch_verified(const oci::Descriptor& blob, size_t max_bytes, const char* what,
                                   const FetchDocument& fetch) {
  TRY(oci::Digest::parse(blob.digest).context(what));
  if (blob.size > static_cast<int64_t>(max_bytes)) {
    return Error(EFBIG, what, " ", blob.digest, ": larger than ", max_bytes, " bytes");
  }
  std::string text = TRY(fetch(blob, max_bytes));
  TRY(verify_document(text, blob).context(what, " ", blob.digest));
  return text;
}

Result<Ok> check_layers(const oci::Manifest& manifest) {
  if (manifest.layers.size() > kMaxLayers) {
    return Error(0, "the image has ", manifest.layers.size(), " layers; moss takes at most ", kMaxLayers);
  }
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const oci::Descriptor& blob = manifest.layers[i];
    TRY(oci::Digest::parse(blob.digest).context("layer ", i + 1));
    if (!is_layer_type(blob.media_type)) {
      return Error(0, "layer ", i + 1, ": media type ", printable(blob.media_type.substr(0, 200)), " is not known");
    }
  }
  return Ok{};
}

Result<ResolvedManifest> read_manifest(std::string text) {
  ResolvedManifest image;
  image.manifest = TRY(oci::decode_manifest(text));
  const oci::Descriptor& config = image.manifest.config;
  if (!is_config_type(config.media_type)) {
    return Error(0, "not a container image but ", printable(config.media_type.substr(0, 200)));
  }
  TRY(check_layers(image.manifest));
  const std::string& type = image.manifest.media_type;
  image.descriptor = TRY(descriptor_of(type.empty() ? oci::kOciManifest : type, text));
  image.manifest_text = std::move(text);
  return image;
}

}  // namespace

Result<oci::Descriptor> choose_entry(const oci::Index& index, const oci::Platform& wanted) {
  const oci::Descriptor* best = nullptr;
  for (const oci::Descriptor& entry : index.manifests) {
    if (!entry.platform || !runs_on(*entry.platform, wanted)) continue;
    const bool exact = entry.platform->variant == wanted.variant;
    if (best == nullptr || (exact && best->platform->variant != wanted.variant)) best = &entry;
  }
  if (best != nullptr) return *best;
  // A list without platforms is a list of one.
  if (index.manifests.size() == 1 && !index.manifests[0].platform) return index.manifests[0];
  std::vector<std::string> there;
  for (const oci::Descriptor& entry : index.manifests) {
    if (entry.platform && entry.platform->os != "unknown" && there.size() < 20)
      there.push_back(platform_text(*entry.platform));
  }
  return Error(0, "no image for ", platform_text(wanted), " in the list; it has ",
               there.empty() ? "none" : join(there, ", "));
}

Result<bool> is_list_text(std::string_view text) { return TRY(classify(text)) == Kind::index; }

Result<oci::Descriptor> descriptor_of(std::string_view media_type, std::string_view text) {
  return oci::Descriptor{
      .media_type = std::string(media_type), .digest = TRY(digest_of(text)), .size = static_cast<int64_t>(text.size())};
}

Result<Ok> verify_document(std::string_view text, const oci::Descriptor& blob) {
  if (static_cast<int64_t>(text.size()) != blob.size) {
    return Error(0, "it has ", text.size(), " bytes and not the ", blob.size, " it was promised with; refused");
  }
  const oci::Digest digest = TRY(oci::Digest::parse(blob.digest));
  const std::string found = TRY(digest_of(text, digest.algorithm()));
  if (found != digest.text()) return Error(0, "its content has the digest ", found, "; refused");
  return Ok{};
}

Result<ResolvedManifest> resolve_manifest(std::string text, const std::optional<oci::Platform>& platform,
                                          const FetchDocument& fetch) {
  std::vector<std::string> lists;
  for (int depth = 0; depth <= kMaxIndexDepth; ++depth) {
    if (TRY(classify(text)) == Kind::manifest) {
      ResolvedManifest image = TRY(read_manifest(std::move(text)));
      image.list_digests = std::move(lists);
      return image;
    }
    const oci::Index index = TRY(oci::decode_index(text));
    const oci::Descriptor entry = TRY(choose_entry(index, platform.value_or(host_platform())));
    lists.push_back(TRY(digest_of(text)));
    text = TRY(fetch_verified(entry, kMaxManifestBytes, "manifest", fetch));
  }
  return Error(0, "lists of lists more than ", kMaxIndexDepth, " deep; refused");
}

Result<ResolvedImage> resolve_config(ResolvedManifest manifest, const std::optional<oci::Platform>& platform,
                                     const FetchDocument& fetch) {
  ResolvedImage image;
  static_cast<ResolvedManifest&>(image) = std::move(manifest);
  image.config_text = TRY(fetch_verified(image.manifest.config, kMaxConfigBytes, "config", fetch));
  image.config = TRY(oci::decode_image_config(image.config_text));
  if (platform && !runs_on(image.config.platform, *platform)) {
    return Error(0, "the image is for ", platform_text(image.config.platform), ", not for ", platform_text(*platform));
  }
  image.layers = TRY(match_layers(image.manifest, image.config));
  return image;
}

Result<ResolvedImage> resolve_image(std::string text, const std::optional<oci::Platform>& platform,
                                    const FetchDocument& fetch) {
  return resolve_config(TRY(resolve_manifest(std::move(text), platform, fetch)), platform, fetch);
}

Result<ResolvedImage> compose_image(std::string config_text, std::vector<oci::Descriptor> layers) {
  ResolvedImage image;
  image.config = TRY(oci::decode_image_config(config_text));
  image.manifest.media_type = std::string(oci::kOciManifest);
  image.manifest.config = TRY(descriptor_of(oci::kOciConfig, config_text));
  image.config_text = std::move(config_text);
  image.manifest.layers = std::move(layers);
  image.layers = TRY(match_layers(image.manifest, image.config));
  image.manifest_text = oci::encode_manifest(image.manifest);
  image.descriptor = TRY(descriptor_of(image.manifest.media_type, image.manifest_text));
  return image;
}

Result<std::vector<ImageLayer>> match_layers(const oci::Manifest& manifest, const oci::ImageConfig& config) {
  TRY(check_layers(manifest));
  if (manifest.layers.size() != config.diff_ids.size()) {
    return Error(0, "the manifest has ", manifest.layers.size(), " layers and the config ", config.diff_ids.size(),
                 " diff ids; refused");
  }
  std::vector<ImageLayer> layers;
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    const oci::Digest diff_id = TRY(oci::Digest::parse(config.diff_ids[i]).context("diff id ", i + 1));
    if (diff_id.algorithm() != "sha256") return Error(0, "diff id ", i + 1, ": only sha256 is known here");
    layers.push_back({manifest.layers[i], diff_id.text()});
  }
  return layers;
}

}  // namespace moss::engine
