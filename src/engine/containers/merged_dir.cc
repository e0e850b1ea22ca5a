// Layers looked through as overlayfs would. See the header.
#include "src/engine/containers/merged_dir.hh"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include <algorithm>
#include <memory>

#include "moss/sys/file.hh"

namespace moss::engine {

bool is_whiteout(int dir, const std::string& name, const struct stat& status) {
  if (S_ISCHR(status.st_mode) && status.st_rdev == 0) return true;
  if (!S_ISREG(status.st_mode) || status.st_size != 0) return false;
  Result<Fd> file = sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return file.ok() && ::fgetxattr(file->get(), "user.overlay.whiteout", nullptr, 0) >= 0;
}

bool is_opaque(int dir) {
  char value = 0;
  return ::fgetxattr(dir, "user.overlay.opaque", &value, 1) == 1 && value == 'y';
}

std::optional<MergedEntry> look_up(const MergedDir& dir, const std::string& name) {
  MergedEntry found;
  for (const Fd& layer : dir) {
    struct stat status;
    if (::fstatat(layer.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (is_whiteout(layer.get(), name, status)) break;
    if (S_ISDIR(status.st_mode)) {
      Result<Fd> sub = sys::open_at(layer.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!sub.ok()) break;
      if (found.dir.empty()) found.status = status;
      const bool opaque = is_opaque(sub->get());
      found.dir.push_back(std::move(sub).value());
      if (opaque) break;
      continue;
    }
    if (!found.dir.empty()) break;
    found.parent = Fd(::fcntl(layer.get(), F_DUPFD_CLOEXEC, 3));
    found.status = status;
    return found;
  }
  if (found.dir.empty()) return std::nullopt;
  return found;
}

Result<std::vector<std::string>> names_in(int dir) {
  // A descriptor of its own: reading moves its place.
  Fd own = TRY(sys::open_at(dir, ".", O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
  if (!stream) return sys_error("list a folder");
  (void)own.release();
  std::vector<std::string> names;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return sys_error("list a folder");
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<std::string>> names_in(const MergedDir& dir) {
  std::vector<std::string> all;
  for (const Fd& layer : dir) {
    std::vector<std::string> names = TRY(names_in(layer.get()));
    all.insert(all.end(), std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
  }
  if (dir.size() > 1) std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  // What the topmost layer that knows it takes away is not there.
  std::erase_if(all, [&](const std::string& name) {
    for (const Fd& layer : dir) {
      struct stat status;
      if (::fstatat(layer.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
        return is_whiteout(layer.get(), name, status);
      }
    }
    return true;
  });
  return all;
}

}  // namespace moss::engine
