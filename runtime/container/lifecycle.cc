// Hooks after start and after the end, and the filter with its listener.
#include "runtime/container/lifecycle.hh"

#include <signal.h>

#include "moss/oci/container_process_state.hh"
#include "moss/runtime/hooks.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/child.hh"

namespace moss::runtime {

std::string hook_state(const oci::ContainerRecord& record, const char* status, int64_t pid) {
  return oci::encode_hook_state({
      .id = record.id,
      .status = status,
      .pid = pid,
      .bundle = record.bundle,
      .annotations = record.annotations,
  });
}

Result<Ok> add_filter(const oci::Config& config, const std::string& root, PlanOptions& options) {
  if (!config.linux.seccomp) return Ok{};
  const SeccompFilter filter = TRY(seccomp_filter(*config.linux.seccomp, root + "/.seccomp").context("linux.seccomp"));
  options.seccomp.assign(filter.program().begin(), filter.program().end());
  options.seccomp_flags = filter.flags;
  return Ok{};
}

Result<Ok> hand_on_listener(const oci::Seccomp& seccomp, const oci::ContainerRecord& record, const char* status,
                            pid_t pid, int listener) {
  const oci::ContainerProcessState state{.pid = pid,
                                         .metadata = seccomp.listener_metadata,
                                         // The process may be one of exec; the state is the container's.
                                         .state = {.id = record.id,
                                                   .status = status,
                                                   .pid = record.pid != 0 ? record.pid : pid,
                                                   .bundle = record.bundle,
                                                   .annotations = record.annotations}};
  return send_to_seccomp_agent(seccomp.listener_path.value_or(""), oci::encode_container_process_state(state),
                               listener);
}

Result<Ok> run_poststart(const Container& container) {
  if (!container.record.has_poststart) return Ok{};
  const oci::Config config = TRY(read_config(container));
  Result<Ok> ran = run_hooks("poststart", config.hooks.poststart,
                             hook_state(container.record, "running", container.record.pid), container.record.bundle);
  if (!ran.ok() && container.pidfd) (void)sys::send_signal(container.pidfd.get(), SIGKILL);
  return ran;
}

void run_poststop(const oci::Hooks& hooks, const oci::ContainerRecord& record, const Note& note) {
  for (const oci::Hook& hook : hooks.poststop) {
    const Result<Ok> ran = run_hook("poststop", hook, hook_state(record, "stopped", 0), record.bundle);
    if (!ran.ok() && note) note(ran.error().to_string());
  }
}

}  // namespace moss::runtime
