// pause, resume, update, events: what a container's cgroup can be told and asked.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "moss/runtime/cgroup.hh"
#include "moss/runtime/resctrl.hh"
#include "moss/sys/file.hh"
#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

constexpr size_t kMaxResourcesBytes = 16u << 20;

Result<Ok> must_live(const runtime::Container& container) {
  if (container.status != runtime::Status::stopped && container.status != runtime::Status::creating) return Ok{};
  return Error(0, "container not running: \"", container.id, "\" is ", to_string(container.status));
}

}  // namespace

int oci_pause(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    TRY(must_live(container));
    TRY(runtime::freeze_cgroup(container.record.cgroup).context("pause container \"", container.id, "\""));
    return 0;
  });
}

int oci_resume(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    if (container.status != runtime::Status::paused) {
      return Error(0, "resume container \"", container.id, "\": it is not paused but ", to_string(container.status));
    }
    TRY(runtime::thaw_cgroup(container.record.cgroup).context("resume container \"", container.id, "\""));
    return 0;
  });
}

namespace {

// The single limits of `update`, as typed. Memory may be "512m" or "max" as well as a number of bytes.
struct UpdateFlags {
  std::string file;
  std::string blkio_weight, cpu_period, cpu_quota, cpu_burst, cpu_share, cpu_rt_period, cpu_rt_runtime, cpu_idle;
  std::string cpuset_cpus, cpuset_mems;
  std::string memory, memory_reservation, memory_swap, kernel_memory, kernel_memory_tcp, pids_limit;
  std::string l3_cache_schema, mem_bw_schema;

  void declare(Arguments& arguments) {
    arguments.value("-r,--resources", file, "FILE", "linux.resources as JSON, or - for standard input")
        .value("--blkio-weight", blkio_weight, "N", "share of block io, 10..1000")
        .value("--cpu-period", cpu_period, "US", "length of a period of --cpu-quota")
        .value("--cpu-quota", cpu_quota, "US", "cpu time in a period; -1 for no limit")
        .value("--cpu-burst", cpu_burst, "US", "cpu time that may be saved up")
        .value("--cpu-share", cpu_share, "N", "share of cpu time, 2..262144")
        .value("--cpu-rt-period", cpu_rt_period, "US", "the same as --cpu-period for real-time tasks")
        .value("--cpu-rt-runtime", cpu_rt_runtime, "US", "the same as --cpu-quota for real-time tasks")
        .value("--cpu-idle", cpu_idle, "N", "1: run only when nobody else does")
        .value("--cpuset-cpus", cpuset_cpus, "LIST", "cpus, such as 0-2,7")
        .value("--cpuset-mems", cpuset_mems, "LIST", "memory nodes")
        .value("--memory", memory, "BYTES", "memory; -1 for no limit")
        .value("--memory-reservation", memory_reservation, "BYTES", "memory that is left alone")
        .value("--memory-swap", memory_swap, "BYTES", "memory and swap together; -1 for no limit")
        .value("--kernel-memory", kernel_memory, "BYTES", "not looked at: no kernel keeps it any more")
        .value("--kernel-memory-tcp", kernel_memory_tcp, "BYTES", "not looked at: no kernel keeps it any more")
        .value("--pids-limit", pids_limit, "N", "processes; -1 for no limit")
        .value("--l3-cache-schema", l3_cache_schema, "SCHEMA", "lines of resctrl: a share of the L3 cache")
        .value("--mem-bw-schema", mem_bw_schema, "SCHEMA", "the same: of the memory's bandwidth");
  }

  template <typename Number>
  static Result<Ok> set(const char* name, const std::string& typed, std::optional<Number>& to) {
    if (typed.empty()) return Ok{};
    const auto number = parse_number<Number>(typed);
    if (!number) return Error(0, name, ": \"", printable(typed), "\" is no number");
    to = number;
    return Ok{};
  }

  static Result<Ok> set_bytes(const char* name, const std::string& typed, std::optional<int64_t>& to) {
    if (typed.empty()) return Ok{};
    std::string_view digits = typed;
    int shift = 0;
    if (digits.ends_with('b') || digits.ends_with('B')) digits.remove_suffix(1);
    if (!digits.empty()) {
      const size_t unit = std::string_view("kmgtKMGT").find(digits.back());
      if (unit != std::string_view::npos) {
        shift = 10 * (static_cast<int>(unit % 4) + 1);
        digits.remove_suffix(1);
      }
    }
    const auto number = parse_number<int64_t>(digits);
    if (!number || *number < -1 || (*number > INT64_MAX >> shift)) {
      return Error(0, name, ": \"", printable(typed), "\" is no number of bytes");
    }
    to = *number < 0 ? -1 : *number << shift;
    return Ok{};
  }

  bool has_schema() const { return !l3_cache_schema.empty() || !mem_bw_schema.empty(); }

