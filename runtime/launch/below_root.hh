// Paths below the container's root: opened, and made where they are missing. For parent and child alike; see raw.hh.
//
// Everything is opened with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) from the root's descriptor. A rootfs may
// hold any symlink and its owner may swap folders while we look: then what is reached is another place of the rootfs,
// never one outside, and what was opened is what is used from there on.
#pragma once

#include <sys/types.h>

namespace moss::runtime {

class BelowRoot {
 public:
  BelowRoot() = default;
  /// `root` is borrowed, and must stay open as long as this is used.
  explicit BelowRoot(int root) : root_(root) {}

  /// The root itself. -1 with errno where it is not there yet and "/" cannot be opened: after pivot_root(2), and in an
  /// exec, the root is "/".
  int root();
  void set_root(int root) { root_ = root; }

  // Each gives a descriptor, or -1 with errno.

  int open(const char* path, int flags, mode_t mode = 0);
  /// The folder that holds the last part of `path`, made if need be. `name` points into `path`.
  int open_parent(const char* path, const char** name);
  /// mkdir -p, part by part from the top; gives the last one.
  int make_dirs(const char* path, mode_t mode);
  /// Something to mount on: a folder for a folder (S_IFDIR), a file for anything else; made if it is missing.
  int open_target(const char* path, mode_t type);

  /// Attaches a mount there. 0 or an errno.
  int attach(int mount, const char* destination, mode_t type);

 private:
  int root_ = -1;
};

/// move_mount(2) of a mount over what a descriptor stands for. 0 or an errno.
int cover(int mount, int target);

}  // namespace moss::runtime
