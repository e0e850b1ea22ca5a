// The files of any two containers or images compared: moss diff with two names.
//
// Podman's rules, where the second name is not the first one's parent: a folder with a change in it is changed, of a
// folder that is gone only the folder is told, and a file is changed where its size, time, mode, owner, device, link
// or attributes are other ones. Contents are not read.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "moss/engine/container_files.hh"
#include "src/engine/containers/changes.hh"
#include "src/engine/containers/container_layers.hh"
#include "src/engine/containers/work_inside.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxAttributeBytes = 64u << 10;

using Attributes = std::map<std::string, std::string>;

// An entry by a path that follows no link, the entry itself excepted, and opens nothing: it may be a pipe.
std::string by_descriptor(const MergedEntry& entry, const std::string& name) {
  if (!entry.dir.empty()) return cat("/proc/self/fd/", entry.dir.front().get(), "/.");
  return cat("/proc/self/fd/", entry.parent.get(), "/", name);
}

// Those that are a file's own: not the kernel's, a policy's or overlayfs's.
Result<Attributes> attributes_of(const std::string& place, const std::string& path) {
  Attributes attributes;
  std::string names(kMaxAttributeBytes, '\0');
  const ssize_t size = ::llistxattr(place.c_str(), names.data(), names.size());
  // Gone meanwhile, or of a kind that has none.
  if (size < 0 && (errno == ENOENT || errno == ENOTSUP)) return attributes;
  if (size < 0) return sys_error("list extended attributes of ", printable(path));
  names.resize(static_cast<size_t>(size));
  for (const std::string_view name : split(names, '\0')) {
    if (name.starts_with("user.overlay.") || (!name.starts_with("user.") && name != "security.capability")) continue;
    std::string value(kMaxAttributeBytes, '\0');
    const ssize_t got = ::lgetxattr(place.c_str(), std::string(name).c_str(), value.data(), value.size());
    if (got < 0) continue;  // taken away meanwhile
    value.resize(static_cast<size_t>(got));
    attributes.emplace(name, std::move(value));
  }
  return attributes;
}

std::string target_of(const std::string& place) {
  char target[4096];  // PATH_MAX: no link is longer
  const ssize_t length = ::readlink(place.c_str(), target, sizeof target);
  return std::string(target, length > 0 ? static_cast<size_t>(length) : 0);
}

// A folder's own time and size change with whatever is in it.
bool same_status(const struct stat& now, const struct stat& before) {
  if (now.st_mode != before.st_mode || now.st_uid != before.st_uid || now.st_gid != before.st_gid ||
      now.st_rdev != before.st_rdev) {
    return false;
  }
  if (S_ISDIR(now.st_mode)) return true;
  // Layers with times in whole seconds stand beside those with fractions.
  const bool same_fraction =
      now.st_mtim.tv_nsec == before.st_mtim.tv_nsec || now.st_mtim.tv_nsec == 0 || before.st_mtim.tv_nsec == 0;
  return now.st_size == before.st_size && now.st_mtim.tv_sec == before.st_mtim.tv_sec && same_fraction;
}

Result<bool> is_same(const MergedEntry& now, const MergedEntry& before, const std::string& name,
                     const std::string& path) {
  if (!same_status(now.status, before.status)) return false;
  const std::string here = by_descriptor(now, name);
  const std::string there = by_descriptor(before, name);
  if (S_ISLNK(now.status.st_mode) && target_of(here) != target_of(there)) return false;
  return TRY(attributes_of(here, path)) == TRY(attributes_of(there, path));
}

class FilesComparer {
 public:
  explicit FilesComparer(ChangeWriter& out) : out_(out) {}

  // Whether anything below differs.
  Result<bool> compare(const MergedDir& now, const MergedDir& before, const std::string& path, size_t depth = 0) {
    if (depth > kMaxDepth) return too_deep(path);
    bool differs = false;
    const std::vector<std::string> gone = TRY(names_in(before));
    const std::vector<std::string> here = TRY(names_in(now));
    for (const std::string& name : gone) {
      if (std::binary_search(here.begin(), here.end(), name)) continue;
      differs = true;
      TRY(out_.write('D', cat(path, "/", name)));
    }
    for (const std::string& name : here) {
      if (TRY(compare_entry(now, before, name, cat(path, "/", name), depth))) differs = true;
    }
    return differs;
  }

 private:
  Result<bool> compare_entry(const MergedDir& now, const MergedDir& before, const std::string& name,
                             const std::string& path, size_t depth) {
    const std::optional<MergedEntry> entry = look_up(now, name);
    if (!entry) return false;  // gone meanwhile
    const std::optional<MergedEntry> old = look_up(before, name);
    const MergedDir nothing;
    // What was in a folder that is none any more went with it.
    const bool may_keep = old && S_ISDIR(entry->status.st_mode);
    const bool inside = TRY(compare(entry->dir, may_keep ? old->dir : nothing, path, depth + 1));
    if (!old) {
      TRY(out_.write('A', path));
      return true;
    }
    const bool same = TRY(is_same(*entry, *old, name, path));
    if (same && !inside) return false;
    TRY(out_.write('C', path));
    return true;
  }

  ChangeWriter& out_;
};

}  // namespace

Result<FileSet> container_files(const Container& container) {
  ContainerLayers layers = TRY(container_layers(container));
  FileSet files{.folders = layers.all(), .map = layers.map, .of_container = true};
  // The mount points that moss puts below every container are no files of its.
  if (layers.is_overlay && !files.folders.empty()) files.folders.pop_back();
  return files;
}

Result<FileSet> image_files(ImageStore& store, const Image& image, const IdMap& map) {
  return FileSet{.folders = TRY(store.prepare_layers(image, map)), .map = map, .of_container = false};
}

Result<std::vector<Change>> changes_between(const FileSet& before, const FileSet& now) {
  if (!(before.map == now.map)) {
    return Error(0, "the two map ids differently (--userns, --uidmap), and whose a file is cannot be compared");
  }
  const FoldersInside old(before.folders);
  const FoldersInside folders(now.folders);
  const auto compare = [&](ChangeWriter& out) -> Result<Ok> {
    const MergedDir old_dir = TRY(old.open());
    const MergedDir dir = TRY(folders.open());
    TRY(FilesComparer(out).compare(dir, old_dir, ""));
    return Ok{};
  };
  std::vector<Change> changes = TRY(collect_changes(now.map, compare));
  if (before.of_container || now.of_container) {
    std::erase_if(changes, [](const Change& change) {
      return change.path != "/tmp" && std::find(kOwnPlaces.begin(), kOwnPlaces.end(), change.path) != kOwnPlaces.end();
    });
  }
  return changes;
}

}  // namespace moss::engine
