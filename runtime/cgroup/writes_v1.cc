// Limits as the files of cgroup v1, one tree a controller.
//
// The order is that of a fresh cgroup, where everything is unlimited: memory before memory and swap together, period
// before quota before burst. An update may need the other order; the writer then tries a refused value once more.
// Kernel: Documentation/admin-guide/cgroup-v1/. Spec: config-linux.md "Control groups".
#include "runtime/cgroup/devices.hh"
#include "runtime/cgroup/writes.hh"

namespace moss::runtime {

namespace {

void add_memory(Writes& out, const oci::MemoryLimits& memory) {
  const int64_t limit = memory.limit.value_or(0);
  // No limit on memory is none on memory and swap together either, which may not be the smaller.
  const int64_t swap = limit == -1 && memory.swap.value_or(0) == 0 ? -1 : memory.swap.value_or(0);
  if (limit != 0) out.add("memory.limit", "memory", "memory.limit_in_bytes", cat(limit));
  if (swap != 0) {
    // A kernel that does not count swap has no such file: as good as unlimited, and only as that.
    out.add("memory.swap", "memory", "memory.memsw.limit_in_bytes", cat(swap)).optional = swap == -1;
  }
  if (memory.reservation.value_or(0) != 0) {
    out.add("memory.reservation", "memory", "memory.soft_limit_in_bytes", cat(*memory.reservation));
  }
  if (memory.swappiness) {
    out.add("memory.swappiness", "memory", "memory.swappiness", cat(*memory.swappiness));
  }
  // A fresh cgroup kills and, since Linux 5.11, always counts what is below it.
  if (memory.disable_oom_killer) {
    out.add("memory.disableOOMKiller", "memory", "memory.oom_control", *memory.disable_oom_killer ? "1" : "0")
        .optional = !*memory.disable_oom_killer;
  }
  if (memory.use_hierarchy.value_or(false)) {
    out.add("memory.useHierarchy", "memory", "memory.use_hierarchy", "1").optional = true;
  }
}

void add_cpu(Writes& out, const oci::CpuLimits& cpu) {
  // Realtime time first: a realtime process cannot enter a cgroup that has none.
  if (cpu.realtime_period) out.add("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", cat(*cpu.realtime_period));
  if (cpu.realtime_runtime) out.add("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", cat(*cpu.realtime_runtime));
  // Shares are refused while the cgroup is idle.
  const bool stays_idle = cpu.idle.value_or(0) == 1;
  if (cpu.idle && !stays_idle) out.add("cpu.idle", "cpu", "cpu.idle", "0").optional = true;
  if (cpu.shares.value_or(0) != 0 && !stays_idle) out.add("cpu.shares", "cpu", "cpu.shares", cat(*cpu.shares));
  if (cpu.period.value_or(0) != 0) out.add("cpu.period", "cpu", "cpu.cfs_period_us", cat(*cpu.period));
  if (cpu.quota.value_or(0) != 0) {
    out.add("cpu.quota", "cpu", "cpu.cfs_quota_us", cat(*cpu.quota < 0 ? int64_t{-1} : *cpu.quota));
  }
  if (cpu.burst) out.add("cpu.burst", "cpu", "cpu.cfs_burst_us", cat(*cpu.burst)).optional = *cpu.burst == 0;
  if (stays_idle) out.add("cpu.idle", "cpu", "cpu.idle", "1");
  if (!cpu.cpus.empty()) out.add("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus);
  if (!cpu.mems.empty()) out.add("cpu.mems", "cpuset", "cpuset.mems", cpu.mems);
}

// The weights moved to the BFQ scheduler's own files when CFQ left the kernel (5.0).
void add_weight(Writes& out, std::string_view limit, std::string_view name, const std::string& value) {
  CgroupWrite& write = out.add(limit, "blkio", cat("blkio.", name), value);
  write.other_file = cat("blkio.bfq.", name);
  write.other_value = value;
}

void add_throttle(Writes& out, std::string_view limit, std::string_view file,
                  const std::vector<oci::ThrottleDevice>& devices) {
  for (const oci::ThrottleDevice& device : devices) {
    out.add(limit, "blkio", file, cat(device.major, ':', device.minor, ' ', device.rate));
  }
}

void add_block_io(Writes& out, const oci::BlockIoLimits& io) {
  if (io.weight.value_or(0) != 0) add_weight(out, "blockIO.weight", "weight", cat(*io.weight));
  if (io.leaf_weight.value_or(0) != 0) add_weight(out, "blockIO.leafWeight", "leaf_weight", cat(*io.leaf_weight));
  for (const oci::WeightDevice& device : io.weight_devices) {
    const std::string number = cat(device.major, ':', device.minor, ' ');
    if (device.weight) {
      add_weight(out, "blockIO.weightDevice", "weight_device", cat(number, *device.weight));
    }
    if (device.leaf_weight) {
      add_weight(out, "blockIO.weightDevice", "leaf_weight_device", cat(number, *device.leaf_weight));
    }
  }
  add_throttle(out, "blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", io.read_bps);
  add_throttle(out, "blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", io.write_bps);
  add_throttle(out, "blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", io.read_iops);
  add_throttle(out, "blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", io.write_iops);
}

}  // namespace

Result<std::vector<CgroupWrite>> cgroup_writes_v1(const oci::Resources& resources) {
  TRY(check_resources(resources));
  if (!resources.unified.empty()) {
    return Error(0, "unified: this host's controllers are those of cgroup v1, which have no ",
                 printable(resources.unified.begin()->first));
  }
  Writes out;
  if (resources.memory) add_memory(out, *resources.memory);
  const uint64_t shares = resources.cpu ? resources.cpu->shares.value_or(0) : 0;
  // The kernel would silently take the nearest.
  if (shares == 1 || shares > 262144) return Error(0, "cpu.shares: expected 2..262144, found ", shares);
  if (resources.cpu) add_cpu(out, *resources.cpu);
  if (resources.pids && resources.pids->limit) {
    out.add("pids.limit", "pids", "pids.max", *resources.pids->limit < 0 ? "max" : cat(*resources.pids->limit));
  }
  if (resources.block_io) add_block_io(out, *resources.block_io);
  for (const oci::HugepageLimit& limit : resources.hugepage_limits) {
    // What is reserved but not yet touched counts against another file, where the kernel has it (5.7).
    const std::string prefix = cat("hugetlb.", limit.page_size);
    out.add("hugepageLimits", "hugetlb", cat(prefix, ".rsvd.limit_in_bytes"), cat(limit.limit)).optional = true;
    out.add("hugepageLimits", "hugetlb", cat(prefix, ".limit_in_bytes"), cat(limit.limit));
  }
  if (resources.network) {
    if (resources.network->class_id) {
      out.add("network.classID", "net_cls", "net_cls.classid", cat(*resources.network->class_id));
    }
    for (const oci::InterfacePriority& priority : resources.network->priorities) {
      out.add("network.priorities", "net_prio", "net_prio.ifpriomap", cat(priority.name, ' ', priority.priority));
    }
  }
  TRY(add_rdma(out, resources));
  TRY(add_device_writes(out, resources.devices));
  return std::move(out).take();
}

}  // namespace moss::runtime
