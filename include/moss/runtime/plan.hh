// Plan, then act: a config and a host become a list of steps, as pure data.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/oci/config.hh"
#include "moss/runtime/step.hh"
#include "moss/sys/host.hh"

namespace moss::runtime {

/// A namespace that is there already. The parent opens it and proves its kind, and a process of its own joins it before
/// the container's first process is made: only a child of that process is in a joined pid namespace.
struct Join {
  const char* path;
  int type;          ///< CLONE_NEW…
  bool must_differ;  ///< the plan changes the namespace, so it may not be the caller's own
};

/// A bind mount whose files look as if other ids owned them. The parent makes it, in the host's user namespace, which
/// the filesystem belongs to; it lies in its slot when the child is born.
struct IdmappedBind {
  std::string place;  ///< in the config: "mounts[3]"
  PrepareBind bind;
  IdMap map;  ///< inside: the owners on the filesystem; outside: what they look like to the host
  bool recursive;
};

/// An interface of the host that the parent moves into the container's network namespace.
struct NetDeviceMove {
  std::string host_name;
  std::string name;  ///< inside; "%d" is a number that the kernel chooses
};

/// Everything a launch does. Owns the text its steps point at, so it moves but does not copy, and must outlive the
/// child's start.
class Plan {
 public:
  Plan() = default;
  Plan(Plan&&) = default;
  Plan& operator=(Plan&&) = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  std::vector<Join> joins;               ///< before the child is made
  std::optional<SetOomScore> oom_score;  ///< with joins: written before them, and inherited by the child
  std::vector<IdmappedBind> idmapped;    ///< before the child is made
  uint64_t clone_flags = 0;              ///< CLONE_NEW… the child is born with
  std::optional<IdMap> id_map;           ///< what the parent maps for it; nothing without a new user namespace
  std::vector<Step> steps;               ///< in the child, in this order; Exec (or Finish) is the last
  /// In a running container: the first steps, all PrepareBind, are done before it is joined, while paths are the
  /// host's.
  uint32_t steps_outside = 0;
  /// By the parent, when every namespace exists and before the workload starts; the child waits.
  std::vector<NetDeviceMove> net_devices;
  std::optional<oci::IntelRdt> intel_rdt;
  std::string id;  ///< the container's
  bool has_parents_work() const { return !net_devices.empty() || intel_rdt.has_value(); }
  std::vector<std::string> warnings;  ///< what the config asks for and runtime-spec wants left out rather than refused

  /// Copies text into the plan; the pointer stays good as long as the plan lives.
  const char* text(std::string_view value);
  /// A list of texts, with a null pointer behind its last element; `last` is the plan's own already.
  Strings list(const std::vector<std::string>& values, const char* last = nullptr);
  std::span<const uint32_t> numbers(std::vector<uint32_t> values);
  std::span<const sock_filter> filter(std::vector<sock_filter> instructions);
  /// The same with room for `size` characters in all, for a step that writes its copy of it in the child.
  char* room(std::string_view value, size_t size);

 private:
  std::deque<std::string> texts_;
  std::deque<std::vector<const char*>> lists_;
  std::deque<std::vector<uint32_t>> numbers_;
  std::deque<std::vector<sock_filter>> filters_;
};

/// The state as hooks inside read it: its JSON up to where the pid goes, and from there on.
struct HookState {
  std::string before_pid;
  std::string after_pid;
};
struct HookStates {
  HookState creating;                    ///< for createContainer
  HookState created;                     ///< for startContainer
  std::vector<std::string> environment;  ///< of createContainer hooks that have none of their own: the caller's
};

/// What a launch needs to know beyond the bundle.
struct PlanOptions {
  std::string bundle;                ///< absolute; config.root.path may be relative to it
  std::string id;                    ///< the container's name; for intelRdt
  bool built_in_init = false;        ///< reap and forward signals as process 1
  bool await_network = false;        ///< a network helper readies the namespace before the workload starts
  uint32_t preserve_fds = 0;         ///< 3 … 2+n stay open
  std::vector<sock_filter> seccomp;  ///< compiled from config.linux.seccomp; empty: none
  uint32_t seccomp_flags = 0;
  bool can_set_groups = true;    ///< for an exec: its user namespace allows setgroups(2)
  bool groups_may_stay = false;  ///< for an exec: nobody knows whether it does
  /// Mounts are as old as their place in the config's list says, for since Linux 6.8 /proc/self/mountinfo lists them by
  /// age. Without it some are made while newuidmap works, whatever stands before them.
  bool mounts_in_order = false;
  std::vector<std::string> optional_binds;  ///< destinations left out where the rootfs has no place for them
  uint32_t listen_fds = 0;                  ///< of the preserved ones, those that LISTEN_FDS tells the workload of
  std::string session_keyring;              ///< name of a new session keyring; empty: the caller's is kept
  /// The container's cgroup in each tree, as a folder of the host, by the key of CgroupRecord::folders. For "cgroup"
  /// mounts without a cgroup namespace of its own; a tree that is not here is shown whole and read-only.
  std::map<std::string, std::string> cgroup_folders;
  /// MS_MOVE and chroot(2) instead of pivot_root(2), with what the host has mounted (/proc/self/mountinfo).
  std::optional<std::vector<std::string>> chroot_over_mounts;
  bool await_cgroup = false;  ///< the parent puts the child into its cgroup (LaunchOptions::enter_cgroup)
  /// What becomes of the child when its parent ends.
  enum class Life : uint8_t {
    with_parent,        ///< killed
    detached,           ///< goes on, once the parent has released it (Launched::held)
    waiting_for_start,  ///< the same, and waits for `start` before it executes anything of the container's
  } life = Life::with_parent;
  /// What createContainer and startContainer hooks read, by status: everything but the pid, which each fills in. A
  /// config with hooks cannot be planned without.
  std::optional<HookStates> hook_states;
};

/// Everything wrong with a config, one complaint a line, each with its JSON path. Pure.
std::vector<std::string> check(const oci::Config& config, const sys::Host& host);
/// The same for the "process" of an exec.
std::vector<std::string> check_process(const oci::Process& process);

/// The whole launch of a new container. Pure. Errors: what check() would say, or what this host cannot do.
Result<Plan> plan(const oci::Config& config, const sys::Host& host, PlanOptions options);

/// One more process in a running container: the steps after its namespaces were joined. Pure.
Result<Plan> plan_exec(const oci::Process& process, const sys::Host& host, PlanOptions options);

/// More mounts in a running container, whose config is `config`. Pure. Errors: what check() would say of them.
Result<Plan> plan_more_mounts(oci::Config config, std::vector<oci::Mount> mounts, const sys::Host& host,
                              PlanOptions options);

/// The opposite: only their destinations count. Pure.
Result<Plan> plan_fewer_mounts(const std::vector<oci::Mount>& mounts);

/// The plan as text: a line a step, numbered as errors number them.
std::string to_string(const Plan& plan);

}  // namespace moss::runtime
