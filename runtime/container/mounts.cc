// Mounts in a container that runs already.
#include "moss/runtime/container.hh"
#include "moss/sys/host.hh"

namespace moss::runtime {

namespace {

Result<Ok> change(const Container& container, const Plan& plan) {
  return change_mounts(plan, static_cast<pid_t>(container.record.pid), container.pidfd.get());
}

Result<Ok> must_live(const Container& container) {
  if (container.pidfd) return Ok{};
  return Error(0, "container not running: \"", container.id, "\" is ", to_string(container.status));
}

}  // namespace

Result<Ok> add_mounts(const Container& container, std::vector<oci::Mount> mounts) {
  TRY(must_live(container));
  const sys::Host host = TRY(sys::probe_host());
  oci::Config config = TRY(read_config(container));
  const Plan plan =
      TRY(plan_more_mounts(std::move(config), std::move(mounts), host,
                           {.bundle = container.record.bundle, .cgroup_folders = container.record.cgroup.folders}));
  return change(container, plan);
}

Result<Ok> remove_mounts(const Container& container, const std::vector<oci::Mount>& mounts) {
  TRY(must_live(container));
  const Plan plan = TRY(plan_fewer_mounts(mounts));
  Result<Ok> done = change(container, plan);
  if (!done.ok() && done.error().code() == EINVAL)
    return Error(0, done.error().message(), ": nothing is mounted there");
  return done;
}

}  // namespace moss::runtime
