// zstd:chunked layers. See the header.
#include "chunked_layer.hh"

#include <zstd.h>

#include "moss/engine/digest.hh"

namespace moss::test {

namespace {

constexpr size_t kChunkBytes = 64 << 10;

std::string frame(std::string_view data, int level) {
  std::string out(::ZSTD_compressBound(data.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), data.data(), data.size(), level));
  return out;
}

std::string little_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

std::string skippable(std::string_view content) {
  return cat("\x50\x2a\x4d\x18", little_endian(content.size(), 4), content);
}

std::string digest(std::string_view text) { return engine::digest_of(text).value(); }

// The table, its footer and the annotations behind the frames that `layer.blob` has.
void add_toc(ChunkedLayer& layer, int level) {
  const std::string packed = frame(layer.toc, level);
  const size_t offset = layer.blob.size() + 8;
  layer.blob += skippable(packed);
  layer.blob +=
      skippable(cat(little_endian(offset, 8), little_endian(packed.size(), 8), little_endian(layer.toc.size(), 8),
                    little_endian(1, 8), std::string(24, '\0'), "GNUlInUx"));
  layer.annotations = {
      {"io.github.containers.zstd-chunked.manifest-position",
       cat(offset, ":", packed.size(), ":", layer.toc.size(), ":1")},
      {"io.github.containers.zstd-chunked.manifest-checksum", digest(packed)},
  };
}

}  // namespace

ChunkedLayer chunked_layer(const std::vector<std::pair<std::string, std::string>>& files, const EditToc& edit,
                           int level) {
  ChunkedLayer layer;
  layer.toc = R"({"version":1,"entries":[)";
  std::string between;
  for (const auto& [name, content] : files) {
    const std::string tar = TarWriter().file(name, content).finish();
    const std::string header = tar.substr(0, 512);
    layer.tar += cat(header, content, std::string((512 - content.size() % 512) % 512, '\0'));
    between += header;
    const auto entry = [&](std::string_view type) {
      if (layer.toc.back() == '}') layer.toc += ",";
      layer.toc += cat(R"({"type":")", type, R"(","name":")", name, "\"");
    };
    if (content.empty()) {
      entry("reg");
      layer.toc += "}";
      continue;
    }
    layer.blob += frame(between, level);
    std::vector<std::pair<size_t, std::string>> chunks;
    for (size_t at = 0; at < content.size(); at += kChunkBytes) {
      const std::string chunk = content.substr(at, kChunkBytes);
      chunks.emplace_back(layer.blob.size(), digest(chunk));
      layer.blob += frame(chunk, level);
    }
    entry("reg");
    layer.toc +=
        cat(R"(,"mode":420,"size":)", content.size(), R"(,"modtime":"2020-09-13T12:26:40Z","xattrs":{},"digest":")",
            digest(content), R"(","offset":)", chunks[0].first, R"(,"endOffset":)", layer.blob.size());
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i > 0) {
        entry("chunk");
        layer.toc += cat(R"(,"offset":)", chunks[i].first, R"(,"chunkOffset":)", i * kChunkBytes);
      }
      if (chunks.size() > 1) {
        layer.toc += cat(R"(,"chunkSize":)", std::min(kChunkBytes, content.size() - i * kChunkBytes),
                         R"(,"chunkDigest":")", chunks[i].second, "\"");
      }
      layer.toc += "}";
    }
    between.assign((512 - content.size() % 512) % 512, '\0');
  }
  layer.toc += "]}";
  between += std::string(1024, '\0');
  layer.tar += std::string(1024, '\0');
  layer.blob += frame(between, level);
  if (edit) layer.toc = edit(std::move(layer.toc));
  add_toc(layer, level);
  return layer;
}

ChunkedLayer around_toc(const std::string& toc) {
  ChunkedLayer layer{.blob = frame(std::string(1024, '\0'), 1), .toc = toc};
  add_toc(layer, 1);
  return layer;
}

std::vector<oci::Descriptor> add_chunked(LayoutWriter& layout, const std::string& name,
                                         const std::vector<ChunkedLayer>& layers) {
  std::vector<oci::Descriptor> blobs;
  std::vector<std::string> diff_ids;
  for (const ChunkedLayer& layer : layers) {
    blobs.push_back(layout.blob(cat(oci::kOciLayerTar, "+zstd"), layer.blob));
    blobs.back().annotations.insert(layer.annotations.begin(), layer.annotations.end());
    diff_ids.push_back(digest(layer.tar));
  }
  layout.add(layout.image({},
                          [&](LayoutWriter::Parts& parts) {
                            parts.config.diff_ids = diff_ids;
                            parts.manifest.layers = blobs;
                          }),
             name);
  layout.write_index();
  return blobs;
}

std::string noise(uint64_t seed, size_t bytes) {
  std::string out;
  uint64_t state = seed * 2 + 1;
  while (out.size() < bytes) {
    // Knuth's MMIX; the high bits are the good ones.
    state = state * 6364136223846793005u + 1442695040888963407u;
    out += static_cast<char>(state >> 56);
  }
  return out;
}

}  // namespace moss::test
