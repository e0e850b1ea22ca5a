// The end of a container's cgroup.
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/scope.hh"

namespace moss::runtime {

Result<Ok> remove_cgroup(const CgroupRecord& record) {
  // Deepest first. A folder above the container's may have other containers in it by now: they go on needing it.
  for (auto folder = record.made.rbegin(); folder != record.made.rend(); ++folder) {
    const bool is_own = [&] {
      for (const auto& [key, own] : record.folders) {
        if (own == *folder) return true;
      }
      return false;
    }();
    Result<Ok> removed = is_own ? remove_folder(*folder) : remove_if_empty(*folder);
    if (!removed.ok()) return removed;
  }
  if (record.unit.empty()) return Ok{};
  TRY(stop_scope(record));
  return Ok{};
}

}  // namespace moss::runtime
