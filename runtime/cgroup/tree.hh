// A cgroup with everything below it, however deep.
//
// A container that may make cgroups can nest them until their path is longer than the kernel takes, and one that has to
// be emptied or removed must not be hidden by that. So a walk goes from folder to folder by descriptors, of which it
// holds two. Private to runtime/cgroup.
#pragma once

#include <functional>
#include <string>

#include "moss/base/result.hh"

namespace moss::runtime {

/// Calls `visit` with a descriptor of `folder` and of each one below, folders before what is in them. What goes
/// meanwhile is passed over; a folder may be visited more than once. Nothing where `folder` is not there.
Result<Ok> walk_cgroups(const std::string& folder, const std::function<Result<Ok>(int dir)>& visit);

/// rmdir(2) of all folders below `folder` that can go, the deepest first, but not of itself. True: none is left.
Result<bool> remove_below(const std::string& folder);

}  // namespace moss::runtime
