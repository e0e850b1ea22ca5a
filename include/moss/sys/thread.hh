// A thread, or the reason why there is none.
#pragma once

#include <system_error>
#include <thread>
#include <utility>

#include "moss/base/result.hh"

namespace moss::sys {

/// Runs `body` in a thread of its own, which the caller joins. Error: no more processes are allowed (RLIMIT_NPROC, a
/// pids cgroup), or no memory for its stack; std::thread would throw.
template <typename Body>
Result<std::thread> start_thread(Body&& body) {
  try {
    return std::thread(std::forward<Body>(body));
  } catch (const std::system_error& error) {
    return Error(error.code().value(), "start a thread");
  }
}

}  // namespace moss::sys
