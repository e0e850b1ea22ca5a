// Joining namespaces that are there already, before the container's first process is made.
#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/runtime/plan.hh"
#include "moss/sys/child.hh"

namespace moss::runtime {

/// A namespace of the plan, open and proven to be of its kind.
struct OpenedJoin {
  Fd fd;
  int type;          ///< CLONE_NEW…
  const char* path;  ///< the plan's
};

/// Opens what the plan joins. What the caller is in already is left out. Errors: no namespace, or one of another kind;
/// the caller's own, where the container would change it.
Result<std::vector<OpenedJoin>> open_joins(const Plan& plan);

/// Has a process join them and make the container's first process, which runs `inside` and never returns from it. It is
/// the caller's child, born in `cgroup_fd` (v2) where that is no -1. Errors: which namespace could not be joined;
/// clone3(2)'s.
Result<sys::Child> clone_through(const Plan& plan, const std::vector<OpenedJoin>& joins, int cgroup_fd,
                                 const std::function<void()>& inside);

}  // namespace moss::runtime
