// A hook that the container's own process runs: forked, fed with the state, waited for. System calls only; see raw.hh.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "moss/runtime/step.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

class HookProcess {
 public:
  /// Makes the process that becomes the hook. 0 or an errno. Both go on from here; is_child() tells which one this is.
  int fork();
  bool is_child() const { return pid_ == 0; }

  // In the child. Neither comes back with a failure: the status tells of it.
  /// The state as standard input, nothing to write to.
  void take_stdio(int null_fd) const;
  [[noreturn]] static void execute(const RunHook& step);

  /// In the parent: gives it the state, with our own pid, and waits; after the hook's timeout it is killed. 0, an
  /// errno, or kHookStatus and how it ended.
  int feed_and_wait(const RunHook& step);

 private:
  int feed(const RunHook& step, int64_t deadline);

  Held reading_{-1};
  Held writing_{-1};
  Held pidfd_{-1};
  pid_t pid_ = -1;
};

}  // namespace moss::runtime
