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
  /// Runs in the parent while the id-map helpers do. With Plan::id_map it is done before the container's mounts are
  /// made; without, nobody waits for it.
  std::function<Result<Ok>(pid_t init)> meanwhile;
  /// Only with PlanOptions::await_network: begins to ready the network of the process's namespaces. Its ids are mapped.
  std::function<Result<Ok>(pid_t init)> start_network;
  /// Waits for that. The child mounts meanwhile.
  std::function<Result<Ok>()> await_network;
  /// Has the descriptor through which the workload's notified system calls are answered handed on, to the policy's
  /// listenerPath. The workload waits. Needed where the filter notifies (SCMP_ACT_NOTIFY).
  std::function<Result<Ok>(pid_t init, Fd listener)> on_seccomp_listener;
  int cgroup_fd = -1;  ///< the cgroup (v2) that the process is born in; -1: the caller's
  /// Only with PlanOptions::await_cgroup: puts the process into its cgroup where clone3 could not.
  std::function<Result<Ok>(pid_t init)> enter_cgroup;
  /// Only for a config with prestart or createRuntime hooks: runs them. Everything is mounted; the root is not "/" yet.
  std::function<Result<Ok>(pid_t init)> runtime_hooks;
  int start_socket = -1;  ///< with Life::waiting_for_start: a listening SOCK_SEQPACKET socket for `start`
  int null_fd = -1;       ///< /dev/null for what hooks inside print; only for a config that has some
  std::optional<InjectedFailure> fail;
};

/// A running workload.
struct Launched {
  sys::Child init;        ///< process 1 (or the process of an exec), with its pidfd; killed at the end of its scope
  Fd terminal;            ///< master side, where the config asked for a terminal
  ResctrlGroups resctrl;  ///< to be removed when the container is gone (remove_resctrl_groups)
  Fd held;                ///< a plan that is not Life::with_parent: the process waits to be released over this
};

/// Starts the container. Returns once execve has worked or, for a life without the parent, once the process is held. On
/// an error nothing is left: the child is killed and reaped.
/// Errors: the failed step in words; exit_code() is 126 or 127 where the command cannot be run or is not there.
Result<Launched> launch(const Plan& plan, const LaunchOptions& options);

/// Lets a held process go: it lives on when the caller ends. With Life::detached, waits until execve has worked.
/// `on_listener` takes the listener of a filter that notifies, as LaunchOptions::on_seccomp_listener does.
Result<Ok> release(const Plan& plan, Launched& launched, const std::function<Result<Ok>(Fd)>& on_listener = {});

/// What is left to be done for a created container, in the words of errors: its plan ended with its maker.
struct RemainingSteps {
  uint32_t first = 0;              ///< number of the first step
  std::vector<std::string> words;  ///< of it and those after it; the last one is the execve
  std::string command;             ///< what that executes
};
RemainingSteps remaining_steps(const Plan& plan);

/// `start`: `socket` is connected to the container's start socket. Returns once execve has worked. Errors: the failed
/// step in words; that somebody else has started it.
Result<Ok> start_waiting(int socket, const RemainingSteps& steps,
                         const std::function<Result<Ok>(Fd)>& on_listener = {});

/// Starts one more process in the namespaces of a running container (plan_exec). `container` is its process 1 and
/// `container_pidfd` the proof that the number still means that process.
Result<Launched> launch_exec(const Plan& plan, pid_t container, int container_pidfd, const LaunchOptions& options);

/// Acts on a plan of plan_more_mounts() or plan_fewer_mounts(), in the namespaces of a running container. Errors: the
/// failed step in words; what came before it stays done.
Result<Ok> change_mounts(const Plan& plan, pid_t container, int container_pidfd);

}  // namespace moss::runtime
