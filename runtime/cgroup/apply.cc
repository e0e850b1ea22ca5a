// The steps that make a cgroup what the plan says.
#include "runtime/cgroup/apply.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ranges>

#include "moss/sys/file.hh"
#include "runtime/cgroup/tree.hh"
#include "runtime/cgroup/wait.hh"

namespace moss::runtime {

const std::string* folder_of(const CgroupRecord& record, std::string_view controller) {
  if (is_unified(record)) return &record.folders.begin()->second;
  for (const auto& [key, folder] : record.folders) {
    const std::vector<std::string_view> names = split(key, ',');
    if (std::find(names.begin(), names.end(), controller) != names.end()) return &folder;
  }
  return nullptr;
}

bool is_unified(const CgroupRecord& record) {
  return record.folders.size() == 1 && record.folders.begin()->first.empty();
}

namespace {

Result<Ok> apply_write(const std::string& folder, const CgroupWrite& write) {
  Result<Ok> written = write_control(folder, write.file, write.value);
  if (written.ok() || written.error().code() != ENOENT) return written;
  if (write.optional) return Ok{};
  if (!write.other_file.empty()) {
    written = write_control(folder, write.other_file, write.other_value);
    if (written.ok() || written.error().code() != ENOENT) return written;
  }
  if (!folder_exists(folder)) return Error(ENOENT, "write ", write.file, ": the cgroup ", folder, " is gone");
  const std::string_view hint = write.file.find("memsw") != std::string::npos || write.file == "memory.swap.max"
                                    ? " (it does not count swap; boot with swapaccount=1)"
                                    : "";
  return Error(0, "the kernel has no ", write.file, " in ", folder, hint);
}

// Values that another one of the same controller may stand in the way of.
bool is_worth_another_try(int code) { return code == EINVAL; }

}  // namespace

Result<Ok> apply_writes(const CgroupRecord& record, const std::vector<CgroupWrite>& writes) {
  std::vector<const CgroupWrite*> again;
  for (const CgroupWrite& write : writes) {
    const std::string* folder = folder_of(record, write.controller);
    if (folder == nullptr) {
      if (write.optional) continue;
      return Error(0, "linux.resources.", write.limit, ": the container is in no cgroup with the controller ",
                   write.controller);
    }
    Result<Ok> written = apply_write(*folder, write);
    if (written.ok()) continue;
    if (!is_worth_another_try(written.error().code())) {
      if (written.error().code() == EBUSY && write.controller == "memory") {
        written.error().add_context("more than that is in use");
      }
      return std::move(written).context("linux.resources.", write.limit).error();
    }
    again.push_back(&write);
  }
  for (const CgroupWrite* write : again) {
    TRY(apply_write(*folder_of(record, write->controller), *write).context("linux.resources.", write->limit));
  }
  return Ok{};
}

Result<Ok> make_folder(const std::string& mount, const std::string& folder, std::vector<std::string>& made) {
  if (::mkdir(folder.c_str(), 0755) == 0) {
    made.push_back(folder);
    return Ok{};
  }
  if (errno == EEXIST) return Ok{};
  if (errno != ENOENT || folder == mount || folder == "/") return sys_error("make the cgroup ", folder);
  TRY(make_folder(mount, parent_of(folder), made));
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return sys_error("make the cgroup ", folder);
  made.push_back(folder);
  return Ok{};
}

Result<Ok> remove_folder(const std::string& folder) {
  Patience patience(5'000);
  while (::rmdir(folder.c_str()) != 0) {
    if (errno == ENOENT) return Ok{};
    if (errno != EBUSY && errno != ENOTEMPTY) return sys_error("remove the cgroup ", folder);
    if (TRY(remove_below(folder)) && ::rmdir(folder.c_str()) == 0) return Ok{};
    if (!patience.wait()) {
      const std::set<pid_t> left = TRY(all_processes(folder));
      return Error(EBUSY, "remove the cgroup ", folder, ": ", left.size(), " processes are still in it");
    }
  }
  return Ok{};
}

Result<Ok> remove_if_empty(const std::string& folder) {
  if (::rmdir(folder.c_str()) == 0 || errno == ENOENT || errno == EBUSY || errno == ENOTEMPTY) return Ok{};
  return sys_error("remove the cgroup ", folder);
}

namespace {

bool is_needed(const std::vector<CgroupWrite>& writes, const std::string& controller) {
  return std::any_of(writes.begin(), writes.end(),
                     [&](const CgroupWrite& write) { return write.controller == controller; });
}

// Controllers of these alone a cgroup hands down although it has processes in it; the cgroups below then take threads
// only, and no new process.
bool all_are_threaded(const std::vector<std::string>& controllers) {
  return std::all_of(controllers.begin(), controllers.end(), [](const std::string& controller) {
    return controller == "cpu" || controller == "cpuset" || controller == "perf_event" || controller == "pids";
  });
}

// The root of all is free of that rule, and is the only one without a type.
bool has_processes_of_its_own(const std::string& folder) {
  if (::access(cat(folder, "/cgroup.type").c_str(), F_OK) != 0) return false;
  const Result<std::string> pids = read_control(folder, "cgroup.procs");
  return pids.ok() && !pids->empty();
}

Error cannot_enable(const Error& error, const std::string& folder, const std::string& controller) {
  // cgroups(7): "no internal processes".
  const std::string_view why =
      error.code() == EBUSY
          ? " (it has processes in it, and then hands nothing down; move them to a cgroup of their own)"
          : "";
  return Error(error.code(), "enable the controller ", controller, " for what is below ", folder, why);
}

}  // namespace

Result<Ok> enable_controllers(const std::string& first, const std::string& last,
                              const std::vector<std::string>& controllers, const std::vector<CgroupWrite>& needed) {
  if (controllers.empty()) return Ok{};
  std::vector<std::string> folders;
  for (std::string folder = parent_of(last); is_within(folder, first); folder = parent_of(folder)) {
    folders.push_back(folder);
    if (folder == first || folder == "/") break;
  }
  const std::string all = cat('+', join(controllers, " +"));
  for (const std::string& folder : std::views::reverse(folders)) {
    const Result<Ok> together = all_are_threaded(controllers) && has_processes_of_its_own(folder)
                                    ? Result<Ok>(Error(EBUSY, "write cgroup.subtree_control"))
                                    : write_control(folder, "cgroup.subtree_control", all);
    if (together.ok()) continue;
    // One that is refused keeps all the others out, so each by itself: but none where there are processes.
    const bool busy = together.error().code() == EBUSY;
    for (const std::string& controller : controllers) {
      const Result<Ok> enabled =
          busy ? together : write_control(folder, "cgroup.subtree_control", cat('+', controller));
      if (!enabled.ok() && is_needed(needed, controller)) return cannot_enable(enabled.error(), folder, controller);
    }
  }
  return Ok{};
}

Result<Ok> add_process(const std::string& folder, pid_t pid) {
  return write_control(folder, "cgroup.procs", cat(pid)).context("add process ", pid, " to the cgroup");
}

Result<std::set<pid_t>> all_processes(const std::string& folder) {
  std::set<pid_t> pids;
  TRY(walk_cgroups(folder, [&](int dir) -> Result<Ok> {
    const Result<std::string> text = sys::read_kernel_file(cat("/proc/self/fd/", dir, "/cgroup.procs"));
    if (!text.ok()) {
      const int code = text.error().code();
      // Gone, or threaded: then its processes are those of the folder above.
      if (code == ENOENT || code == ENODEV || code == EOPNOTSUPP) return Ok{};
      return Error(code, "read the processes of ", folder);
    }
    for (const std::string_view line : split(*text, '\n')) {
      // 0: of a pid namespace that the caller does not see.
      if (const auto pid = parse_number<pid_t>(line); pid && *pid > 0) pids.insert(*pid);
    }
    return Ok{};
  }));
  return pids;
}

}  // namespace moss::runtime
