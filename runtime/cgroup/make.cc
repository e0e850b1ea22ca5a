// A container's cgroup in the making.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/devices.hh"
#include "runtime/cgroup/mountinfo.hh"
#include "runtime/cgroup/scope.hh"

namespace moss::runtime {

namespace {

// A folder that was there already may be another container's, or what a killed one left frozen.
Result<Ok> check_unused(const std::string& folder) {
  if (TRY(all_processes(folder)).empty()) return Ok{};
  return Error(EEXIST, "the cgroup ", folder, " has processes in it already; choose another linux.cgroupsPath");
}

// v1: a new cpuset has neither processors nor memory nodes, and takes no process before it has both.
Result<Ok> fill_cpuset(const std::string& mount, const std::string& folder) {
  if (folder == mount) return Ok{};
  const std::string parent = parent_of(folder);
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    if (!TRY(read_control(folder, file)).empty()) continue;
    TRY(fill_cpuset(mount, parent));
    const std::string inherited = TRY(read_control(parent, file));
    TRY(write_control(folder, file, inherited));
  }
  return Ok{};
}

// What the kernel says may be given away: "cgroup.procs", "cgroup.subtree_control", …
Result<Ok> give_to(const std::string& folder, uint32_t owner) {
  if (owner == ::geteuid()) return Ok{};
  const Fd dir = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
  if (::fchown(dir.get(), owner, static_cast<gid_t>(-1)) != 0)
    return sys_error("give ", folder, " to the container's root");
  std::string files = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
  // Missing before Linux 4.15.
  if (Result<std::string> listed = sys::read_kernel_file("/sys/kernel/cgroup/delegate"); listed.ok()) files = *listed;
  for (const std::string_view file : split(files, '\n')) {
    if (file.empty() || file.find('/') != std::string_view::npos) continue;
    const std::string name(file);
    if (::fchownat(dir.get(), name.c_str(), owner, static_cast<gid_t>(-1), AT_SYMLINK_NOFOLLOW) != 0 &&
        errno != ENOENT) {
      return sys_error("give ", folder, "/", name, " to the container's root");
    }
  }
  return Ok{};
}

Result<Ok> filter_devices(const CgroupPlan& plan, const std::string& folder) {
  if (plan.device_filter.empty()) return Ok{};
  const Fd dir = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
  return attach_device_filter(dir.get(), plan.device_filter, plan.record.rootless);
}

Result<Ok> make_unified(CgroupPlan& plan, std::vector<std::string>& made) {
  const std::string& folder = plan.record.folders.at("");
  TRY(make_folder(plan.mounts.at(""), folder, made));
  TRY(enable_controllers(plan.enable_from, folder, plan.controllers, plan.writes));
  return Ok{};
}

// Everything a v2 folder is told, once it is there and has its controllers.
Result<Ok> fit_out_unified(const CgroupPlan& plan) {
  const std::string& folder = plan.record.folders.at("");
  TRY(apply_writes(plan.record, plan.writes));
  TRY(filter_devices(plan, folder));
  if (plan.owner) TRY(give_to(folder, *plan.owner));
  return Ok{};
}

Result<Ok> make_v1(CgroupPlan& plan, std::vector<std::string>& made) {
  for (const auto& [key, folder] : plan.record.folders) {
    const std::string& mount = plan.mounts.at(key);
    TRY(make_folder(mount, folder, made));
    if (folder_of(plan.record, "cpuset") == &folder) TRY(fill_cpuset(mount, folder));
  }
  return Ok{};
}

// The folders a process is in, once systemd has moved it.
Result<std::map<std::string, std::string>> folders_of_process(const CgroupPlan& plan, pid_t pid) {
  const OwnCgroups own = own_cgroups(TRY(sys::read_kernel_file(cat("/proc/", pid, "/cgroup"))));
  std::map<std::string, std::string> folders;
  const auto unified = plan.mounts.find("");
  if (own.unified && unified != plan.mounts.end()) folders[""] = below(unified->second, *own.unified);
  // systemd keeps its own tree of v1; the container's folders in all the others have the same name.
  const auto named = own.v1.find("name=systemd");
  for (const auto& [key, mount] : plan.mounts) {
    if (!key.empty() && named != own.v1.end()) folders[key] = below(mount, named->second);
  }
  return folders;
}

}  // namespace

