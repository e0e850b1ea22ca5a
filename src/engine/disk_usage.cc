// How much images and containers take.
#include <fcntl.h>
#include <fts.h>
#include <unistd.h>

#include <map>
#include <set>

#include "moss/base/fd.hh"
#include "moss/base/sizes.hh"
#include "moss/engine/housekeeping.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

// Bytes of the files below a folder, each file once. In the folder, so that no path is too long or closed further up.
int64_t bytes_in(int folder) {
  if (::fchdir(folder) != 0) return 0;
  char here[] = ".";
  char* const roots[] = {here, nullptr};
  FTS* tree = ::fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (tree == nullptr) return 0;
  int64_t bytes = 0;
  std::set<ino_t> seen;
  while (const FTSENT* entry = ::fts_read(tree)) {
    if (entry->fts_info != FTS_F) continue;
    if (entry->fts_statp->st_nlink > 1 && !seen.insert(entry->fts_statp->st_ino).second) continue;
    bytes = add_sizes(bytes, entry->fts_statp->st_size);
  }
  ::fts_close(tree);
  return bytes;
}

// The writable layers, by containers' ids. They belong to the containers' users: one look, as their root.
Result<std::map<std::string, int64_t>> writable_bytes(const Paths& paths, const std::vector<Container>& containers,
                                                      const IdMap& map) {
  std::vector<std::pair<std::string, Fd>> folders;
  for (const Container& container : containers) {
    Result<Fd> upper = sys::open_at(AT_FDCWD, cat(paths.lasting_containers(), "/", container.record.id, "/upper"),
                                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (upper.ok()) folders.emplace_back(container.record.id, std::move(upper).value());
  }
  std::map<std::string, int64_t> sizes;
  if (folders.empty()) return sizes;
  auto [reading, writing] = TRY(sys::make_pipe());
  sys::Child child = TRY(sys::start_in_user_namespace(map, [&] {
    std::string text;
    for (const auto& [id, folder] : folders) text += cat(id, " ", bytes_in(folder.get()), "\n");
    return sys::write_all(writing.get(), text, "pipe").ok() ? 0 : 1;
  }));
  writing.reset();
  const std::string text = TRY(sys::read_stream(reading.get(), "sizes", 16u << 20));
  TRY(child.wait());
  for (const std::string_view line : split(text, '\n')) {
    const auto [id, bytes] = cut(line, ' ');
    if (bytes) sizes[std::string(id)] = parse_number<int64_t>(*bytes).value_or(0);
  }
  return sizes;
}

}  // namespace

Result<DiskUsage> disk_usage(const Paths& paths, const IdMap& map) {
  const ImageStore store(paths.data);
  DiskUsage usage;
  const std::vector<Container> containers = TRY(list_containers(paths));
  struct Layer {
    int64_t bytes = 0;
    size_t images = 0;
    bool used = false;
  };
  std::map<std::string, Layer> layers;
  for (Image& image : TRY(store.list_parts())) {
    ImageUsage one{.image = std::move(image)};
    for (const Container& container : containers) one.containers += container.record.image_id == one.image.id ? 1 : 0;
    std::set<std::string> own;  // the same layer may stand twice in an image
    for (const ImageLayer& layer : one.image.layers) {
      if (!own.insert(layer.diff_id).second) continue;
      Layer& known = layers[layer.diff_id];
      if (known.images++ == 0) known.bytes = add_sizes(store.size(one.image, layer), layer.blob.size);
      known.used = known.used || one.containers > 0;
    }
    usage.images.push_back(std::move(one));
  }
  for (ImageUsage& one : usage.images) {
    std::set<std::string> own;
    for (const ImageLayer& layer : one.image.layers) {
      if (!own.insert(layer.diff_id).second) continue;
      const Layer& known = layers[layer.diff_id];
      one.size = add_sizes(one.size, known.bytes);
      int64_t& part = known.images > 1 ? one.shared : one.unique;
      part = add_sizes(part, known.bytes);
    }
  }
  for (const auto& [diff_id, layer] : layers) {
    usage.image_bytes = add_sizes(usage.image_bytes, layer.bytes);
    if (!layer.used) usage.reclaimable_image_bytes = add_sizes(usage.reclaimable_image_bytes, layer.bytes);
  }
  const std::map<std::string, int64_t> sizes = TRY(writable_bytes(paths, containers, map));
  for (const Container& container : containers) {
    const auto size = sizes.find(container.record.id);
    usage.containers.push_back({container, size != sizes.end() ? size->second : 0});
  }
  return usage;
}

}  // namespace moss::engine
