// The host, looked at once. Planning reads this value and never the machine, so that a plan can be printed and tested
// for a host that is not here.
#pragma once

#include <sys/types.h>

#include <compare>
#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::sys {

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

/// How cgroups are mounted at /sys/fs/cgroup. See cgroups(7).
enum class CgroupMode {
  none,    ///< nothing there
  v1,      ///< one tree a controller
  hybrid,  ///< v1 controllers, and a v2 tree at /sys/fs/cgroup/unified
  v2,      ///< the unified tree alone
};
const char* to_string(CgroupMode mode);

struct Host {
  uid_t uid = 0;  ///< effective
  gid_t gid = 0;
  KernelVersion kernel;
  CgroupMode cgroups = CgroupMode::none;
  /// v1 and hybrid, for root: the names of the folders below /sys/fs/cgroup that are trees of their own
  /// ("cpu,cpuacct").
  std::vector<std::string> cgroup_trees;
  /// Not inside a user namespace: id 0 is the machine's root.
  bool initial_user_namespace = true;
  /// The user namespace we are in allows setgroups(2).
  bool may_set_groups = true;
  bool selinux = false;  ///< mounted and enabled

  bool is_real_root() const { return uid == 0 && initial_user_namespace; }

  /// overlay takes "lowerdir+" one at a time through fsconfig(2); before, one mount(2) option must hold them all.
  bool has_overlay_lowerdir_append() const { return kernel >= KernelVersion{6, 8}; }
};

/// Host::initial_user_namespace, for who asks nothing else.
bool in_initial_user_namespace();

/// Identifies this boot: what was recorded under another one (a pid, what was not synced) means nothing any more.
std::string boot_id();

/// Looks at the machine: five system calls on an ordinary one.
Result<Host> probe_host();

}  // namespace moss::sys
