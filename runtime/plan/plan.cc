// From a config and a host to the list of steps.
//
// The order is the safety argument: the host's files are in reach until pivot_root, the container's own content is
// touched only through the descriptor of its root, and privileges are given up from there to execve without one being
// taken again. Spec: runtime-spec config.md, config-linux.md.
#include "moss/runtime/plan.hh"

#include <sys/mount.h>

#include <algorithm>

#include "runtime/plan/attributes.hh"
#include "runtime/plan/builder.hh"

namespace moss::runtime {

const char* Plan::text(std::string_view value) { return texts_.emplace_back(value).c_str(); }

char* Plan::room(std::string_view value, size_t size) {
  std::string& text = texts_.emplace_back(value);
  text.resize(size);
  return text.data();
}

Strings Plan::list(const std::vector<std::string>& values, const char* last) {
  std::vector<const char*>& pointers = lists_.emplace_back();
  pointers.reserve(values.size() + 2);
  for (const std::string& value : values) pointers.push_back(text(value));
  if (last != nullptr) pointers.push_back(last);
  pointers.push_back(nullptr);
  return Strings(pointers.data(), pointers.size() - 1);
}

std::span<const uint32_t> Plan::numbers(std::vector<uint32_t> values) {
  return numbers_.emplace_back(std::move(values));
}

std::span<const sock_filter> Plan::filter(std::vector<sock_filter> instructions) {
  return filters_.emplace_back(std::move(instructions));
}

std::optional<Namespace> parse_namespace(std::string_view name) {
  if (name == "mount") return Namespace::mount;
  if (name == "cgroup") return Namespace::cgroup;
  if (name == "uts") return Namespace::uts;
  if (name == "ipc") return Namespace::ipc;
  if (name == "user") return Namespace::user;
  if (name == "pid") return Namespace::pid;
  if (name == "network") return Namespace::network;
  if (name == "time") return Namespace::time;
  return std::nullopt;
}

bool Builder::creates(Namespace kind) const {
  for (const oci::Namespace& entry : config_.linux.namespaces) {
    if (parse_namespace(entry.type) == kind) return entry.path.empty();
  }
  return false;
}

bool Builder::joins(Namespace kind) const {
  for (const oci::Namespace& entry : config_.linux.namespaces) {
    if (parse_namespace(entry.type) == kind) return !entry.path.empty();
  }
  return false;
}

namespace {

// A shared namespace that the config changes must not be the host's.
bool is_changed(const oci::Config& config, Namespace kind) {
  const auto sets = [&](auto belongs) {
    return std::any_of(config.linux.sysctl.begin(), config.linux.sysctl.end(),
                       [&](const auto& setting) { return belongs(sysctl_namespace(setting.first)); });
  };
  if (kind == Namespace::uts && !(config.hostname.empty() && config.domainname.empty())) return true;
  return sets([&](std::optional<Namespace> owner) { return owner == kind; });
}

void plan_joins(Builder& b) {
  for (const oci::Namespace& entry : b.config().linux.namespaces) {
    if (entry.path.empty()) continue;
    const Namespace kind = *parse_namespace(entry.type);
    b.plan().joins.push_back({b.text(entry.path), static_cast<int>(kind), is_changed(b.config(), kind)});
  }
  // Who else is in our pid namespace may look into us, unless our user namespace is out of reach for them.
  if (!b.creates(Namespace::pid) && !b.creates(Namespace::user) && b.plan().joins.empty()) b.then(Hide{});
}

// Before a user namespace is joined: from then on the kernel takes the process's files away from it.
void plan_oom_score(Builder& b) {
  const auto score = b.config().process.oom_score_adj;
  if (!score) return;
  const SetOomScore step{b.text(std::to_string(*score)), !b.host().is_real_root()};
  if (b.plan().joins.empty()) {
    b.then(step);
  } else {
    b.plan().oom_score = step;
  }
  if (*score < 0 && step.optional) {
    b.plan().warnings.push_back("process.oomScoreAdj: only the machine's root may lower it; it may stay as it is");
  }
}

void plan_parents_work(Builder& b) {
  if (b.config().annotations.contains("run.oci.delegate-cgroup")) {
    b.plan().warnings.push_back(
        "annotations: run.oci.delegate-cgroup is crun's; the container gets no cgroup below its own");
  }
  for (const auto& [name, device] : b.config().linux.net_devices) {
    b.plan().net_devices.push_back({name, device.name.empty() ? name : device.name});
  }
  b.plan().intel_rdt = b.config().linux.intel_rdt;
  b.plan().id = b.options().id;
}

// The child is born in its user, mount and pid namespaces; the others it makes itself while newuidmap runs.
Result<Ok> plan_namespaces(Builder& b) {
  b.then(DieWithParent{});
  for (const Namespace kind : {Namespace::user, Namespace::pid}) {
    if (b.creates(kind)) b.plan().clone_flags |= static_cast<uint64_t>(kind);
  }
  if (!b.joins(Namespace::mount)) {
    b.plan().clone_flags |= CLONE_NEWNS;
    if (!b.creates(Namespace::mount)) {
      b.plan().warnings.push_back(
          "linux.namespaces: no mount namespace is asked for; the container gets one all the same, for its mounts and "
          "its root would otherwise become the host's");
    }
  }
  plan_joins(b);
  plan_oom_score(b);
  int unshared = 0;
  for (const Namespace kind :
       {Namespace::network, Namespace::ipc, Namespace::uts, Namespace::cgroup, Namespace::time}) {
    if (b.creates(kind)) unshared |= static_cast<int>(kind);
  }
  // A new cgroup namespace takes the cgroup its maker is in as its root.
  const int late = b.options().await_cgroup ? unshared & CLONE_NEWCGROUP : 0;
  if (unshared != late) b.then(Unshare{unshared & ~late});
  if (b.options().await_cgroup) b.then(Await{Message::in_cgroup});
  if (late != 0) b.then(Unshare{late});
  if (b.options().await_network || b.plan().has_parents_work()) b.then(Tell{Message::namespaces_ready});
  if (b.creates(Namespace::network)) b.then(LoopbackUp{});
  return Ok{};
}

bool maps(const std::vector<IdRange>& ranges, uint32_t id) {
  for (const IdRange& range : ranges) {
    if (id >= range.inside && id - range.inside < range.count) return true;
  }
  return false;
}

// crun's annotation, by which Podman asks for it (--group-add keep-groups).
bool keeps_groups(const Builder& b) {
  const auto& annotations = b.config().annotations;
  const auto found = annotations.find("run.oci.keep_original_groups");
  return found != annotations.end() && found->second == "1";
}

bool can_set_groups(const Builder& b) {
  if (keeps_groups(b)) return false;
  if (!b.creates(Namespace::user)) return b.joins(Namespace::user) || b.host().may_set_groups;
  // The kernel denies setgroups(2) for good in a namespace whose one gid was mapped without privilege.
  const IdMap map{b.config().linux.uid_mappings, b.config().linux.gid_mappings};
  return !map.is_single();
}

Result<Ok> plan_id_maps(Builder& b, const std::vector<PlannedMount>& mounts) {
  const oci::Linux& linux = b.config().linux;
  if (b.creates(Namespace::user)) {
    b.plan().id_map = IdMap{linux.uid_mappings, linux.gid_mappings};
    b.then(Await{Message::ids_mapped});
  }
  TRY(plan_own_mounts(b, mounts));
  const oci::User& user = b.config().process.user;
  if (b.creates(Namespace::user)) {
    b.then(BecomeRoot{
        .uid = maps(linux.uid_mappings, 0) ? 0 : user.uid,
        .gid = maps(linux.gid_mappings, 0) ? 0 : user.gid,
        .drop_groups = can_set_groups(b),
        .groups_may_stay = false,
        .visible = true,
    });
  } else if (b.joins(Namespace::user)) {
    // What it maps was decided by whoever made it.
    b.then(BecomeRoot{.uid = 0,
                      .gid = 0,
                      .drop_groups = !keeps_groups(b),
                      .groups_may_stay = true,
                      .visible = b.creates(Namespace::pid)});
  }
  return Ok{};
}

// Which files below /proc are written. Those that mean the same before the ids are mapped are opened early.
void decide_kernel_settings(Builder& b) {
  std::vector<KernelSetting>& settings = b.settings();
  for (const auto& [key, offset] : b.config().linux.time_offsets) {
    settings.push_back({"self/timens_offsets", b.text(cat(key, ' ', offset.secs, ' ', offset.nanosecs, '\n'))});
  }
  for (const auto& [key, value] : b.config().linux.sysctl) {
    std::string file = cat("sys/", key);
    // sysctl.conf(5): dots separate, unless the key has a slash first ("net/ipv4/conf/eth0.1/forwarding").
    if (key.find('/') == std::string::npos) {
      for (char& c : file) c = c == '.' ? '/' : c;
    }
    settings.push_back({b.text(file), b.text(value)});
  }
  if (b.parked("/proc/") == kBelowRoot) return;
  for (size_t i = 0; i < settings.size() && i < kHeldProcFiles; ++i) {
    // A network's parameters open for a capability, which the first process has at once; those of IPC open for root of
    // the namespace, whom nobody is until the ids are mapped, and a process's own files for its owner of the moment.
    if (std::string_view(settings[i].file).starts_with("sys/net/")) settings[i].held = static_cast<uint8_t>(i);
  }
}

Result<Ok> plan_kernel_settings(Builder& b) {
  for (const KernelSetting& setting : b.settings()) b.then(WriteProc{setting.file, setting.text, setting.held});
  return Ok{};
}

// The runtime's own hooks are run by the parent; those for the container's namespaces by the child, which still sees
// the host's programs.
Result<Ok> plan_creation_hooks(Builder& b) {
  const oci::Hooks& hooks = b.config().hooks;
  if (!(hooks == oci::Hooks{}) && !b.options().hook_states) return Error(0, "hooks: nobody is there to run them");
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty()) {
    b.then(Tell{Message::before_pivot});
    b.then(Await{Message::hooks_done});
  }
  for (const oci::Hook& hook : hooks.create_container) {
    const HookStates& states = *b.options().hook_states;
    RunHook step = plan_hook(b.plan(), "createContainer", hook, states.creating, b.plan().list(states.environment));
    step.at_root = true;
    b.then(step);
  }
  return Ok{};
}

bool may_unmount(const oci::Process& process) {
  if (!process.capabilities) return false;
  const std::vector<std::string>& names = process.capabilities->bounding;
  return std::find(names.begin(), names.end(), "CAP_SYS_ADMIN") != names.end();
}

Result<Ok> plan_new_root(Builder& b) {
  if (!b.options().chroot_over_mounts) {
    b.then(PivotRoot{});
    return Ok{};
  }
  if (b.joins(Namespace::mount)) return Error(0, "--no-pivot: the mount namespace belongs to others too");
  // Who may unmount the new root finds the host's below it.
  if (may_unmount(b.config().process) && b.has_own(Namespace::user)) {
    return Error(0, "--no-pivot: with CAP_SYS_ADMIN the container could unmount its root and reach the host's files; ",
                 "take it from process.capabilities.bounding");
  }
  b.then(ChrootRoot{b.plan().list(*b.options().chroot_over_mounts)});
  return Ok{};
}

Result<Ok> plan_names(Builder& b) {
  if (!b.config().hostname.empty()) b.then(SetHostname{b.text(b.config().hostname)});
  if (!b.config().domainname.empty()) b.then(SetDomainname{b.text(b.config().domainname)});
  return Ok{};
}

}  // namespace

