// Work on files of a container's owners, in a process in its user namespace.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "src/engine/containers/merged_dir.hh"

namespace moss::engine {

/// What /proc/self/uid_map or gid_map has.
Result<std::vector<IdRange>> own_ranges(const char* file);

/// Runs `work` there, gives what it writes to `out` to `take` meanwhile, and returns the first error of the two (that
/// of `work` where both fail: it is the cause). The caller must have no threads.
Result<Ok> work_inside(const IdMap& map, const std::function<Result<Ok>(int out)>& work,
                       const std::function<Result<Ok>(int in)>& take);

/// Folders to be opened there. What real root may open, its subordinate ids may not; what an ordinary user may not (a
/// layer's root of mode 0), root of the namespace may.
class FoldersInside {
 public:
  /// In the caller: opens those that can be.
  explicit FoldersInside(std::vector<std::string> paths);
  /// In the process: the rest too.
  Result<MergedDir> open() const;

 private:
  std::vector<std::string> paths_;
  std::vector<Fd> opened_;  ///< -1: later
};

}  // namespace moss::engine
