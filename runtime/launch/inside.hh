// The child's side of a launch.
#pragma once

#include "moss/runtime/launch.hh"
#include "runtime/launch/inherited.hh"

namespace moss::runtime {

/// Walks the plan's steps in the freshly cloned child and never returns. System calls only.
/// `socket` is the child's end of the protocol's socket pair.
[[noreturn]] void run_inside(const Plan& plan, const LaunchOptions& options, const Inherited& inherited, int socket);

}  // namespace moss::runtime
