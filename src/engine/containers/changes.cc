// What a layer changes of those below: moss diff, and the sizes of ps --size.
#include "src/engine/containers/changes.hh"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "moss/base/sizes.hh"
#include "moss/engine/container_files.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "src/engine/containers/container_layers.hh"
#include "src/engine/containers/work_inside.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxChangesBytes = 1u << 30;

// A folder that was copied up for something in it, and is as it was.
bool is_unchanged(const struct stat& now, const struct stat& before) {
  return now.st_mode == before.st_mode && now.st_uid == before.st_uid && now.st_gid == before.st_gid &&
         now.st_mtim.tv_sec == before.st_mtim.tv_sec && now.st_mtim.tv_nsec == before.st_mtim.tv_nsec;
}

// Walks the topmost layer.
class Comparer {
 public:
  explicit Comparer(ChangeWriter& out) : out_(out) {}

  // Whether something directly in the folder came or went.
  Result<bool> compare(const Fd& upper, const MergedDir& lower, const std::string& path, size_t depth = 0) {
    if (depth > kMaxDepth) return too_deep(path);
    bool came_or_went = false;
    // A folder that hides what is below it has taken away all that it does not have itself.
    if (is_opaque(upper.get())) {
      const std::vector<std::string> names = TRY(names_in(lower));
      for (const std::string& name : names) {
        struct stat status;
        if (::fstatat(upper.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) continue;
        came_or_went = true;
        TRY(write('D', cat(path, "/", name)));
      }
    }
    const std::vector<std::string> names = TRY(names_in(upper.get()));
    for (const std::string& name : names) {
      const std::string here = cat(path, "/", name);
      struct stat status;
      // Gone meanwhile: nothing to tell of it.
      if (::fstatat(upper.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      std::optional<MergedEntry> below = look_up(lower, name);
      if (is_whiteout(upper.get(), name, status)) {
        if (below) TRY(write('D', here));
        came_or_went = came_or_went || below.has_value();
        continue;
      }
      came_or_went = came_or_went || !below;
      if (!S_ISDIR(status.st_mode)) {
        TRY(write(below ? 'C' : 'A', here));
      } else {
        TRY(compare_folder(upper, name, here, status, below, depth));
      }
    }
    return came_or_went;
  }

 private:
  Result<Ok> compare_folder(const Fd& upper, const std::string& name, const std::string& here,
                            const struct stat& status, const std::optional<MergedEntry>& below, size_t depth) {
    const Result<Fd> folder = sys::open_at(upper.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!folder.ok()) {
      // Swapped for something else since.
      const int code = folder.error().code();
      if (code == ENOENT || code == ENOTDIR || code == ELOOP) return Ok{};
      return Result<Ok>(folder.error()).context("look into ", printable(here));
    }
    const MergedDir nothing;
    const bool came_or_went = TRY(compare(*folder, below ? below->dir : nothing, here, depth + 1));
    if (!below) return write('A', here);
    const bool same = S_ISDIR(below->status.st_mode) && is_unchanged(status, below->status) && !came_or_went;
    return same ? Ok{} : write('C', here);
  }

  Result<Ok> write(char kind, const std::string& path) { return out_.write(kind, path); }

  ChangeWriter& out_;
};

Result<std::vector<Change>> compare_layers(const IdMap& map, const std::string& upper,
                                           const std::vector<std::string>& lower) {
  const FoldersInside top({upper});
  const FoldersInside below(lower);
  return collect_changes(map, [&](ChangeWriter& out) -> Result<Ok> {
    const MergedDir upper_dir = TRY(top.open());
    const MergedDir lower_dir = TRY(below.open());
    TRY(Comparer(out).compare(upper_dir.front(), lower_dir, ""));
    return Ok{};
  });
}

// Bytes in the files below a folder; a file with several names counts once.
Result<int64_t> bytes_below(const Fd& folder, std::set<std::pair<dev_t, ino_t>>& seen, size_t depth = 0) {
  if (depth > kMaxDepth) return too_deep("");
  int64_t bytes = 0;
  const std::vector<std::string> names = TRY(names_in(folder.get()));
  for (const std::string& name : names) {
    struct stat status;
    if (::fstatat(folder.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(status.st_mode)) {
      const Result<Fd> inner = sys::open_at(folder.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (inner.ok()) bytes = add_sizes(bytes, TRY(bytes_below(*inner, seen, depth + 1)));
    } else if (S_ISREG(status.st_mode) && (status.st_nlink < 2 || seen.insert({status.st_dev, status.st_ino}).second)) {
      bytes = add_sizes(bytes, status.st_size);
    }
  }
  return bytes;
}

}  // namespace

Result<Ok> ChangeWriter::write(char kind, const std::string& path) {
  text_ += kind;
  text_ += path;
  text_ += '\0';
  return text_.size() < (64u << 10) ? Ok{} : flush();
}

Result<Ok> ChangeWriter::flush() {
  TRY(sys::write_all(out_, text_, "changes"));
  text_.clear();
  return Ok{};
}

Result<std::vector<Change>> collect_changes(const IdMap& map,
                                            const std::function<Result<Ok>(ChangeWriter& out)>& work) {
  std::string text;
  Result<Ok> done = work_inside(
      map,
      [&](int out) -> Result<Ok> {
        ChangeWriter writer(out);
        TRY(work(writer));
        return writer.flush();
      },
      [&](int in) -> Result<Ok> {
        text = TRY(sys::read_stream(in, "the changes", kMaxChangesBytes));
        return Ok{};
      });
  if (!done.ok()) return std::move(done).error();
  std::vector<Change> changes;
  for (const std::string_view record : split(text, '\0')) {
    if (!record.empty()) changes.push_back({record.front(), std::string(record.substr(1))});
  }
  std::sort(changes.begin(), changes.end(),
            [](const Change& one, const Change& other) { return one.path < other.path; });
  return changes;
}

Error too_deep(const std::string& path) {
  return Error(0, excerpt(path, 200), ": folders in folders, more than ", kMaxDepth, " deep");
}

Result<ContainerSize> container_size(const Paths& paths, const Container& container) {
  const ContainerLayers layers = TRY(container_layers(container));
  ContainerSize size;
  const std::string& own = layers.is_overlay ? layers.upper : layers.lower.front();
  if (!own.empty()) {
    const FoldersInside folder({own});
    std::string text;
    Result<Ok> done = work_inside(
        layers.map,
        [&](int out) -> Result<Ok> {
          const MergedDir dir = TRY(folder.open());
          std::set<std::pair<dev_t, ino_t>> seen;
          const int64_t bytes = TRY(bytes_below(dir.front(), seen));
          return sys::write_all(out, cat(bytes), "a size");
        },
        [&](int in) -> Result<Ok> {
          text = TRY(sys::read_stream(in, "a size", 64));
          return Ok{};
        });
    if (!done.ok()) return std::move(done).context("measure ", container.record.name).error();
    size.writable = parse_number<int64_t>(text).value_or(0);
  }
  size.rootfs = size.writable;
  if (!container.record.image_id.empty()) {
    const ImageStore store(paths.data);
    if (const std::optional<Image> image = TRY(store.find("sha256:" + container.record.image_id))) {
      size.rootfs = add_sizes(size.rootfs, store.size(*image));
    }
  }
  return size;
}

Result<std::vector<Change>> container_changes(const Paths&, const Container& container) {
  const ContainerLayers layers = TRY(container_layers(container));
  if (!layers.is_overlay) {
    return Error(0, "container ", container.record.name, " runs in the folder ", printable(layers.lower.front()),
                 " itself (--rootfs): nobody kept what it was before");
  }
  if (layers.upper.empty()) return std::vector<Change>();
  std::vector<Change> changes = TRY(compare_layers(layers.map, layers.upper, layers.lower));
  std::erase_if(changes, [&](const Change& change) {
    const auto is_place = [&](const oci::Mount& mount) { return mount.destination == change.path; };
    const bool own = std::find(kOwnPlaces.begin(), kOwnPlaces.end(), change.path) != kOwnPlaces.end();
    // A folder that moss mounts on, with nothing in it that was written.
    return own && change.kind != 'D' && std::any_of(layers.config.mounts.begin(), layers.config.mounts.end(), is_place);
  });
  return changes;
}

Result<std::vector<Change>> image_changes(ImageStore& store, const Image& image) {
  const sys::Host host = TRY(sys::probe_host());
  const IdMap map = TRY(default_id_map(host)).map;
  std::vector<std::string> folders = TRY(store.prepare_layers(image, map));
  if (folders.empty()) return std::vector<Change>();
  const std::string top = folders.front();
  folders.erase(folders.begin());
  return compare_layers(map, top, folders);
}

}  // namespace moss::engine
