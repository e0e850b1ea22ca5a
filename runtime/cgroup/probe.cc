// Which cgroups there are, and which of them the caller may use.
//
// /proc/self/mountinfo says where the trees are, /proc/self/cgroup where the caller is in each, and access(2) how far
// up its rights go. All of it costs 0.1 ms, so a caller who could not use a cgroup and asks for none is spared most of
// it.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "moss/runtime/cgroup.hh"
#include "moss/sys/file.hh"
#include "runtime/cgroup/mountinfo.hh"

namespace moss::runtime {

namespace {

bool is_writable(const std::string& path) { return ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0; }

// To make a cgroup one must write the folder; to move a process, cgroup.procs of the folder both places are in.
bool may_use(const CgroupTree& tree, const std::string& cgroup) {
  const std::string folder = below(tree.mount, cgroup);
  return is_writable(folder) && is_writable(below(folder, "cgroup.procs"));
}

std::optional<std::string> highest_delegated(const CgroupTree& tree) {
  if (may_use(tree, "/")) return "/";
  std::string cgroup = tree.own;
  if (cgroup == "/" || !may_use(tree, cgroup)) return std::nullopt;
  while (may_use(tree, parent_of(cgroup))) cgroup = parent_of(cgroup);
  return cgroup;
}

// The controllers that can be handed to a cgroup below `cgroup`.
Result<std::vector<std::string>> controllers_at(const CgroupTree& tree, const std::string& cgroup) {
  std::vector<std::string> names;
  const std::string text = TRY(read_control(below(tree.mount, cgroup), "cgroup.controllers"));
  for (const std::string_view name : split(text, ' ')) {
    if (!name.empty()) names.emplace_back(name);
  }
  return names;
}

// Root of the first user namespace is root; of any other, an ordinary user of its parent.
Result<bool> is_ordinary(const sys::Host& host) {
  if (host.uid != 0) return true;
  return trim(TRY(sys::read_kernel_file("/proc/self/uid_map"))) != "0          0 4294967295";
}

}  // namespace

Result<CgroupHost> probe_cgroups(const sys::Host& host, bool asks) {
  CgroupHost found{.mode = sys::CgroupMode::none,
                   .v1 = {},
                   .v2 = {},
                   .ordinary = TRY(is_ordinary(host)),
                   .clone_into = host.kernel >= sys::KernelVersion{5, 7}};
  const bool could_do_without = found.ordinary && !asks;
  if (could_do_without && host.cgroups != sys::CgroupMode::v2) return found;
  if (could_do_without) {
    // The unified tree alone, at its usual place: /proc/self/cgroup tells everything.
    found.v2 = CgroupTree{.controllers = {}, .mount = "/sys/fs/cgroup", .own = {}, .delegated = {}, .key = {}};
    const std::string own = TRY(sys::read_kernel_file("/proc/self/cgroup"));
    found.v2->own = own_cgroups(own).unified.value_or("/");
  } else {
    CgroupMounts mounts = parse_cgroup_mounts(TRY(sys::read_kernel_file("/proc/self/mountinfo")),
                                              TRY(sys::read_kernel_file("/proc/self/cgroup")));
    found.v1 = std::move(mounts.v1);
    found.v2 = std::move(mounts.v2);
  }
  for (CgroupTree& tree : found.v1) tree.delegated = highest_delegated(tree);
  if (found.v2) {
    found.v2->delegated = highest_delegated(*found.v2);
    if (found.v2->delegated) found.v2->controllers = TRY(controllers_at(*found.v2, *found.v2->delegated));
  }
  const bool has_v1 = std::any_of(found.v1.begin(), found.v1.end(),
                                  [](const CgroupTree& tree) { return !tree.key.starts_with("name="); });
  if (found.v2) found.mode = has_v1 ? sys::CgroupMode::hybrid : sys::CgroupMode::v2;
  if (!found.v2 && !found.v1.empty()) found.mode = sys::CgroupMode::v1;
  found.systemd = ::access("/run/systemd/system", F_OK) == 0;
  return found;
}

}  // namespace moss::runtime
