// The mount options of runtime-spec (config.md "Linux mount options") sorted into what the kernel's calls take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::runtime {

struct MountOptions {
  bool bind = false;
  bool recursive_bind = false;
  bool remount = false;
  uint64_t set = 0;          ///< MOUNT_ATTR_… of the mount itself
  uint64_t clear = 0;        ///< MOUNT_ATTR_…
  uint64_t set_below = 0;    ///< MOUNT_ATTR_… of the mount and of all that is mounted below it: the r… forms ("rro")
  uint64_t clear_below = 0;  ///< MOUNT_ATTR_…
  uint64_t propagation = 0;  ///< MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE
  bool propagation_recursive = false;
  bool copy_up = false;           ///< tmpcopyup
  bool idmap = false;             ///< idmap, ridmap
  bool idmap_recursive = false;   ///< ridmap
  std::vector<std::string> data;  ///< for the filesystem itself: "mode=755", "sync"
};

/// Pure. Unknown options are the filesystem's, as the spec wants it.
MountOptions parse_mount_options(const std::vector<std::string>& options);

/// Every option with a meaning of its own here, as `features` lists them. Pure.
std::vector<std::string> known_mount_options();

}  // namespace moss::runtime
