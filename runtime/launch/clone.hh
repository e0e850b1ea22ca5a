// clone3(2), as the launch uses it.
#pragma once

#include <signal.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdint>

namespace moss::runtime {

/// clone_args of clone3(2), the parts that are used; <linux/sched.h> does not go with <sched.h>.
struct CloneArguments {
  uint64_t flags = 0;
  uint64_t pidfd = 0;
  uint64_t child_tid = 0;
  uint64_t parent_tid = 0;
  uint64_t exit_signal = SIGCHLD;
  uint64_t stack = 0;
  uint64_t stack_size = 0;
  uint64_t tls = 0;
  uint64_t set_tid = 0;
  uint64_t set_tid_size = 0;
  uint64_t cgroup = 0;
};

/// The same, born in a cgroup (v2) where there is one: CLONE_INTO_CGROUP.
inline CloneArguments into_cgroup(CloneArguments arguments, int cgroup_fd) {
  if (cgroup_fd < 0) return arguments;
  arguments.flags |= 0x200000000;
  arguments.cgroup = static_cast<uint64_t>(cgroup_fd);
  return arguments;
}

inline pid_t clone3(const CloneArguments& arguments) {
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

}  // namespace moss::runtime
