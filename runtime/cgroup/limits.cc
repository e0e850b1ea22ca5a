// What a config asks of a cgroup.
#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

std::vector<std::string> asked_limits(const oci::Resources& resources) {
  std::vector<std::string> asked;
  const auto ask = [&](bool wanted, std::string_view name) {
    if (wanted) asked.emplace_back(name);
  };
  if (resources.memory) {
    const oci::MemoryLimits& memory = *resources.memory;
    ask(memory.limit.value_or(0) > 0, "memory.limit");
    ask(memory.swap.value_or(0) > 0, "memory.swap");
    ask(memory.reservation.value_or(0) > 0, "memory.reservation");
    ask(memory.swappiness.has_value(), "memory.swappiness");
    ask(memory.disable_oom_killer.value_or(false), "memory.disableOOMKiller");
  }
  if (resources.cpu) {
    const oci::CpuLimits& cpu = *resources.cpu;
    ask(cpu.shares.value_or(0) != 0, "cpu.shares");
    ask(cpu.quota.value_or(0) > 0, "cpu.quota");
    ask(cpu.period.value_or(0) != 0, "cpu.period");
    ask(cpu.burst.value_or(0) != 0, "cpu.burst");
    ask(cpu.idle.value_or(0) != 0, "cpu.idle");
    ask(cpu.realtime_period.has_value(), "cpu.realtimePeriod");
    ask(cpu.realtime_runtime.has_value(), "cpu.realtimeRuntime");
    ask(!cpu.cpus.empty(), "cpu.cpus");
    ask(!cpu.mems.empty(), "cpu.mems");
  }
  ask(resources.pids && resources.pids->limit.value_or(-1) >= 0, "pids.limit");
  if (resources.block_io) {
    const oci::BlockIoLimits& io = *resources.block_io;
    ask(io.weight.value_or(0) != 0, "blockIO.weight");
    ask(io.leaf_weight.value_or(0) != 0, "blockIO.leafWeight");
    ask(!io.weight_devices.empty(), "blockIO.weightDevice");
    ask(!io.read_bps.empty(), "blockIO.throttleReadBpsDevice");
    ask(!io.write_bps.empty(), "blockIO.throttleWriteBpsDevice");
    ask(!io.read_iops.empty(), "blockIO.throttleReadIOPSDevice");
    ask(!io.write_iops.empty(), "blockIO.throttleWriteIOPSDevice");
  }
  ask(!resources.hugepage_limits.empty(), "hugepageLimits");
  if (resources.network) {
    ask(resources.network->class_id.has_value(), "network.classID");
    ask(!resources.network->priorities.empty(), "network.priorities");
  }
  ask(!resources.rdma.empty(), "rdma");
  ask(!resources.unified.empty(), "unified");
  return asked;
}

bool asks_for_limits(const oci::Config& config) {
  return config.linux.resources && !asked_limits(*config.linux.resources).empty();
}

}  // namespace moss::runtime
