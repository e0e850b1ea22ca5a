// The process itself: limits, ids, capabilities, seccomp, execve.
//
// Privileges only ever go down here. A filter that may be installed without no_new_privs needs CAP_SYS_ADMIN, so it
// comes before the last capset(2); with no_new_privs it comes last, and the fewest calls have to pass it.
// Spec: config.md "Process". See capabilities(7), seccomp(2).
#include <sys/resource.h>

#include "moss/runtime/capabilities.hh"
#include "runtime/plan/builder.hh"

namespace moss::runtime {

namespace {

struct ResourceName {
  std::string_view name;
  int resource;
};

constexpr ResourceName kResources[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

Result<Ok> plan_rlimits(Plan& plan, const oci::Process& process) {
  for (const oci::Rlimit& limit : process.rlimits) {
    const auto* known = std::find_if(std::begin(kResources), std::end(kResources),
                                     [&](const ResourceName& resource) { return resource.name == limit.type; });
    if (known == std::end(kResources)) return Error(0, "process.rlimits: unknown limit ", printable(limit.type));
    plan.steps.emplace_back(SetRlimit{known->resource, limit.soft, limit.hard});
  }
  return Ok{};
}

// execvp(3) by the container's own PATH; a name with a slash is itself.
std::vector<std::string> exec_candidates(const oci::Process& process) {
  const std::string& program = process.args.front();
  if (program.find('/') != std::string::npos) return {program};
  std::string_view path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const std::string& variable : process.env) {
    if (variable.starts_with("PATH=")) path = std::string_view(variable).substr(5);
  }
  std::vector<std::string> candidates;
  for (const std::string_view folder : split(path, ':')) {
    candidates.push_back(folder.empty() ? program : cat(folder, '/', program));
  }
  return candidates;
}

}  // namespace

RunHook plan_hook(Plan& plan, const char* kind, const oci::Hook& hook, const HookState& state, uint32_t confine_from) {
  return {
      .kind = kind,
      .path = plan.text(hook.path),
      .args = plan.list(hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args),
      .environment = plan.list(hook.env),
      .timeout_s = hook.timeout.value_or(0),
      .state_before_pid = plan.text(state.before_pid),
      .state_after_pid = plan.text(state.after_pid),
      .confine_from = confine_from,
  };
}

Result<Ok> plan_process(Plan& plan, const oci::Process& process, PlanOptions& options, bool can_set_groups,
                        const std::vector<oci::Hook>& start_hooks) {
  const auto then = [&](Step step) { plan.steps.push_back(step); };
  if (process.args.empty()) return Error(0, "process.args: no command given");
  if (!process.apparmor_profile.empty()) return Error(0, "process.apparmorProfile is not supported on this host");
  if (!process.selinux_label.empty()) return Error(0, "process.selinuxLabel is not supported on this host");

  // With a terminal OpenTerminal has made the session already; a second setsid(2) would lose it.
  if (!process.terminal) then(NewSession{});
  TRY(plan_rlimits(plan, process));
  // As root still: the folder may be closed to the user, as a login's home may.
  then(ChangeDir{plan.text(process.cwd)});
  if (process.user.umask) then(SetUmask{*process.user.umask});

  const bool limited = process.capabilities.has_value();
  const oci::Capabilities& capabilities = limited ? *process.capabilities : oci::Capabilities{};
  const uint64_t bounding = limited ? capability_mask(capabilities.bounding) : ~uint64_t{0};
  if (limited) then(DropBounding{bounding});
  then(SetIds{
      .uid = process.user.uid,
      .gid = process.user.gid,
      .groups = plan.numbers(process.user.additional_gids),
      .set_groups = can_set_groups,
  });
  then(ResetSignals{});
  then(CloseFds{options.preserve_fds});
  // Privileges are given up after the wait only where the filter must come before that: what the wait and the hooks
  // take is not the container's policy to forbid.
  const auto wait_and_run_hooks = [&] {
    if (options.life != PlanOptions::Life::with_parent) {
      then(OutliveParent{});
      then(FindCommand{plan.list(exec_candidates(process)), plan.text(process.args.front())});
      then(WaitForRelease{.for_start = options.life == PlanOptions::Life::waiting_for_start});
    }
    // A hook of the container's is confined as its workload will be: by the steps that follow.
    const auto after = static_cast<uint32_t>(plan.steps.size() + start_hooks.size());
    for (const oci::Hook& hook : start_hooks) {
      then(plan_hook(plan, "startContainer", hook, options.hook_states->created, after));
    }
  };
  const auto load_filter = [&] {
    if (!options.seccomp.empty()) then(LoadSeccomp{plan.filter(std::move(options.seccomp)), options.seccomp_flags});
  };
  const bool filter_before_capabilities = !process.no_new_privileges && !options.seccomp.empty();
  if (process.no_new_privileges) then(NoNewPrivileges{});
  if (filter_before_capabilities) {
    wait_and_run_hooks();
    load_filter();
  }
  // From here on only what the filter allows is sure to work.
  if (limited) {
    then(SetCapabilities{
        .effective = capability_mask(capabilities.effective),
        .permitted = capability_mask(capabilities.permitted),
        .inheritable = capability_mask(capabilities.inheritable),
    });
    // The kernel passes on only what is permitted and inheritable as well. Engines list more, and mean what can be had.
    const uint64_t can_be_passed_on =
        capability_mask(capabilities.permitted) & capability_mask(capabilities.inheritable);
    if (const uint64_t ambient = capability_mask(capabilities.ambient) & can_be_passed_on) then(SetAmbient{ambient});
  }
  if (options.life == PlanOptions::Life::with_parent) then(DieWithParent{});
  if (options.built_in_init) then(ForkFromInit{});
  if (!filter_before_capabilities) {
    wait_and_run_hooks();
    load_filter();
  }
  then(Exec{
      .candidates = plan.list(exec_candidates(process)),
      .args = plan.list(process.args),
      .environment = plan.list(process.env),
  });
  return Ok{};
}

Result<Plan> plan_exec(const oci::Process& process, const sys::Host&, PlanOptions options) {
  Plan plan;
  plan.steps.emplace_back(DieWithParent{});
  if (process.terminal) {
    const oci::ConsoleSize size = process.console_size.value_or(oci::ConsoleSize{});
    plan.steps.emplace_back(OpenTerminal{
        .rows = static_cast<uint16_t>(size.height), .columns = static_cast<uint16_t>(size.width), .console = false});
  }
  TRY(plan_process(plan, process, options, options.can_set_groups, {}));
  return plan;
}

}  // namespace moss::runtime
