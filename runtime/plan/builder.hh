// What the planners share: the config and host they read, the plan they add to.
#pragma once

#include <sched.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// Which namespace a kernel parameter belongs to ("net.ipv4.ip_forward"), or nothing: then it is the whole host's.
std::optional<Namespace> sysctl_namespace(std::string_view key);

/// A path of the config as it is below the root: "a//b/./c" and "/a/b/c/" are "/a/b/c". Its ".." stay.
std::string clean_path(std::string_view path);

/// A file below /proc and what is written to it.
struct KernelSetting {
  const char* file;
  const char* text;
  uint8_t held = kNotHeld;  ///< where its descriptor waits, when it can be opened early
};

/// A mount of the config, as the steps that make it.
struct PlannedMount {
  enum class When {
    first,    ///< while what is mounted still reaches the host: its source is shared with it
    early,    ///< needs no mapped ids, and is there before the parent is done
    as_self,  ///< made by the parent meanwhile, and opened with the caller's own ids
    in_turn,
  };
  std::optional<HoldSource> hold = std::nullopt;  ///< before the ids inside are taken, where `prepare` comes after
  std::optional<Step> prepare = std::nullopt;     ///< none: the parent has filled the slot, or nothing is attached
  std::optional<Attach> attach = std::nullopt;
  std::vector<Step> after = {};  ///< once it is attached
  When when = When::in_turn;
};

class Builder {
 public:
  Builder(const oci::Config& config, const sys::Host& host, PlanOptions options)
      : config_(config), host_(host), options_(std::move(options)) {}

  const oci::Config& config() const { return config_; }
  const sys::Host& host() const { return host_; }
  PlanOptions& options() { return options_; }
  const PlanOptions& options() const { return options_; }
  Plan& plan() { return plan_; }

  /// A namespace of that kind is made for this container.
  bool creates(Namespace kind) const;
  /// One is joined by path.
  bool joins(Namespace kind) const;
  /// The container does not share the caller's.
  bool has_own(Namespace kind) const { return creates(kind) || joins(kind); }
  /// The machine's root with nothing between: device nodes can be made, and every filesystem.
  bool is_real_root() const { return host_.is_real_root() && !has_own(Namespace::user); }

  /// Adds a step.
  void then(Step step) { plan_.steps.push_back(step); }
  const char* text(std::string_view value) { return plan_.text(value); }

  /// The slot of all mounts that are prepared when their turn comes.
  static constexpr uint8_t kLateSlot = kSlots - 1;
  /// When a mount is made, and in which slot.
  struct Turn {
    PlannedMount::When when = PlannedMount::When::in_turn;
    uint8_t slot = kLateSlot;
  };
  /// A slot for what is opened before its turn; nothing where all are taken.
  std::optional<uint8_t> early_slot() {
    if (early_slots_ == kLateSlot) return std::nullopt;
    return early_slots_++;
  }
  /// Of a mount that could be made then. Where the order is to be kept, it waits for those that came so far.
  Turn turn(PlannedMount::When earliest) {
    using When = PlannedMount::When;
    const When when = options_.mounts_in_order ? std::max(latest_, earliest) : earliest;
    const std::optional<uint8_t> slot = when == When::in_turn ? std::nullopt : early_slot();
    if (when != When::first) latest_ = slot ? when : When::in_turn;
    return slot ? Turn{when, *slot} : Turn{};
  }

  /// Where the covered paths below /proc and /sys start from: the slot of the mount parked there, or kBelowRoot.
  uint8_t parked(std::string_view path) const;
  void park(const std::string& path, uint8_t slot) { parked_.emplace_back(path, slot); }

  /// Mounts that become read-only when everything is in them.
  std::vector<const char*>& readonly_later() { return readonly_later_; }

  std::vector<KernelSetting>& settings() { return settings_; }

  Plan finish() && { return std::move(plan_); }

 private:
  const oci::Config& config_;
  const sys::Host& host_;
  PlanOptions options_;
  Plan plan_;
  uint8_t early_slots_ = 0;
  PlannedMount::When latest_ = PlannedMount::When::first;
  std::vector<std::pair<std::string, uint8_t>> parked_;
  std::vector<KernelSetting> settings_;
  std::vector<const char*> readonly_later_;
};

// Each adds its steps, in the order they stand here. mounts.cc.
/// What the mounts will be, in the config's order.
Result<std::vector<PlannedMount>> decide_mounts(Builder& b);
/// Before anything else: what needs the host's mounts as they are.
void plan_first_mounts(Builder& b, const std::vector<PlannedMount>& mounts);
/// While ids are being mapped: prepares what can be, and covers what is to be hidden below /proc and /sys.
Result<Ok> plan_early_mounts(Builder& b, const std::vector<PlannedMount>& mounts);
/// Between the mapping of the ids and their taking.
Result<Ok> plan_own_mounts(Builder& b, const std::vector<PlannedMount>& mounts);
Result<Ok> plan_rootfs(Builder& b);
Result<Ok> plan_mounts(Builder& b, const std::vector<PlannedMount>& mounts);
/// devices.cc
Result<Ok> plan_devices(Builder& b);
/// cgroup_mounts.cc: what a mount of type "cgroup" is on this host; several mounts, or none.
void decide_cgroup_mount(Builder& b, const oci::Mount& mount, std::vector<PlannedMount>& planned);
Result<Ok> plan_hidden_paths(Builder& b);

/// The second half, which new containers and exec share: from the namespaces being there to execve. process.cc.
/// `start_hooks` are the config's startContainer hooks.
Result<Ok> plan_process(Plan& plan, const oci::Process& process, PlanOptions& options,
                        const std::vector<oci::Hook>& start_hooks);
/// What a new container's first process gets beyond it.
Result<Ok> plan_launch_attributes(Builder& b);
/// What security modules confine the workload by. While /proc is still in reach.
Result<Ok> plan_exec_labels(Plan& plan, const oci::Process& process, const sys::Host& host);

/// A hook that the child runs. `environment` is what it has without one of its own.
RunHook plan_hook(Plan& plan, const char* kind, const oci::Hook& hook, const HookState& state, Strings environment);

}  // namespace moss::runtime
