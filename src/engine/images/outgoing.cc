// An image on its way out. See the header.
#include "outgoing.hh"

#include <fcntl.h>
#include <sys/stat.h>

#include <functional>

#include "compress.hh"
#include "layout.hh"
#include "lists.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"

namespace moss::engine {

namespace {

// What belongs to one compression of a layer and would lie of another.
bool is_of_compression(std::string_view annotation) {
  for (const std::string_view prefix :
       {"io.github.containers.zstd-chunked.", "io.containers.zstd-chunked.", "containerd.io/snapshot/stargz/"}) {
    if (annotation.starts_with(prefix)) return true;
  }
  return annotation == "io.containers.estargz.uncompressed-size";
}

std::string_view layer_type(LayerCompression compression, bool docker) {
  switch (compression) {
    case LayerCompression::none:
      return docker ? "application/vnd.docker.image.rootfs.diff.tar" : oci::kOciLayerTar;
    case LayerCompression::gzip:
      return docker ? oci::kDockerLayerGzip : oci::kOciLayerGzip;
    case LayerCompression::zstd:
      break;
  }
  return oci::kOciLayerZstd;
}

Result<OutgoingBlob> open_blob(const std::string& store, const oci::Descriptor& descriptor) {
  const oci::Digest digest = TRY(oci::Digest::parse(descriptor.digest));
  const std::string path = blob_path(store, digest);
  Result<Fd> file = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (!file.ok() && file.error().code() == ENOENT) {
    return Error(0, "blob ", descriptor.digest, " is missing from the store; pull the image again");
  }
  if (!file.ok()) return file.error();
  OutgoingBlob blob{.descriptor = descriptor, .file = std::make_shared<Fd>(std::move(file).value()), .diff_id = ""};
  struct stat status;
  if (::fstat(blob.file->get(), &status) != 0) return sys_error("stat ", path);
  if (!S_ISREG(status.st_mode) || status.st_size != descriptor.size) {
    return Error(0, "blob ", descriptor.digest, " is damaged in the store: ", status.st_size, " bytes and not ",
                 descriptor.size, "; remove the image and pull it again");
  }
  return blob;
}

}  // namespace

LayerCompression compression_of(std::string_view media_type) {
  if (media_type.ends_with("gzip")) return LayerCompression::gzip;
  return media_type.ends_with("zstd") ? LayerCompression::zstd : LayerCompression::none;
}

Result<Ok> read_layer_tar(const OutgoingBlob& layer, const std::function<Result<Ok>(std::string_view)>& sink) {
  if (::lseek(layer.file->get(), 0, SEEK_SET) != 0) return sys_error("read layer ", layer.descriptor.digest);
  const LayerContent content =
      TRY(read_layer(layer.file->get(), {}, sink).context("read layer ", layer.descriptor.digest));
  if (content.diff_id != layer.diff_id) {
    return Error(0, "layer ", layer.descriptor.digest, " is damaged in the store: its content has the digest ",
                 content.diff_id, " and not ", layer.diff_id, "; remove the image and pull it again");
  }
  return Ok{};
}

Result<OutgoingImage> Packer::pack(const Image& image) {
  if (form_.compression) TRY(check_level(*form_.compression, form_.level));
  OutgoingImage out;
  out.id = image.id;
  out.manifest = image.manifest;
  out.config = image.config;
  {
    // Nobody collects garbage before all files are open.
    const Fd hold = TRY(hold_folder(image.store, Hold::shared));
    const oci::Digest digest = TRY(oci::Digest::parse(image.manifest_digest));
    out.manifest_text = TRY(sys::read_file(blob_path(image.store, digest), kMaxManifestBytes));
    out.config_blob = TRY(open_blob(image.store, image.manifest.config));
    for (const ImageLayer& layer : image.layers) {
      out.layers.push_back(TRY(open_blob(image.store, layer.blob)));
      out.layers.back().diff_id = layer.diff_id;
    }
  }
  out.descriptor.media_type =
      out.manifest.media_type.empty() ? std::string(oci::kOciManifest) : out.manifest.media_type;
  out.descriptor.digest = image.manifest_digest;
  out.descriptor.size = static_cast<int64_t>(out.manifest_text.size());
  TRY(verify_document(out.manifest_text, out.descriptor).context("the image's manifest in the store"));

  const bool was_docker = out.descriptor.media_type == oci::kDockerManifest;
  const bool docker = form_.format ? *form_.format == ManifestFormat::docker : was_docker;
  if (docker && form_.compression == LayerCompression::zstd) {
    return Error(0, "Docker's format (v2s2) has no zstd layers; use --format oci with it");
  }
  bool changed = docker != was_docker;
  for (size_t i = 0; i < out.layers.size(); ++i) {
    const LayerCompression now = compression_of(out.layers[i].descriptor.media_type);
    LayerCompression wanted = now;
    if (form_.compression && (!form_.only_plain || now == LayerCompression::none)) wanted = *form_.compression;
    // A zstd layer has no name in Docker's format.
    if (docker && wanted == LayerCompression::zstd) wanted = LayerCompression::gzip;
    if (wanted == now && !(form_.recompress && form_.compression == now)) continue;
    TRY(pack_layer(out, i, wanted));
    changed = true;
  }
  if (changed) TRY(write_manifest(out, docker));
  return out;
}

Result<Ok> Packer::pack_layer(OutgoingImage& out, size_t index, LayerCompression wanted) {
  OutgoingBlob& layer = out.layers[index];
  // The same layer twice, or in several images of a list, is compressed once.
  if (const auto known = packed_.find(layer.descriptor.digest); known != packed_.end()) {
    layer = known->second;
    return Ok{};
  }
  const std::string before = layer.descriptor.digest;
  if (!staging_) {
    TRY(make_store(store_.path()));
    const TreeRemover remove = [](const std::string& parent, const std::string& name) {
      return sys::remove_tree(cat(parent, "/", name));
    };
    staging_.emplace(TRY(Staging::create(store_.path(), remove)));
  }
  if (progress_) {
    progress_({.phase = Progress::Phase::compressing, .digest = before, .total = layer.descriptor.size});
  }
  const std::string name = cat("layer-", packed_.size());
  Fd opened = TRY(sys::open_at(staging_->dir(), name, O_RDWR | O_CREAT | O_EXCL, 0600));
  auto file = std::make_shared<Fd>(std::move(opened));
  const auto compressor = TRY(make_compressor(wanted, form_.level, file->get()));
  Result<Ok> read = read_layer_tar(layer, [&](std::string_view piece) { return compressor->put(piece); });
  if (read.ok()) read = compressor->finish();
  if (!read.ok()) return explain(read.error(), store_.path());
  layer.file = std::move(file);
  layer.descriptor.digest = compressor->digest();
  layer.descriptor.size = compressor->bytes();
  layer.descriptor.media_type = layer_type(wanted, false);
  std::erase_if(layer.descriptor.annotations, [](const auto& item) { return is_of_compression(item.first); });
  // What another place had of the old one is of no use for the new one.
  layer.descriptor.urls.clear();
  packed_.emplace(before, layer);
  return Ok{};
}

Result<Ok> Packer::write_manifest(OutgoingImage& out, bool docker) {
  oci::Manifest& manifest = out.manifest;
  manifest.media_type = docker ? oci::kDockerManifest : oci::kOciManifest;
  manifest.config.media_type = docker ? oci::kDockerConfig : oci::kOciConfig;
  manifest.layers.clear();
  for (OutgoingBlob& layer : out.layers) {
    layer.descriptor.media_type = layer_type(compression_of(layer.descriptor.media_type), docker);
    manifest.layers.push_back(layer.descriptor);
  }
  if (docker) {
    // Members that Docker's schema 2 has not.
    manifest.annotations.clear();
    manifest.artifact_type.clear();
    manifest.subject.reset();
    manifest.config.annotations.clear();
    for (oci::Descriptor& layer : manifest.layers) layer.annotations.clear();
  }
  out.config_blob.descriptor = manifest.config;
  out.manifest_text = oci::encode_manifest(manifest);
  out.descriptor = TRY(descriptor_of(manifest.media_type, out.manifest_text));
  return Ok{};
}

Result<OutgoingList> Packer::pack_list(const oci::Descriptor& list) {
  OutgoingList out;
  out.text = TRY(read_list_text(store_.path(), list));
  out.index = TRY(oci::decode_index(out.text));
  out.descriptor = {.media_type = out.index.media_type.empty() ? std::string(oci::kOciIndex) : out.index.media_type,
                    .digest = list.digest,
                    .size = static_cast<int64_t>(out.text.size())};
  bool changed = false;
  for (oci::Descriptor& entry : out.index.manifests) {
    const Image image = TRY(read_image(store_.path(), entry).context("image ", entry.digest, " of the list"));
    OutgoingImage packed = TRY(pack(image));
    if (packed.descriptor.digest != entry.digest) {
      entry.digest = packed.descriptor.digest;
      entry.size = packed.descriptor.size;
      entry.media_type = packed.descriptor.media_type;
      changed = true;
    }
    out.images.push_back(std::move(packed));
  }
  const bool was_docker = out.descriptor.media_type == oci::kDockerIndex;
  const bool docker = form_.format ? *form_.format == ManifestFormat::docker : was_docker;
  if (!changed && docker == was_docker) return out;
  out.index.media_type = docker ? oci::kDockerIndex : oci::kOciIndex;
  if (docker) {
    out.index.annotations.clear();
    out.index.artifact_type.clear();
    out.index.subject.reset();
    for (oci::Descriptor& entry : out.index.manifests) entry.annotations.clear();
  }
  out.text = oci::encode_index(out.index);
  out.descriptor = TRY(descriptor_of(out.index.media_type, out.text));
  return out;
}

}  // namespace moss::engine
