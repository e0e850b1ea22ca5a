// One more process in a container.
#include <unistd.h>

#include "moss/runtime/cgroup.hh"
#include "moss/runtime/container.hh"
#include "moss/sys/host.hh"
#include "runtime/container/handover.hh"
#include "runtime/container/lifecycle.hh"

namespace moss::runtime {

Result<Launched> exec_in_container(const Container& container, const ExecOptions& options, const Note& note) {
  if (container.status == Status::stopped || container.status == Status::creating) {
    return Error(0, "container not running: \"", container.id, "\" is ", to_string(container.status));
  }
  if (container.status == Status::paused && !options.ignore_paused) {
    return Error(0, "exec in container \"", container.id,
                 "\": cannot exec in a paused container; resume it, or give --ignore-paused");
  }
  TRY(check_console(options.process.terminal, !options.detach, options.console_socket));
  const oci::Config config = TRY(read_config(container));
  const sys::Host host = TRY(sys::probe_host());
  PlanOptions plan_options{
      .preserve_fds = options.preserve_fds,
      .can_set_groups = !IdMap{config.linux.uid_mappings, config.linux.gid_mappings}.is_single(),
      .life = options.detach ? PlanOptions::Life::detached : PlanOptions::Life::with_parent,
  };
  TRY(add_filter(config, container.root, plan_options));
  const Plan plan = TRY(plan_exec(options.process, host, std::move(plan_options)));
  const auto init = static_cast<pid_t>(container.record.pid);
  const ExecCgroup cgroup = TRY(open_exec_cgroup(container.record.cgroup, init, options.cgroup));
  LaunchOptions launch_options{.cgroup_fd = cgroup.clone_fd.get()};
  if (cgroup.must_enter()) {
    launch_options.enter_cgroup = [&](pid_t process) { return enter_exec_cgroup(cgroup, process); };
  }
  if (config.linux.seccomp) {
    launch_options.on_seccomp_listener = [&](pid_t pid, Fd listener) {
      return hand_on_listener(*config.linux.seccomp, container.record, "running", pid, listener.get());
    };
  }
  for (const std::string& warning : plan.warnings) {
    if (note) note(warning);
  }
  Launched launched = TRY(launch_exec(plan, init, container.pidfd.get(), launch_options));
  if (launched.terminal && !options.console_socket.empty()) {
    TRY(send_terminal(options.console_socket, launched.terminal.get()));
    launched.terminal.reset();
  }
  TRY(send_pidfd(options.pidfd_socket, launched.init.pidfd()));
  TRY(write_pid_file(options.pid_file, launched.init.pid()));
  if (launched.held) {
    const auto pid = launched.init.pid();
    TRY(release(plan, launched, [&](Fd listener) -> Result<Ok> {
      return hand_on_listener(*config.linux.seccomp, container.record, "running", pid, listener.get());
    }));
  }
  return launched;
}

}  // namespace moss::runtime
