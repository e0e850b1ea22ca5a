// The process itself: limits, ids, capabilities, seccomp, execve.
//
// Privileges only ever go down here. A filter that may be installed without no_new_privs needs CAP_SYS_ADMIN, so it
// comes before the last capset(2); with no_new_privs it comes last, and the fewest calls have to pass it.
// Spec: config.md "Process". See capabilities(7), seccomp(2).
#include <algorithm>

#include "moss/runtime/capabilities.hh"
#include "runtime/plan/attributes.hh"
#include "runtime/plan/builder.hh"

namespace moss::runtime {

namespace {

Result<Ok> plan_rlimits(Plan& plan, const oci::Process& process) {
  for (const oci::Rlimit& limit : process.rlimits) {
    const auto resource = resource_number(limit.type);
    if (!resource) return Error(0, "process.rlimits: unknown limit ", printable(limit.type));
    plan.steps.emplace_back(SetRlimit{*resource, limit.soft, limit.hard});
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

Result<Ok> plan_exec_labels(Plan& plan, const oci::Process& process, const sys::Host& host) {
  if (!process.selinux_label.empty()) {
    if (!host.selinux) return Error(0, "process.selinuxLabel: SELinux is not enabled on this host");
    plan.steps.emplace_back(SetExecLabel{"thread-self/attr/exec", nullptr, plan.text(process.selinux_label)});
  }
  if (!process.apparmor_profile.empty()) {
    plan.steps.emplace_back(SetExecLabel{"thread-self/attr/apparmor/exec", "thread-self/attr/exec",
                                         plan.text(cat("exec ", process.apparmor_profile))});
  }
  return Ok{};
}

namespace {

// The kernel gives no process more than it may have; what is left out is said.
oci::Capabilities grantable(Plan& plan, const oci::Capabilities& asked) {
  oci::Capabilities sets = asked;
  const auto warn = [&](const char* set, const std::string& name, const char* why) {
    plan.warnings.push_back(cat("process.capabilities.", set, ": ", printable(name), " ", why, "; left out"));
  };
  const auto keep = [&](std::vector<std::string>& names, const char* set, auto allowed, const char* why) {
    std::erase_if(names, [&](const std::string& name) {
      if (allowed(name)) return false;
      warn(set, name, why);
      return true;
    });
  };
  const auto holds = [](const std::vector<std::string>& names) {
    return [&names](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  };
  const auto known = [](const std::string& name) { return capability_number(name).has_value(); };
  keep(sets.bounding, "bounding", known, "is no capability");
  keep(sets.permitted, "permitted", known, "is no capability");
  keep(sets.effective, "effective", known, "is no capability");
  keep(sets.inheritable, "inheritable", known, "is no capability");
  keep(sets.ambient, "ambient", known, "is no capability");
  keep(sets.effective, "effective", holds(sets.permitted), "is not permitted");
  // The kernel passes on only what is permitted and inheritable as well. Engines list more, and mean what can be had.
  std::erase_if(sets.ambient, [&](const std::string& name) {
    return !holds(sets.permitted)(name) || !holds(sets.inheritable)(name);
  });
  return sets;
}

// The workload's. Where nobody said what HOME is, it is what the container's /etc/passwd says.
Strings plan_environment(Plan& plan, const oci::Process& process, const PlanOptions& options) {
  std::vector<std::string> environment = process.env;
  // sd_listen_fds(3): the descriptors are the first of those preserved, and meant for process 1.
  if (options.listen_fds != 0) {
    environment.push_back(cat("LISTEN_FDS=", options.listen_fds));
    environment.push_back("LISTEN_PID=1");
  }
  if (std::any_of(environment.begin(), environment.end(), [](const auto& v) { return v.starts_with("HOME="); })) {
    return plan.list(environment);
  }
  constexpr size_t kLongestHome = 4096;
  char* home = plan.room("HOME=/", kLongestHome);
  plan.steps.emplace_back(FindHome{process.user.uid, home, kLongestHome});
  return plan.list(environment, home);
}

}  // namespace

RunHook plan_hook(Plan& plan, const char* kind, const oci::Hook& hook, const HookState& state, Strings environment) {
  return {
      .kind = kind,
      .path = plan.text(hook.path),
      .args = plan.list(hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args),
      .environment = hook.env ? plan.list(*hook.env) : environment,
      .timeout_s = hook.timeout.value_or(0),
      .state_before_pid = plan.text(state.before_pid),
      .state_after_pid = plan.text(state.after_pid),
      .at_root = false,
      .confine_from = kNoConfinement,
  };
}

Result<Ok> plan_process(Plan& plan, const oci::Process& process, PlanOptions& options,
                        const std::vector<oci::Hook>& start_hooks) {
  const auto then = [&](Step step) { plan.steps.push_back(step); };
  if (process.args.empty()) return Error(0, "process.args: no command given");

  // With a terminal OpenTerminal has made the session already; a second setsid(2) would lose it.
  if (!process.terminal) then(NewSession{});
  if (!options.session_keyring.empty()) then(JoinKeyring{plan.text(options.session_keyring)});
  TRY(plan_rlimits(plan, process));
  if (process.scheduler) then(TRY(scheduler_step(*process.scheduler).context("process.scheduler")));
  if (process.io_priority) then(TRY(io_priority_step(*process.io_priority).context("process.ioPriority")));
  // As root still: the folder may be closed to the user, as a login's home may.
  then(ChangeDir{plan.text(process.cwd)});
  if (process.user.umask) then(SetUmask{*process.user.umask});
  const Strings environment = plan_environment(plan, process, options);

  // Absent sets are empty ones: nobody who wrote no capabilities wanted all of them.
  const oci::Capabilities capabilities = grantable(plan, process.capabilities.value_or(oci::Capabilities{}));
  then(DropBounding{capability_mask(capabilities.bounding)});
  then(SetIds{
      .uid = process.user.uid,
      .gid = process.user.gid,
      .groups = plan.numbers(process.user.additional_gids),
      .set_groups = options.can_set_groups,
      .groups_may_stay = options.groups_may_stay,
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
      RunHook step = plan_hook(plan, "startContainer", hook, options.hook_states->created, environment);
      step.confine_from = after;
      then(step);
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
  then(SetCapabilities{
      .effective = capability_mask(capabilities.effective),
      .permitted = capability_mask(capabilities.permitted),
      .inheritable = capability_mask(capabilities.inheritable),
  });
  if (const uint64_t ambient = capability_mask(capabilities.ambient)) then(SetAmbient{ambient});
  if (options.life == PlanOptions::Life::with_parent) then(DieWithParent{});
  if (options.built_in_init) then(ForkFromInit{});
  if (!filter_before_capabilities) {
    wait_and_run_hooks();
    load_filter();
  }
  then(Exec{
      .candidates = plan.list(exec_candidates(process)),
      .args = plan.list(process.args),
      .environment = environment,
  });
  return Ok{};
}

Result<Ok> plan_launch_attributes(Builder& b) {
  const oci::Linux& linux = b.config().linux;
  if (linux.memory_policy) {
    auto [mode, nodes] = TRY(memory_policy_of(*linux.memory_policy).context("linux.memoryPolicy"));
    b.then(SetMemoryPolicy{mode, b.plan().numbers(std::move(nodes))});
  }
  if (linux.personality) b.then(SetPersonality{TRY(persona_of(*linux.personality).context("linux.personality"))});
  return Ok{};
}

Result<Plan> plan_exec(const oci::Process& process, const sys::Host& host, PlanOptions options) {
  if (const std::vector<std::string> complaints = check_process(process); !complaints.empty()) {
    return Error(0, join(complaints, "; "));
  }
  Plan plan;
  const auto set_affinity = [&](const std::string& list, const char* place) -> Result<Ok> {
    if (list.empty()) return Ok{};
    plan.steps.emplace_back(SetCpuAffinity{plan.numbers(TRY(parse_number_list(list).context(place)))});
    return Ok{};
  };
  if (process.exec_cpu_affinity) {
    TRY(set_affinity(process.exec_cpu_affinity->initial, "process.execCPUAffinity.initial"));
  }
  if (process.oom_score_adj) {
    plan.oom_score = SetOomScore{plan.text(std::to_string(*process.oom_score_adj)), !host.is_real_root()};
  }
  plan.steps.emplace_back(DieWithParent{});
  TRY(plan_exec_labels(plan, process, host));
  if (process.terminal) {
    const oci::ConsoleSize size = process.console_size.value_or(oci::ConsoleSize{});
    plan.steps.emplace_back(OpenTerminal{.rows = static_cast<uint16_t>(size.height),
                                         .columns = static_cast<uint16_t>(size.width),
                                         .console = false,
                                         .uid = process.user.uid});
  }
  if (process.exec_cpu_affinity) {
    TRY(set_affinity(process.exec_cpu_affinity->final, "process.execCPUAffinity.final"));
  }
  TRY(plan_process(plan, process, options, {}));
  return plan;
}

}  // namespace moss::runtime
