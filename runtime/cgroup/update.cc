// `update`: other limits for a running container.
#include <fcntl.h>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/devices.hh"
#include "runtime/cgroup/scope.hh"
#include "runtime/cgroup/unit.hh"

namespace moss::runtime {

namespace {

// cgroup v2 keeps in one file, or counts apart, what config.json says in two: the half that is not given stays.
Result<oci::Resources> complete(const oci::Resources& asked, const std::string& folder) {
  oci::Resources resources = asked;
  if (resources.cpu && (resources.cpu->quota.value_or(0) == 0) != (resources.cpu->period.value_or(0) == 0)) {
    const std::string now = TRY(read_control_if_exists(folder, "cpu.max")).value_or("max 100000");
    const auto [quota, period] = cut(now, ' ');
    if (resources.cpu->quota.value_or(0) == 0) {
      resources.cpu->quota = quota == "max" ? -1 : parse_number<int64_t>(quota).value_or(-1);
    } else {
      resources.cpu->period = parse_number<uint64_t>(period.value_or("")).value_or(100'000);
    }
  }
  if (resources.memory && resources.memory->swap.value_or(0) > 0 && resources.memory->limit.value_or(0) == 0) {
    const auto now = TRY(read_control_if_exists(folder, "memory.max"));
    resources.memory->limit = parse_number<int64_t>(now.value_or("max")).value_or(0);
  }
  return resources;
}

// cgroup v2 takes a limit below what is in use and kills; v1 refuses it. Who asks gets v1's manners.
Result<Ok> check_memory(const oci::Resources& resources, const std::string& folder) {
  if (!resources.memory || !resources.memory->check_before_update.value_or(false)) return Ok{};
  const int64_t limit = resources.memory->limit.value_or(0);
  if (limit <= 0) return Ok{};
  const auto current = parse_number<int64_t>(TRY(read_control_if_exists(folder, "memory.current")).value_or(""));
  if (current && limit < *current) {
    return Error(EBUSY, "linux.resources.memory.limit: ", limit, " is less than what is in use, ", *current);
  }
  return Ok{};
}

Result<Ok> update_unified(const CgroupRecord& record, const oci::Resources& asked) {
  const std::string& folder = record.folders.at("");
  const oci::Resources resources = TRY(complete(asked, folder));
  const std::vector<CgroupWrite> writes = TRY(cgroup_writes_v2(resources).context("linux.resources"));
  TRY(check_memory(resources, folder));
  if (!record.unit.empty()) {
    const std::vector<UnitProperty> properties = TRY(scope_properties(resources, true).context("linux.resources"));
    TRY(change_scope(record, properties));
  }
  TRY(apply_writes(record, writes));
  if (resources.devices.empty()) return Ok{};
  const std::vector<bpf_insn> filter = TRY(device_filter(resources.devices).context("linux.resources"));
  const Fd dir = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
  return attach_device_filter(dir.get(), filter, record.rootless);
}

Result<Ok> update_v1(const CgroupRecord& record, const oci::Resources& resources) {
  std::vector<CgroupWrite> writes = TRY(cgroup_writes_v1(resources).context("linux.resources"));
  // Rules that are not given do not change.
  if (resources.devices.empty() || record.rootless) {
    std::erase_if(writes, [](const CgroupWrite& write) { return write.limit == "devices"; });
  }
  if (!record.unit.empty()) {
    std::vector<UnitProperty> properties = TRY(scope_properties(resources, false).context("linux.resources"));
    if (resources.devices.empty()) {
      std::erase_if(properties, [](const UnitProperty& property) { return property.name.starts_with("Device"); });
    }
    TRY(change_scope(record, properties));
  }
  return apply_writes(record, writes);
}

}  // namespace

Result<Ok> update_cgroup(const CgroupRecord& record, const oci::Resources& resources) {
  if (record.folders.empty()) {
    const std::vector<std::string> limits = asked_limits(resources);
    if (limits.empty()) return Ok{};
    return Error(0, "linux.resources: cannot keep ", join(limits, ", "),
                 ": the container has no cgroup of its own (none was delegated when it was created)");
  }
  return is_unified(record) ? update_unified(record, resources) : update_v1(record, resources);
}

}  // namespace moss::runtime
