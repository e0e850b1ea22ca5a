// Plan, then act: a config and a host become a list of steps, as pure data.
#pragma once

#include <deque>
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

/// Everything a launch does. Owns the text its steps point at, so it moves but does not copy, and must outlive the
/// child's start.
class Plan {
 public:
  Plan() = default;
  Plan(Plan&&) = default;
  Plan& operator=(Plan&&) = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  uint64_t clone_flags = 0;     ///< CLONE_NEW… the child is born with
  std::optional<IdMap> id_map;  ///< what the parent maps for it; nothing without a new user namespace
  std::vector<Step> steps;      ///< in the child, in this order; Exec is the last

  /// Copies text into the plan; the pointer stays good as long as the plan lives.
  const char* text(std::string_view value);
  /// A list of texts, with a null pointer behind its last element.
  Strings list(const std::vector<std::string>& values);
  std::span<const uint32_t> numbers(std::vector<uint32_t> values);
  std::span<const sock_filter> filter(std::vector<sock_filter> instructions);

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
  HookState creating;  ///< for createContainer
  HookState created;   ///< for startContainer
};

/// What a launch needs to know beyond the bundle.
struct PlanOptions {
  std::string bundle;                ///< absolute; config.root.path may be relative to it
  bool built_in_init = false;        ///< reap and forward signals as process 1
  bool await_network = false;        ///< a network helper readies the namespace before the workload starts
  uint32_t preserve_fds = 0;         ///< 3 … 2+n stay open
  std::vector<sock_filter> seccomp;  ///< compiled from config.linux.seccomp; empty: none
  uint32_t seccomp_flags = 0;
  bool can_set_groups = true;               ///< for an exec: its user namespace allows setgroups(2)
  std::vector<std::string> optional_binds;  ///< destinations left out where the rootfs has no place for them
  bool await_cgroup = false;                ///< the parent puts the child into its cgroup (LaunchOptions::enter_cgroup)
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

/// The whole launch of a new container. Pure. Errors: what check() would say, or what this host cannot do.
Result<Plan> plan(const oci::Config& config, const sys::Host& host, PlanOptions options);

/// One more process in a running container: the steps after its namespaces were joined. Pure.
Result<Plan> plan_exec(const oci::Process& process, const sys::Host& host, PlanOptions options);

/// The plan as text: a line a step, numbered as errors number them.
std::string to_string(const Plan& plan);

}  // namespace moss::runtime