Result<Cgroup> Cgroup::prepare(CgroupPlan plan) {
  Cgroup cgroup(std::move(plan));
  CgroupPlan& todo = cgroup.plan_;
  // The plan says what would be made; from here on the record says what is.
  std::vector<std::string>& made = todo.record.made;
  made.clear();
  if (todo.empty() || !todo.record.unit.empty()) return cgroup;
  const bool unified = is_unified(todo.record);
  TRY(unified ? make_unified(todo, made) : make_v1(todo, made));
  for (const auto& [key, folder] : todo.record.folders) {
    if (std::find(made.begin(), made.end(), folder) == made.end()) TRY(check_unused(folder));
  }
  // A process that is born frozen never gets to say so.
  if (TRY(is_cgroup_frozen(todo.record)) || TRY(is_frozen_elsewhere(todo.record))) {
    return Error(0, "container's cgroup unexpectedly frozen: ", todo.record.folders.rbegin()->second);
  }
  cgroup.is_ours_ = true;
  TRY(unified ? fit_out_unified(todo) : apply_writes(todo.record, todo.writes));
  if (unified && todo.clone_into) {
    cgroup.clone_fd_ = TRY(sys::open_at(AT_FDCWD, todo.record.folders.at(""), O_PATH | O_DIRECTORY));
  }
  return cgroup;
}

bool Cgroup::must_enter() const { return !plan_.empty() && !clone_fd_; }

Result<Ok> Cgroup::enter(pid_t pid) {
  if (!must_enter()) return Ok{};
  if (plan_.record.unit.empty()) {
    for (const auto& [key, folder] : plan_.record.folders) TRY(add_process(folder, pid));
    return Ok{};
  }
  TRY(start_scope(plan_, pid, is_ours_));
  plan_.record.folders = TRY(folders_of_process(plan_, pid));
  if (!plan_.subgroup.empty()) {
    for (auto& [key, folder] : plan_.record.folders) folder = below(folder, plan_.subgroup);
  }
  const bool unified = is_unified(plan_.record);
  if (unified) {
    const std::string& folder = plan_.record.folders.at("");
    const std::string scope =
        plan_.subgroup.empty() ? folder : folder.substr(0, folder.size() - plan_.subgroup.size() - 1);
    if (!plan_.subgroup.empty()) {
      TRY(make_folder(scope, folder, plan_.record.made));
      // The scope hands controllers down only when it is empty itself.
      TRY(add_process(folder, pid));
      const std::string available = TRY(read_control(scope, "cgroup.controllers"));
      const std::vector<std::string_view> controllers = split(available, ' ');
      TRY(enable_controllers(scope, folder, {controllers.begin(), controllers.end()}, plan_.writes));
    }
    return fit_out_unified(plan_);
  }
  TRY(make_v1(plan_, plan_.record.made));
  for (const auto& [key, folder] : plan_.record.folders) TRY(add_process(folder, pid));
  return apply_writes(plan_.record, plan_.writes);
}

CgroupRecord Cgroup::keep() {
  owned_ = false;
  return plan_.record;
}

Cgroup::Cgroup(Cgroup&& other) noexcept
    : plan_(std::move(other.plan_)),
      clone_fd_(std::move(other.clone_fd_)),
      owned_(std::exchange(other.owned_, false)),
      is_ours_(other.is_ours_) {}

Cgroup::~Cgroup() {
  if (!owned_ || plan_.empty()) return;
  // Folders that are not ours are not in `made`; a unit has no such mark.
  if (is_ours_) (void)kill_cgroup(plan_.record, SIGKILL);
  if (is_ours_ || plan_.record.unit.empty()) (void)remove_cgroup(plan_.record);
}

}  // namespace moss::runtime
