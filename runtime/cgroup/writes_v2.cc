// Limits as the files of cgroup v2.
//
// config.json speaks v1: swap means memory and swap together, shares count from 2 to 262144, a block device's weight
// from 10 to 1000. Here they become what v2 has. What it has not (leaf weights, network classes, realtime time) is
// refused: a limit is never dropped silently.
// Kernel: Documentation/admin-guide/cgroup-v2.rst. Spec: config-linux.md "Control groups".
#include <algorithm>

#include "moss/sys/dynamic_library.hh"
#include "runtime/cgroup/writes.hh"

namespace moss::runtime {

Result<uint64_t> cpu_weight(uint64_t shares) {
  if (shares <= 2) return uint64_t{1};
  if (shares >= 262144) return uint64_t{10000};
  // Loaded here, for these two functions are all that moss wants of libm: linked, it would cost every start 0.1 ms.
  const sys::DynamicLibrary libm = TRY(sys::DynamicLibrary::open("libm.so.6", "libc6"));
  auto* const log2 = TRY(libm.function<double(double)>("log2"));
  auto* const pow = TRY(libm.function<double(double, double)>("pow"));
  // log10(weight) as a parabola in log2(shares), solved for the three points the header names.
  const double l = log2(static_cast<double>(shares));
  const double exponent = (l * l + 125 * l) / 612.0 - 7.0 / 34.0;
  // Rounded up, but 100.0000000001 is 100.
  const double weight = pow(10, exponent) - 1e-9;
  const auto whole = static_cast<uint64_t>(weight);
  return whole + (static_cast<double>(whole) < weight ? 1 : 0);
}

namespace {

std::string bytes(int64_t value) { return value < 0 ? "max" : cat(value); }

Result<Ok> add_memory(Writes& out, const oci::MemoryLimits& memory) {
  if (memory.swappiness) {
    return Error(0, "memory.swappiness: cgroup v2 has none; leave it out, or set vm.swappiness for the whole host");
  }
  if (memory.disable_oom_killer.value_or(false)) {
    return Error(0, "memory.disableOOMKiller: cgroup v2 cannot; leave it out, or set memory.high in unified");
  }
  const int64_t limit = memory.limit.value_or(0);
  const int64_t swap = limit == -1 && memory.swap.value_or(0) == 0 ? -1 : memory.swap.value_or(0);
  if (swap > 0 && limit <= 0) {
    return Error(0, "memory.swap: memory and swap together need memory.limit too, for cgroup v2 counts them apart");
  }
  if (swap != 0) {
    // A kernel without swap has no such file: as good as unlimited, and as none.
    out.add("memory.swap", "memory", "memory.swap.max", bytes(swap < 0 ? -1 : swap - limit)).optional =
        swap < 0 || swap == limit;
  }
  if (limit != 0) out.add("memory.limit", "memory", "memory.max", bytes(limit));
  if (memory.reservation.value_or(0) != 0) {
    out.add("memory.reservation", "memory", "memory.low", bytes(*memory.reservation));
  }
  return Ok{};
}

Result<Ok> add_cpu(Writes& out, const oci::CpuLimits& cpu) {
  if (cpu.realtime_period || cpu.realtime_runtime) {
    return Error(0, cpu.realtime_period ? "cpu.realtimePeriod" : "cpu.realtimeRuntime",
                 ": cgroup v2 gives out no realtime time");
  }
  // A weight is refused while the cgroup is idle.
  const bool stays_idle = cpu.idle.value_or(0) == 1;
  if (cpu.idle && !stays_idle) out.add("cpu.idle", "cpu", "cpu.idle", "0").optional = true;
  if (cpu.shares.value_or(0) != 0 && !stays_idle) {
    out.add("cpu.shares", "cpu", "cpu.weight", cat(TRY(cpu_weight(*cpu.shares))));
  }
  const int64_t quota = cpu.quota.value_or(0);
  const uint64_t period = cpu.period.value_or(0);
  if (quota != 0 || period != 0) {
    out.add(quota != 0 ? "cpu.quota" : "cpu.period", "cpu", "cpu.max",
            cat(quota > 0 ? cat(quota) : "max", ' ', period != 0 ? period : 100'000));
  }
  if (cpu.burst) out.add("cpu.burst", "cpu", "cpu.max.burst", cat(*cpu.burst)).optional = *cpu.burst == 0;
  if (stays_idle) out.add("cpu.idle", "cpu", "cpu.idle", "1");
  if (!cpu.cpus.empty()) out.add("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus);
  if (!cpu.mems.empty()) out.add("cpu.mems", "cpuset", "cpuset.mems", cpu.mems);
  return Ok{};
}

// 10..1000 of blkio.weight to 1..10000 of io.weight, as the spec's own conversion goes. BFQ kept the old scale.
void add_weight(Writes& out, std::string_view limit, std::string_view whose, uint16_t weight) {
  CgroupWrite& write = out.add(limit, "io", "io.bfq.weight", cat(whose, weight));
  write.other_file = "io.weight";
  write.other_value = cat(whose, 1 + (std::max<uint64_t>(weight, 10) - 10) * 9999 / 990);
}

void add_throttle(Writes& out, std::string_view limit, std::string_view key,
                  const std::vector<oci::ThrottleDevice>& devices) {
  for (const oci::ThrottleDevice& device : devices) {
    // Nought bytes a second is v1's way to take a limit off.
    out.add(limit, "io", "io.max",
            cat(device.major, ':', device.minor, ' ', key, '=', device.rate == 0 ? "max" : cat(device.rate)));
  }
}

Result<Ok> add_block_io(Writes& out, const oci::BlockIoLimits& io) {
  const bool has_leaf =
      std::any_of(io.weight_devices.begin(), io.weight_devices.end(),
                  [](const oci::WeightDevice& device) { return device.leaf_weight.value_or(0) != 0; });
  if (io.leaf_weight.value_or(0) != 0 || has_leaf) {
    return Error(0, has_leaf ? "blockIO.weightDevice.leafWeight" : "blockIO.leafWeight", ": cgroup v2 has none");
  }
  if (io.weight.value_or(0) != 0) add_weight(out, "blockIO.weight", "default ", *io.weight);
  for (const oci::WeightDevice& device : io.weight_devices) {
    if (!device.weight) continue;
    add_weight(out, "blockIO.weightDevice", cat(device.major, ':', device.minor, ' '), *device.weight);
  }
  add_throttle(out, "blockIO.throttleReadBpsDevice", "rbps", io.read_bps);
  add_throttle(out, "blockIO.throttleWriteBpsDevice", "wbps", io.write_bps);
  add_throttle(out, "blockIO.throttleReadIOPSDevice", "riops", io.read_iops);
  add_throttle(out, "blockIO.throttleWriteIOPSDevice", "wiops", io.write_iops);
  return Ok{};
}

// Verbatim, but never out of the container's own folder. A file takes one line a write.
Result<Ok> add_unified(Writes& out, const std::map<std::string, std::string>& unified) {
  for (const auto& [file, value] : unified) {
    const std::string limit = cat("unified.", printable(file));
    if (file.find('/') != std::string::npos) return Error(0, limit, ": expected the name of a file, not a path");
    const auto [controller, rest] = cut(file, '.');
    if (controller.empty() || !rest) return Error(0, limit, ": expected a file such as memory.high");
    for (const std::string_view line : split(value, '\n')) {
      if (trim(line).empty() && !value.empty() && value.find('\n') != std::string::npos) continue;
      out.add(limit, controller == "cgroup" ? "" : controller, file, std::string(line));
    }
    if (value.empty()) out.add(limit, controller == "cgroup" ? "" : controller, file, "");
  }
  return Ok{};
}

}  // namespace

Result<std::vector<CgroupWrite>> cgroup_writes_v2(const oci::Resources& resources) {
  TRY(check_resources(resources));
  Writes out;
  if (resources.memory) TRY(add_memory(out, *resources.memory));
  if (resources.cpu) TRY(add_cpu(out, *resources.cpu));
  if (resources.pids && resources.pids->limit) {
    out.add("pids.limit", "pids", "pids.max", bytes(*resources.pids->limit));
  }
  if (resources.block_io) TRY(add_block_io(out, *resources.block_io));
  for (const oci::HugepageLimit& limit : resources.hugepage_limits) {
    // What is reserved but not yet touched counts against another file, where the kernel has it (5.7).
    const std::string prefix = cat("hugetlb.", limit.page_size);
    out.add("hugepageLimits", "hugetlb", cat(prefix, ".rsvd.max"), cat(limit.limit)).optional = true;
    out.add("hugepageLimits", "hugetlb", cat(prefix, ".max"), cat(limit.limit));
  }
  if (resources.network && (resources.network->class_id || !resources.network->priorities.empty())) {
    return Error(0, resources.network->class_id ? "network.classID" : "network.priorities",
                 ": cgroup v2 marks no packets; use nftables' \"socket cgroupv2\" for it");
  }
  TRY(add_rdma(out, resources));
  TRY(add_unified(out, resources.unified));
  return std::move(out).take();
}

}  // namespace moss::runtime
