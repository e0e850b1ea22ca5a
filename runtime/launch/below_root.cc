// See below_root.hh.
#include "runtime/launch/below_root.hh"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <climits>

#include "runtime/launch/raw.hh"

namespace moss::runtime {

int BelowRoot::root() {
  if (root_ < 0) root_ = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return root_;
}

int BelowRoot::open(const char* path, int flags, mode_t mode) {
  const int from = root();
  return from < 0 ? -1 : open_at_with(from, path, flags, mode, kBelow);
}

int BelowRoot::open_parent(const char* path, const char** name) {
  const char* slash = ::strrchr(path, '/');
  *name = slash == nullptr ? path : slash + 1;
  const size_t length = slash == nullptr ? 0 : static_cast<size_t>(slash - path);
  char parent[PATH_MAX];
  if (length >= sizeof parent) {
    errno = ENAMETOOLONG;
    return -1;
  }
  ::memcpy(parent, path, length);
  ::memcpy(parent + length, length == 0 ? "/" : "", length == 0 ? 2 : 1);
  const int fd = open(parent, O_PATH | O_DIRECTORY);
  return fd >= 0 || errno != ENOENT ? fd : make_dirs(parent, 0755);
}

int BelowRoot::make_dirs(const char* path, mode_t mode) {
  char prefix[PATH_MAX];
  const size_t length = ::strlen(path);
  if (length >= sizeof prefix) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int at = open("/", O_PATH | O_DIRECTORY);
  for (size_t start = 0; at >= 0 && start < length;) {
    while (start < length && path[start] == '/') ++start;
    size_t end = start;
    while (end < length && path[end] != '/') ++end;
    if (end == start) break;
    ::memcpy(prefix, path, end);
    prefix[end] = '\0';
    const Held parent(at);
    // Resolved from the root each time: a part may be a symlink, and ".." in it means the root's own view.
    at = open(prefix, O_PATH | O_DIRECTORY);
    if (at < 0 && errno == ENOENT) {
      if (::mkdirat(parent.get(), prefix + start, mode) != 0 && errno != EEXIST) return -1;
      at = open(prefix, O_PATH | O_DIRECTORY);
    }
    start = end;
  }
  return at;
}

int BelowRoot::open_target(const char* path, mode_t type) {
  if (type == S_IFDIR) {
    const int fd = open(path, O_PATH | O_DIRECTORY);
    return fd >= 0 || errno != ENOENT ? fd : make_dirs(path, 0755);
  }
  const int existing = open(path, O_PATH);
  if (existing >= 0 || errno != ENOENT) return existing;
  const char* name = nullptr;
  const Held parent(open_parent(path, &name));
  if (!parent) return -1;
  const int made = ::openat(parent.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (made >= 0 || errno != EEXIST) return made;
  // A symlink whose target is missing: the target is made, where it lies inside.
  return open(path, O_WRONLY | O_CREAT | O_NOCTTY | O_NONBLOCK, 0644);
}

int BelowRoot::attach(int mount, const char* destination, mode_t type) {
  const Held target(open_target(destination, type));
  return target ? cover(mount, target.get()) : errno;
}

int cover(int mount, int target) {
  return check(::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

}  // namespace moss::runtime
