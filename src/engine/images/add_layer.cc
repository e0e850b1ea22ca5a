// An image made of another's layers and one more: commit.
#include "moss/engine/add_layer.hh"

#include <fcntl.h>

#include "ingest.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kDockerLayerTar = "application/vnd.docker.image.rootfs.diff.tar";

// The other format's name for the same bytes.
Result<std::string> docker_layer_type(const std::string& type) {
  if (type == oci::kOciLayerTar || type == kDockerLayerTar) return std::string(kDockerLayerTar);
  if (type == oci::kOciLayerGzip || type == oci::kDockerLayerGzip) return std::string(oci::kDockerLayerGzip);
  return Error(0, "a layer of the container's image is of type ", printable(type),
               ", which the docker format does not have; commit with --format oci, or --squash");
}

std::string oci_layer_type(const std::string& type) {
  if (type == oci::kDockerLayerGzip) return std::string(oci::kOciLayerGzip);
  if (type == kDockerLayerTar) return std::string(oci::kOciLayerTar);
  return type;
}

Result<ResolvedImage> compose(const oci::ImageConfig& config, std::vector<oci::Descriptor> layers, bool docker_format) {
  for (oci::Descriptor& layer : layers) {
    layer.media_type = docker_format ? TRY(docker_layer_type(layer.media_type)) : oci_layer_type(layer.media_type);
  }
  ResolvedImage image = TRY(compose_image(oci::encode_image_config(config), std::move(layers)));
  if (docker_format) {
    image.manifest.media_type = std::string(oci::kDockerManifest);
    image.manifest.config.media_type = std::string(oci::kDockerConfig);
    image.manifest_text = oci::encode_manifest(image.manifest);
    image.descriptor = TRY(descriptor_of(image.manifest.media_type, image.manifest_text));
  }
  return image;
}

}  // namespace

Result<Image> add_layer(ImageStore& store, const AddLayerOptions& options,
                        const std::function<Result<Ok>(const ReadLayer& read)>& write) {
  std::vector<std::string> names;
  if (!options.name.empty()) names.push_back(TRY(full_local_name(options.name)));
  Ingest ingest = TRY(Ingest::begin(store.path(), options.map, {}));
  oci::ImageConfig config = options.config;
  config.diff_ids.clear();
  std::vector<oci::Descriptor> layers;
  for (const ImageLayer& layer : options.below) {
    if (!ingest.has_blob(layer.blob)) {
      return Error(0, "layer ", layer.blob.digest, " of the container's image is gone; pull the image again");
    }
    config.diff_ids.push_back(layer.diff_id);
    layers.push_back(layer.blob);
  }
  const std::string name = "layer.tar";
  Copied content;
  const ReadLayer read = [&](int in) -> Result<Ok> {
    content = TRY(copy_to_staging(ingest, in, name, options.max_layer_bytes, "sha256"));
    return Ok{};
  };
  TRY(write(read));
  const Fd tar = TRY(sys::open_at(ingest.staging(), name, O_RDONLY));
  const size_t index = ingest.next_index();
  UnpackJob job = TRY(ingest.unpack(index, tar.get()));
  const Result<UnpackedLayer> unpacked = wait_for(job);
  if (!unpacked.ok()) return explain(unpacked.error(), ingest.store());

  config.diff_ids.push_back(unpacked->diff_id);
  oci::Descriptor layer;
  layer.media_type = oci::kOciLayerTar;
  layer.digest = content.digest;
  layer.size = content.bytes;
  layers.push_back(layer);
  const ResolvedImage image = TRY(compose(config, std::move(layers), options.docker_format));
  TRY(ingest.take_layer(index, image.layers.back(), name, *unpacked, std::nullopt));
  return ingest.commit(image, names);
}

}  // namespace moss::engine
