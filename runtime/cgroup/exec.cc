// The cgroup of a process that joins a running container.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/mountinfo.hh"
#include "runtime/cgroup/scope.hh"

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
    rest.insert(0, name, name.rfind('/'));
    name = parent_of(name);
  }
  return folder;
}

// To move a process one must be allowed to write cgroup.procs of the folder that old and new place share. A user's
// login session and what their systemd manages share only a folder of root's.
Result<bool> may_move_into(const std::string& folder) {
  const std::string own = own_cgroups(TRY(sys::read_kernel_file("/proc/self/cgroup"))).unified.value_or("/");
  std::string mount = folder;
  struct statfs status;
  while (mount != "/" && ::statfs(parent_of(mount).c_str(), &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC) {
    mount = parent_of(mount);
  }
  std::string shared = folder;
  while (shared != mount && !is_within(below(mount, own), shared)) shared = parent_of(shared);
  return ::faccessat(AT_FDCWD, below(shared, "cgroup.procs").c_str(), W_OK, AT_EACCESS) == 0;
}

Result<Ok> open_unified(ExecCgroup& found, const CgroupRecord& record, const std::string& folder) {
  if (TRY(may_move_into(folder))) {
    found.clone_fd = TRY(sys::open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY));
    return Ok{};
  }
  const size_t at = folder.find(cat('/', record.unit, '/'));
  if (record.unit.empty() || !record.user_bus) {
    return Error(EACCES, "join the container's cgroup ", folder,
                 ": from the caller's own no process may be moved there; run this where the container was created");
  }
  found.unit = record.unit;
  found.inside = at == std::string::npos ? "/" : folder.substr(at + record.unit.size() + 1);
  return Ok{};
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
    TRY(open_unified(found, record, room));
  }
  return found;
}

Result<Ok> enter_exec_cgroup(const ExecCgroup& cgroup, pid_t pid) {
  for (const std::string& folder : cgroup.folders) TRY(add_process(folder, pid));
  if (!cgroup.unit.empty()) TRY(attach_to_scope(cgroup.unit, cgroup.inside, pid));
  return Ok{};
}

}  // namespace moss::runtime