Result<Plan> plan(const oci::Config& config, const sys::Host& host, PlanOptions options) {
  if (const std::vector<std::string> complaints = check(config, host); !complaints.empty()) {
    return Error(0, join(complaints, "; "));
  }
  // Before, nothing changes a mount by descriptor: mount_setattr(2).
  if (constexpr sys::KernelVersion kOldest{5, 12}; host.kernel < kOldest) {
    return Error(0, "containers need Linux 5.12 or later; this is ", host.kernel.major, ".", host.kernel.minor);
  }
  Builder b(config, host, std::move(options));
  const std::vector<PlannedMount> mounts = TRY(decide_mounts(b));
  decide_kernel_settings(b);
  plan_parents_work(b);
  TRY(plan_namespaces(b));
  plan_first_mounts(b, mounts);
  // Nothing done here reaches the host; what the host mounts meanwhile still reaches "slave" and "shared" volumes.
  b.then(SetPropagation{MS_REC | MS_SLAVE});
  TRY(plan_early_mounts(b, mounts));
  TRY(plan_id_maps(b, mounts));
  // From here on ids inside mean something, and files can be made.
  TRY(plan_rootfs(b));
  TRY(plan_mounts(b, mounts));
  TRY(plan_devices(b));
  TRY(plan_kernel_settings(b));
  TRY(plan_exec_labels(b.plan(), config.process, host));
  TRY(plan_hidden_paths(b));
  TRY(plan_names(b));
  TRY(plan_creation_hooks(b));
  TRY(plan_new_root(b));
  // From here on the host's files are out of sight.
  if (const auto type = propagation_type(config.linux.rootfs_propagation)) b.then(SetRootPropagation{*type});
  if (b.options().await_network || b.plan().has_parents_work()) b.then(Await{Message::network_ready});
  TRY(plan_launch_attributes(b));
  b.options().can_set_groups = can_set_groups(b);
  b.options().groups_may_stay = b.joins(Namespace::user);
  TRY(plan_process(b.plan(), config.process, b.options(), config.hooks.start_container));
  return std::move(b).finish();
}

}  // namespace moss::runtime
