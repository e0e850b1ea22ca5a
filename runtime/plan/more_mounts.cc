// Mounts that come to a running container, or go.
//
// They are planned as those of a new container are, by the same functions. What differs is from where they are made:
// the host's folders are copied before the container is joined, because afterwards "/" is the container's; everything
// else is done inside, below its root. Whatever can fail is prepared before anything is attached.

#include "runtime/plan/builder.hh"

namespace moss::runtime {

namespace {

Result<Ok> check_destinations(const std::vector<oci::Mount>& mounts) {
  for (size_t i = 0; i < mounts.size(); ++i) {
    const std::string& destination = mounts[i].destination;
    if (destination.empty()) return Error(0, "mounts[", i, "].destination: missing");
    if (clean_path(destination) == "/") return Error(0, "mounts[", i, "].destination: the root stays as it is");
  }
  return Ok{};
}

}  // namespace

Result<Plan> plan_more_mounts(oci::Config config, std::vector<oci::Mount> mounts, const sys::Host& host,
                              PlanOptions options) {
  TRY(check_destinations(mounts));
  // One is left for what a cgroup mount needs.
  if (mounts.size() >= kSlots - 1) return Error(0, "mounts: more than ", kSlots - 2, " at a time");
  config.mounts = std::move(mounts);
  if (const std::vector<std::string> complaints = check(config, host); !complaints.empty()) {
    return Error(0, join(complaints, "; "));
  }
  Builder b(config, host, std::move(options));
  std::vector<PlannedMount> planned = TRY(decide_mounts(b));
  for (PlannedMount& mount : planned) {
    if (mount.prepare && std::holds_alternative<PrepareBind>(*mount.prepare)) {
      auto& bind = std::get<PrepareBind>(*mount.prepare);
      if (bind.slot == Builder::kLateSlot) {
        const std::optional<uint8_t> slot = b.early_slot();
        if (!slot) return Error(0, "mounts: too many at a time");
        bind.slot = mount.attach->slot = *slot;
      }
      b.then(bind);
    }
  }
  b.plan().steps_outside = static_cast<uint32_t>(b.plan().steps.size());
  b.then(DieWithParent{});
  for (PlannedMount& mount : planned) {
    if (mount.prepare) {
      if (auto* made = std::get_if<PrepareMount>(&*mount.prepare)) {
        // What stands in for it would be the host's, and that is out of sight.
        made->fallback = nullptr;
        b.then(*made);
      }
    }
    if (mount.attach) b.then(*mount.attach);
    for (const Step& step : mount.after) b.then(step);
  }
  b.then(Finish{});
  return std::move(b).finish();
}

Result<Plan> plan_fewer_mounts(const std::vector<oci::Mount>& mounts) {
  TRY(check_destinations(mounts));
  Plan plan;
  plan.steps.emplace_back(DieWithParent{});
  for (const oci::Mount& mount : mounts) {
    plan.steps.emplace_back(Detach{plan.text(clean_path(mount.destination))});
  }
  plan.steps.emplace_back(Finish{});
  return plan;
}

}  // namespace moss::runtime
