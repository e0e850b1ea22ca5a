// All of a container's processes held still for a moment.
//
// Not by a cgroup's freezer, which an ordinary user mostly has none of, nor by SIGSTOP: both outlast a moss that is
// killed, and the container would stand still for good. The processes are stopped as a debugger stops them
// (PTRACE_SEIZE, ptrace(2)): when the tracer ends, however it does, the kernel lets them go on. Their parents and
// they themselves see nothing of it but the time that went by.
#pragma once

#include <sys/types.h>

#include <set>

#include "moss/base/result.hh"
#include "moss/engine/container.hh"

namespace moss::engine {

/// Held still as long as this lives. Only the thread that paused may end it, and that thread must not end before.
class Paused {
 public:
  /// Stops every thread of every process in the container's pid namespace and those below it; but for moss's own
  /// process 1 of --init, which writes no files. Errors: a process that a debugger has already, one that cannot be
  /// stopped within ten seconds (it waits for a dead disk), processes that are made faster than they are stopped.
  static Result<Paused> pause(const Container& container);

  Paused(Paused&& other) noexcept : threads_(std::exchange(other.threads_, {})) {}
  Paused& operator=(Paused&&) = delete;
  ~Paused();

 private:
  Paused() = default;
  Result<bool> stop(pid_t thread);
  Result<Ok> wait_for_stops();

  std::set<pid_t> threads_;   // ours to let go
  std::set<pid_t> stopping_;  // of them: asked to stop, and not heard of yet
};

}  // namespace moss::engine
