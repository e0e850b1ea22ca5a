// Images as files. See the header.
#include "file_formats.hh"

#include <nlohmann/json.hpp>

#include "layout.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kLayoutVersion = "{\"imageLayoutVersion\":\"1.0.0\"}";
constexpr std::string_view kDirVersion = "Directory Transport Version: 1.1\n";

Result<std::string> layout_name(const std::string& digest) {
  const oci::Digest parsed = TRY(oci::Digest::parse(digest));
  return cat("blobs/", parsed.algorithm(), "/", parsed.hex());
}

Result<std::string> dir_name(const std::string& digest) {
  const oci::Digest parsed = TRY(oci::Digest::parse(digest));
  return std::string(parsed.hex());
}

// A manifest or a list.
Result<Ok> put_document(FileSink& sink, const std::string& digest, const std::string& text) {
  const std::string name = TRY(layout_name(digest));
  if (sink.has(name, static_cast<int64_t>(text.size()))) return Ok{};
  return sink.put(name, text);
}

// Layers and config, each under the name that `name_of` gives for its digest.
Result<Ok> put_blobs(FileSink& sink, const OutgoingImage& image, Result<std::string> (*name_of)(const std::string&)) {
  for (const OutgoingBlob& layer : image.layers) {
    const std::string name = TRY(name_of(layer.descriptor.digest));
    TRY(put_blob(sink, name, layer));
  }
  const std::string config = TRY(name_of(image.config_blob.descriptor.digest));
  return put_blob(sink, config, image.config_blob);
}

Result<Ok> put_layout_image(FileSink& sink, const OutgoingImage& image) {
  TRY(put_blobs(sink, image, &layout_name));
  return put_document(sink, image.descriptor.digest, image.manifest_text);
}

// Last: what index.json names is whole.
Result<Ok> put_index(FileSink& sink, const oci::Descriptor& entry, const std::vector<std::string>& names) {
  oci::Index index;
  index.media_type = oci::kOciIndex;
  if (const std::optional<std::string> before = TRY(sink.read("index.json", kMaxIndexBytes))) {
    index = TRY(oci::decode_index(*before).context("index.json"));
  }
  std::vector<std::string> wanted = names;
  if (wanted.empty()) wanted.emplace_back();
  for (const std::string& name : wanted) {
    oci::Descriptor named = entry;
    if (!name.empty()) named.annotations[std::string(kRefName)] = name;
    std::erase_if(index.manifests, [&](const oci::Descriptor& other) {
      return entry_name(other) == name && (!name.empty() || other.digest == entry.digest);
    });
    index.manifests.push_back(std::move(named));
  }
  TRY(sink.put("oci-layout", kLayoutVersion));
  return sink.put("index.json", oci::encode_index(index));
}

// What a layer's tar holds is known since it was unpacked; else it is counted.
Result<int64_t> tar_bytes(const OutgoingBlob& layer, const std::string& store) {
  if (compression_of(layer.descriptor.media_type) == LayerCompression::none) return layer.descriptor.size;
  const Result<std::string> text = sys::read_file(layer_size_path(store, layer.diff_id), 64);
  if (const auto known = text.ok() ? parse_number<int64_t>(*text) : std::nullopt) return *known;
  int64_t bytes = 0;
  TRY(read_layer_tar(layer, [&](std::string_view piece) {
    bytes += static_cast<int64_t>(piece.size());
    return Result<Ok>(Ok{});
  }));
  return bytes;
}

}  // namespace

Result<Ok> write_layout(FileSink& sink, const OutgoingImage& image, const std::vector<std::string>& names) {
  TRY(put_layout_image(sink, image));
  oci::Descriptor entry = image.descriptor;
  entry.platform = oci::Platform{.architecture = image.config.platform.architecture,
                                 .os = image.config.platform.os,
                                 .variant = image.config.platform.variant};
  return put_index(sink, entry, names);
}

Result<Ok> write_layout(FileSink& sink, const OutgoingList& list, const std::vector<std::string>& names) {
  for (const OutgoingImage& image : list.images) TRY(put_layout_image(sink, image));
  TRY(put_document(sink, list.descriptor.digest, list.text));
  return put_index(sink, list.descriptor, names);
}

Result<Ok> write_docker_archive(FileSink& sink, const std::vector<NamedImage>& images, const std::string& store) {
  nlohmann::ordered_json manifest = nlohmann::ordered_json::array();
  for (const auto& [image, names] : images) {
    nlohmann::ordered_json layers = nlohmann::ordered_json::array();
    for (const OutgoingBlob& layer : image.layers) {
      const std::string name = TRY(dir_name(layer.diff_id)) + ".tar";
      layers.push_back(name);
      const int64_t bytes = TRY(tar_bytes(layer, store));
      // Several images may have it.
      if (sink.has(name, bytes)) continue;
      TRY(sink.put_pieces(name, bytes, [&](const FileSink::Piece& piece) { return read_layer_tar(layer, piece); }));
    }
    const std::string config = image.id + ".json";
    TRY(put_blob(sink, config, image.config_blob));
    nlohmann::ordered_json entry;
    entry["Config"] = config;
    entry["RepoTags"] = names;
    entry["Layers"] = std::move(layers);
    manifest.push_back(std::move(entry));
  }
  return sink.put("manifest.json", manifest.dump());
}

Result<Ok> write_dir(FileSink& sink, const OutgoingImage& image) {
  TRY(put_blobs(sink, image, &dir_name));
  TRY(sink.put("version", kDirVersion));
  return sink.put("manifest.json", image.manifest_text);
}

Result<Ok> write_dir(FileSink& sink, const OutgoingList& list) {
  for (const OutgoingImage& image : list.images) {
    TRY(put_blobs(sink, image, &dir_name));
    const std::string name = TRY(dir_name(image.descriptor.digest));
    TRY(sink.put(name + ".manifest.json", image.manifest_text));
  }
  TRY(sink.put("version", kDirVersion));
  return sink.put("manifest.json", list.text);
}

}  // namespace moss::engine