  Result<oci::Resources> resources() const {
    if (!file.empty()) {
      const std::string text = TRY(file == "-" ? sys::read_stream(STDIN_FILENO, "standard input", kMaxResourcesBytes)
                                               : sys::read_file(file, kMaxResourcesBytes));
      return oci::decode_resources(text);
    }
    oci::Resources resources;
    oci::MemoryLimits memory_limits;
    TRY(set_bytes("--memory", memory, memory_limits.limit));
    TRY(set_bytes("--memory-reservation", memory_reservation, memory_limits.reservation));
    TRY(set_bytes("--memory-swap", memory_swap, memory_limits.swap));
    TRY(set_bytes("--kernel-memory", kernel_memory, memory_limits.kernel));
    TRY(set_bytes("--kernel-memory-tcp", kernel_memory_tcp, memory_limits.kernel_tcp));
    if (!(memory_limits == oci::MemoryLimits{})) resources.memory = memory_limits;
    oci::CpuLimits cpu;
    TRY(set("--cpu-share", cpu_share, cpu.shares));
    TRY(set("--cpu-quota", cpu_quota, cpu.quota));
    TRY(set("--cpu-burst", cpu_burst, cpu.burst));
    TRY(set("--cpu-period", cpu_period, cpu.period));
    TRY(set("--cpu-rt-runtime", cpu_rt_runtime, cpu.realtime_runtime));
    TRY(set("--cpu-rt-period", cpu_rt_period, cpu.realtime_period));
    TRY(set("--cpu-idle", cpu_idle, cpu.idle));
    cpu.cpus = cpuset_cpus;
    cpu.mems = cpuset_mems;
    if (!(cpu == oci::CpuLimits{})) resources.cpu = cpu;
    oci::BlockIoLimits block_io;
    TRY(set("--blkio-weight", blkio_weight, block_io.weight));
    if (block_io.weight) resources.block_io = block_io;
    oci::PidsLimits pids;
    TRY(set("--pids-limit", pids_limit, pids.limit));
    if (pids.limit) resources.pids = pids;
    if (resources == oci::Resources{} && !has_schema()) return Error(0, "update what? give --resources or a limit");
    return resources;
  }
};

}  // namespace

int oci_update(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  UpdateFlags flags;
  Arguments arguments;
  flags.declare(arguments);
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    const oci::Resources resources = TRY(flags.resources());
    TRY(must_live(container));
    const std::string doing = cat("update container \"", container.id, "\"");
    if (flags.has_schema()) {
      const oci::Config config = TRY(runtime::read_config(container));
      const oci::IntelRdt update{.l3_cache_schema = flags.l3_cache_schema, .mem_bw_schema = flags.mem_bw_schema};
      TRY(runtime::update_resctrl_group(config.linux.intel_rdt, container.id, update).context(doing));
      if (resources == oci::Resources{}) return 0;
    }
    TRY(runtime::update_cgroup(container.record.cgroup, resources).context(doing));
    return 0;
  });
}

namespace {

// "5s", "500ms", "1m": as Go's durations, in whole units.
Result<int> interval_ms(const std::string& text) {
  struct Unit {
    std::string_view name;
    int ms;
  };
  static constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  for (const Unit& unit : kUnits) {
    if (!text.ends_with(unit.name)) continue;
    const auto number = parse_number<int>(std::string_view(text).substr(0, text.size() - unit.name.size()));
    if (number && *number > 0 && *number <= INT32_MAX / unit.ms) return *number * unit.ms;
  }
  return Error(0, "--interval: a time such as 5s or 500ms, not \"", printable(text), "\"");
}

Result<Ok> print_stats(const runtime::Container& container) {
  const oci::CgroupStats stats = TRY(runtime::cgroup_stats(container.record.cgroup));
  print(oci::encode_stats_event(container.id, stats) + "\n");
  return Ok{};
}

// Statistics every now and then, a word at each kill for want of memory, until the container has ended.
Result<Ok> follow(const runtime::Container& container, int every_ms) {
  using Clock = std::chrono::steady_clock;
  Result<runtime::OomWatch> oom =
      runtime::OomWatch::open(container.record.cgroup);  // without that controller: only statistics
  auto next = Clock::now() + std::chrono::milliseconds(every_ms);
  while (true) {
    pollfd fds[2] = {{.fd = container.pidfd.get(), .events = POLLIN, .revents = 0},
                     {.fd = oom.ok() ? oom->fd() : -1, .events = POLLIN, .revents = 0}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count();
    const int ready = ::poll(fds, 2, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno != EINTR) return sys_error("wait for events");
    if (ready > 0 && fds[1].revents != 0) {
      bool gone = false;
      for (uint64_t count = TRY(oom->take(gone)); count > 0; --count) {
        print(oci::encode_oom_event(container.id) + "\n");
      }
      if (gone) return Ok{};
    }
    if (ready > 0 && fds[0].revents != 0) return Ok{};
    if (Clock::now() < next) continue;
    TRY(print_stats(container));
    next += std::chrono::milliseconds(every_ms);
  }
}

}  // namespace

int oci_events(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  bool stats = false;
  std::string interval = "5s";
  Arguments arguments;
  arguments.flag("--stats", stats, "one look, then end")
      .value("--interval", interval, "TIME", "time between two looks (5s)");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    const int every_ms = TRY(interval_ms(interval));
    TRY(must_live(container));
    TRY(stats ? print_stats(container) : follow(container, every_ms));
    return 0;
  });
}

}  // namespace moss::cli
