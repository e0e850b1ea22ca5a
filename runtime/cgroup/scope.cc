// The scope around a container.
#include "runtime/cgroup/scope.hh"

#include "runtime/cgroup/bus.hh"

namespace moss::runtime {

namespace {

// Every scope of ours: counted, so that its files are there to be read, and forgotten by systemd once it is over.
const UnitProperty kCommon[] = {
    {"Delegate", "b", {"true"}},
    {"DefaultDependencies", "b", {"false"}},
    {"CPUAccounting", "b", {"true"}},
    {"MemoryAccounting", "b", {"true"}},
    {"TasksAccounting", "b", {"true"}},
    {"IOAccounting", "b", {"true"}},
    {"CollectMode", "s", {"inactive-or-failed"}},
};

Result<Ok> end_of_job(Bus& bus, const std::string& job) {
  const std::string result = TRY(bus.await_job(job));
  if (result != "done") return Error(0, "systemd's job ended as \"", result, '"');
  return Ok{};
}

Result<Ok> start(const CgroupPlan& plan, pid_t pid, bool& is_ours) {
  Bus bus = TRY(Bus::connect(plan.record.user_bus));
  TRY(bus.watch_jobs());
  BusCall call = TRY(bus.call("StartTransientUnit"));
  TRY(call.text(plan.record.unit.c_str()));
  TRY(call.text("fail"));  // not in place of another unit of that name
  TRY(call.open('a', "(sv)"));
  TRY(call.property({"Description", "s", {plan.description}}));
  TRY(call.property({"Slice", "s", {plan.slice}}));
  TRY(call.property({"PIDs", "au", {cat(pid)}}));
  for (const UnitProperty& property : kCommon) TRY(call.property(property));
  for (const UnitProperty& property : plan.properties) TRY(call.property(property));
  TRY(call.close());
  // No auxiliary units.
  TRY(call.open('a', "(sa(sv))"));
  TRY(call.close());
  const std::string job = TRY(bus.send(call));
  is_ours = true;
  return end_of_job(bus, job);
}

Result<Ok> change(const CgroupRecord& record, const std::vector<UnitProperty>& properties) {
  Bus bus = TRY(Bus::connect(record.user_bus));
  BusCall call = TRY(bus.call("SetUnitProperties"));
  TRY(call.text(record.unit.c_str()));
  TRY(call.boolean(true));  // not beyond the unit's life
  TRY(call.open('a', "(sv)"));
  for (const UnitProperty& property : properties) TRY(call.property(property));
  TRY(call.close());
  TRY(bus.send(call));
  return Ok{};
}

Result<Ok> attach(const std::string& unit, const std::string& inside, pid_t pid) {
  Bus bus = TRY(Bus::connect(true));
  BusCall call = TRY(bus.call("AttachProcessesToUnit"));
  TRY(call.text(unit.c_str()));
  TRY(call.text(inside.c_str()));
  TRY(call.numbers({static_cast<uint32_t>(pid)}));
  TRY(bus.send(call));
  return Ok{};
}

Result<Ok> stop(const CgroupRecord& record) {
  Bus bus = TRY(Bus::connect(record.user_bus));
  TRY(bus.watch_jobs());
  BusCall call = TRY(bus.call("StopUnit"));
  TRY(call.text(record.unit.c_str()));
  TRY(call.text("replace"));
  const Result<std::string> job = bus.send(call);
  if (!job.ok() && job.error().code() == ENOENT) return Ok{};
  if (!job.ok()) return job.error();
  TRY(end_of_job(bus, *job));
  // A unit that failed stays known, and its name taken, until it is forgotten. Mostly it is already.
  BusCall forget = TRY(bus.call("ResetFailedUnit"));
  TRY(forget.text(record.unit.c_str()));
  (void)bus.send(forget);
  return Ok{};
}

}  // namespace

Result<Ok> start_scope(const CgroupPlan& plan, pid_t pid, bool& is_ours) {
  return start(plan, pid, is_ours).context("start ", plan.record.unit, " in ", plan.slice);
}

Result<Ok> change_scope(const CgroupRecord& record, const std::vector<UnitProperty>& properties) {
  if (properties.empty()) return Ok{};
  return change(record, properties).context("change ", record.unit);
}

Result<Ok> attach_to_scope(const std::string& unit, const std::string& inside, pid_t pid) {
  return attach(unit, inside, pid).context("add process ", pid, " to ", unit);
}

Result<Ok> stop_scope(const CgroupRecord& record) { return stop(record).context("stop ", record.unit); }

}  // namespace moss::runtime
