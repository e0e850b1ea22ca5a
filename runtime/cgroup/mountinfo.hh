// Where cgroups are mounted and which the caller is in, from the kernel's two lists. Pure. Private to runtime/cgroup.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "moss/runtime/cgroup.hh"
#include "runtime/cgroup/folders.hh"

namespace moss::runtime {

/// /proc/PID/cgroup: lines of "4:memory:/path", "1:name=systemd:/path" and, for v2, "0::/path".
struct OwnCgroups {
  std::map<std::string, std::string> v1;  ///< "cpu,cpuacct" to path
  std::optional<std::string> unified;
};
OwnCgroups own_cgroups(std::string_view proc_cgroup);

struct CgroupMounts {
  std::vector<CgroupTree> v1;
  std::optional<CgroupTree> v2;
};
/// The trees with their mount points and the caller's place in them; who may use what is still open.
/// A tree that is mounted twice counts where it is mounted whole, and below /sys/fs/cgroup if it can.
CgroupMounts parse_cgroup_mounts(std::string_view mountinfo, std::string_view proc_cgroup);

}  // namespace moss::runtime
