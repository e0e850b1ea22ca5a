// What the planners share: the config and host they read, the plan they add to.
#pragma once

#include <sched.h>

#include <optional>
#include <string>
#include <string_view>

#include "moss/runtime/plan.hh"

namespace moss::runtime {

enum class Namespace : int {
  mount = CLONE_NEWNS,
  cgroup = CLONE_NEWCGROUP,
  uts = CLONE_NEWUTS,
  ipc = CLONE_NEWIPC,
  user = CLONE_NEWUSER,
  pid = CLONE_NEWPID,
  network = CLONE_NEWNET,
  time = 0x00000080,  // CLONE_NEWTIME
};

/// The spec's name for a namespace ("network"), or nothing.
std::optional<Namespace> parse_namespace(std::string_view name);

class Builder {
 public:
  Builder(const oci::Config& config, const sys::Host& host, PlanOptions options)
      : config_(config), host_(host), options_(std::move(options)) {}

  const oci::Config& config() const { return config_; }
  const sys::Host& host() const { return host_; }
  PlanOptions& options() { return options_; }
  Plan& plan() { return plan_; }

  /// A namespace of that kind is made for this container.
  bool creates(Namespace kind) const;
  /// One is joined by path.
  bool joins(Namespace kind) const;

  /// Adds a step.
  void then(Step step) { plan_.steps.push_back(step); }
  const char* text(std::string_view value) { return plan_.text(value); }

  Plan finish() && { return std::move(plan_); }

 private:
  const oci::Config& config_;
  const sys::Host& host_;
  PlanOptions options_;
  Plan plan_;
};

// Each adds its steps, in the order they stand here. mounts.cc, process.cc, plan.cc.
Result<Ok> plan_rootfs(Builder& b);
Result<Ok> plan_mounts(Builder& b);
Result<Ok> plan_devices(Builder& b);
Result<Ok> plan_hidden_paths(Builder& b);

/// The second half, which new containers and exec share: from the namespaces being there to execve.
Result<Ok> plan_process(Plan& plan, const oci::Process& process, PlanOptions& options, bool can_set_groups);

}  // namespace moss::runtime
