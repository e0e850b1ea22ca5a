// The mount options of runtime-spec (config.md "Linux mount options") sorted into what the kernel's calls take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
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
  bool copy_up = false;          ///< tmpcopyup
  bool idmap = false;            ///< idmap, ridmap
  bool idmap_recursive = false;  ///< ridmap
  std::string idmap_ranges;  ///< of "idmap=uids=0-1-10#10-11-10;gids=0-100-10", crun's: what is behind the first "="
  std::vector<std::string> data;  ///< for the filesystem itself: "mode=755", "sync"
};

/// Pure. Unknown options are the filesystem's, as the spec wants it.
MountOptions parse_mount_options(const std::vector<std::string>& options);

/// `idmap_ranges` as a map: from the ids on the filesystem to those of the host. A list that begins with "@" speaks of
/// ids of the container instead, whose own maps are given. Pure. Errors: another form; no uids or no gids; an id that
/// the container does not have.
Result<IdMap> parse_idmap_ranges(const std::string& ranges, const IdMap& container);

/// Every option with a meaning of its own here, as `features` lists them. Pure.
std::vector<std::string> known_mount_options();

}  // namespace moss::runtime
