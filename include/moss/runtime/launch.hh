// Acting on a plan: the parent's side of a launch.
//
// What parent and child say to each other stands in protocol.hh. May be called by any process that has no other threads
// (the child is a copy of the caller and only its calling thread would exist in it).
#pragma once

#include <functional>
#include <optional>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/runtime/plan.hh"
#include "moss/runtime/resctrl.hh"
#include "moss/sys/child.hh"

namespace moss::runtime {

/// A step that is made to fail instead of being done: how tests try every way a launch can go wrong.
struct InjectedFailure {
  uint32_t step = 0;
  int error = 0;  ///< errno
};

struct LaunchOptions {
  /// Borrowed descriptors that become 0, 1 and 2 inside; -1 leaves the caller's own. Not looked at with a terminal.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  /// Runs in the parent while the id-map helpers do: work that must be done before the container's mounts are made.
  std::function<Result<Ok>(pid_t init)> meanwhile;
  /// Only with PlanOptions::await_network: begins to ready the network of the process's namespaces. Its ids are mapped.
  std::function<Result<Ok>(pid_t init)> start_network;
  /// Waits for that. The child mounts meanwhile.
  std::function<Result<Ok>()> await_network;
  /// Has the descriptor through which the workload's notified system calls are answered handed on, to the policy's
  /// listenerPath. The workload waits. Needed where the filter notifies (SCMP_ACT_NOTIFY).
  std::function<Result<Ok>(pid_t init, Fd listener)> on_seccomp_listener;
  std::optional<InjectedFailure> fail;
};

/// A running workload.
struct Launched {
  sys::Child init;        ///< process 1 (or the process of an exec), with its pidfd; killed at the end of its scope
  Fd terminal;            ///< master side, where the config asked for a terminal
  ResctrlGroups resctrl;  ///< to be removed when the container is gone (remove_resctrl_groups)
};

/// Starts the container. Returns once execve has worked. On an error nothing is left: the child is killed and reaped.
/// Errors: the failed step in words; exit_code() is 126 or 127 where the command cannot be run or is not there.
Result<Launched> launch(const Plan& plan, const LaunchOptions& options);

/// Starts one more process in the namespaces of a running container (plan_exec). `container` is its process 1 and
/// `container_pidfd` the proof that the number still means that process.
Result<Launched> launch_exec(const Plan& plan, pid_t container, int container_pidfd, const LaunchOptions& options);

}  // namespace moss::runtime
