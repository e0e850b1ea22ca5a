// The cgroup of a process that joins a running container.
#include <fcntl.h>

#include <algorithm>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/mountinfo.hh"

namespace moss::runtime {

namespace {

// A cgroup that hands controllers down holds no processes. The container's own init (systemd, say) has done that and
// lives further down.
Result<std::string> folder_with_room(const std::string& folder, pid_t init) {
  const std::string enabled = TRY(read_control(folder, "cgroup.subtree_control"));
  if (enabled.empty()) return folder;
  const OwnCgroups own = own_cgroups(TRY(sys::read_kernel_file(cat("/proc/", init, "/cgroup"))));
  if (!own.unified) return folder;
  // /proc counts from the root of what the caller sees, the folder from a mount: what they end in is the same.
  std::string name = *own.unified;
  std::string rest;
  while (name != "/") {
    if (folder.ends_with(name)) return folder + rest;
    rest = name.substr(name.rfind('/')) + rest;
    name = parent_of(name);
  }
  return folder;
}

}  // namespace

Result<ExecCgroup> open_exec_cgroup(const CgroupRecord& record, pid_t init, const std::string& subgroup) {
  ExecCgroup found;
  const std::string clean = TRY(clean_cgroup_path(subgroup).context("--cgroup"));
  if (record.folders.empty()) {
    if (clean != "/") return Error(0, "--cgroup ", printable(subgroup), ": the container has no cgroup of its own");
    return found;
  }
  for (const auto& [key, folder] : record.folders) {
    const std::string target = below(folder, clean);
    if (!folder_exists(target)) {
      return Error(ENOENT, clean == "/" ? "" : cat("--cgroup ", printable(subgroup), ": "), "the cgroup ", target,
                   " does not exist");
    }
    if (!is_unified(record)) {
      found.folders.push_back(target);
      continue;
    }
    const std::string room = clean == "/" ? TRY(folder_with_room(target, init)) : target;
    found.clone_fd = TRY(sys::open_at(AT_FDCWD, room, O_PATH | O_DIRECTORY));
  }
  return found;
}

Result<Ok> enter_exec_cgroup(const ExecCgroup& cgroup, pid_t pid) {
  for (const std::string& folder : cgroup.folders) TRY(add_process(folder, pid));
  return Ok{};
}

}  // namespace moss::runtime
