// Limits and processes on their way into folders. Private to runtime/cgroup.
#pragma once

#include <set>

#include "moss/runtime/cgroup.hh"
#include "runtime/cgroup/folders.hh"

namespace moss::runtime {

/// The folder that has a controller's files; nothing where the container is in no such tree.
/// On v2, and for files that every cgroup has, that is the one folder there is.
const std::string* folder_of(const CgroupRecord& record, std::string_view controller);
/// The container is in the unified tree alone.
bool is_unified(const CgroupRecord& record);

/// Every write, in order; those refused as impossible beside an older value once more at the end.
/// Errors name the limit, the file and the value.
Result<Ok> apply_writes(const CgroupRecord& record, const std::vector<CgroupWrite>& writes);

/// Makes `folder` and what is missing above it, but nothing above `mount`. Adds what it made to `made`.
Result<Ok> make_folder(const std::string& mount, const std::string& folder, std::vector<std::string>& made);
/// Removes one folder with everything below it, waiting for up to 5 s where processes are still on their way out.
Result<Ok> remove_folder(const std::string& folder);

/// Removes a folder where nothing is in it and nobody has to be waited for.
Result<Ok> remove_if_empty(const std::string& folder);

/// Hands controllers down from `first` to the parent of `last`, so that `last` has their files. Those that `needed`
/// speaks of must be had; the others are welcome. Error: which, and why not.
Result<Ok> enable_controllers(const std::string& first, const std::string& last,
                              const std::vector<std::string>& controllers, const std::vector<CgroupWrite>& needed);

/// Adds a process. ESRCH: it is gone.
Result<Ok> add_process(const std::string& folder, pid_t pid);

/// The processes in a folder and below it.
Result<std::set<pid_t>> all_processes(const std::string& folder);

}  // namespace moss::runtime
