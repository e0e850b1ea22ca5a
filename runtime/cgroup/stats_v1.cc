// The figures of cgroup v1. Kernel: Documentation/admin-guide/cgroup-v1/.
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/stats.hh"

namespace moss::runtime {

namespace {

std::vector<uint64_t> numbers(std::string_view text) {
  std::vector<uint64_t> out;
  for (const std::string_view word : split(text, ' ')) {
    if (const auto number = parse_number<uint64_t>(word)) out.push_back(*number);
  }
  return out;
}

oci::CpuStats cpu_stats(const CgroupRecord& record) {
  const Figures account(folder_of(record, "cpuacct"));
  oci::CpuStats cpu;
  cpu.total_ns = account.number("cpuacct.usage");
  cpu.percpu_ns = numbers(account.text("cpuacct.usage_percpu"));
  // Lines of "cpu user system" below a heading.
  const std::string lines = account.text("cpuacct.usage_all");
  for (const std::string_view line : split(lines, '\n')) {
    const std::vector<uint64_t> values = numbers(line);
    if (values.size() != 3) continue;
    cpu.percpu_user_ns.push_back(values[1]);
    cpu.percpu_kernel_ns.push_back(values[2]);
  }
  cpu.user_ns = account.number("cpuacct.usage_user");
  cpu.kernel_ns = account.number("cpuacct.usage_sys");
  const auto stat = Figures(folder_of(record, "cpu")).table("cpu.stat");
  cpu.periods = value_or_zero(stat, "nr_periods");
  cpu.throttled_periods = value_or_zero(stat, "nr_throttled");
  cpu.throttled_ns = value_or_zero(stat, "throttled_time");
  cpu.bursts = value_or_zero(stat, "nr_bursts");
  cpu.burst_ns = value_or_zero(stat, "burst_time");
  return cpu;
}

oci::CpusetStats cpuset_stats(const Figures& files) {
  return {.cpus = number_list(files.text("cpuset.cpus")),
          .mems = number_list(files.text("cpuset.mems")),
          .cpu_exclusive = files.number("cpuset.cpu_exclusive"),
          .mem_hardwall = files.number("cpuset.mem_hardwall"),
          .mem_exclusive = files.number("cpuset.mem_exclusive"),
          .memory_migrate = files.number("cpuset.memory_migrate"),
          .memory_spread_page = files.number("cpuset.memory_spread_page"),
          .memory_spread_slab = files.number("cpuset.memory_spread_slab"),
          .memory_pressure = files.number("cpuset.memory_pressure"),
          .sched_load_balance = files.number("cpuset.sched_load_balance"),
          .sched_relax_domain_level = parse_number<int64_t>(files.text("cpuset.sched_relax_domain_level")).value_or(0)};
}

oci::MemoryUse memory_use(const Figures& files, const std::string& prefix) {
  return {.limit = files.number(cat(prefix, ".limit_in_bytes")),
          .usage = files.number(cat(prefix, ".usage_in_bytes")),
          .max_usage = files.number(cat(prefix, ".max_usage_in_bytes")),
          .failcnt = files.number(cat(prefix, ".failcnt"))};
}

oci::MemoryStats memory_stats(const Figures& files) {
  oci::MemoryStats memory;
  memory.raw = files.table("memory.stat");
  memory.cache = value_or_zero(memory.raw, "cache");
  memory.usage = memory_use(files, "memory");
  memory.swap = memory_use(files, "memory.memsw");
  memory.kernel = memory_use(files, "memory.kmem");
  memory.kernel_tcp = memory_use(files, "memory.kmem.tcp");
  memory.oom_kills = value_or_zero(files.table("memory.oom_control"), "oom_kill");
  return memory;
}

// Lines of "8:0 Read 4096", and a "Total" of all of them; sometimes the word in the middle is left out.
std::vector<oci::BlockIoEntry> entries(const Figures& files, const std::string& name, const std::string& fallback) {
  std::vector<oci::BlockIoEntry> out;
  std::string text = files.text(name);
  if (text.empty() || text == "Total 0") text = files.text(fallback);
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> words = split(line, ' ');
    if (words.size() != 2 && words.size() != 3) continue;
    const auto [major, minor] = cut(words[0], ':');
    const auto value = parse_number<uint64_t>(words.back());
    if (!minor || !value) continue;
    out.push_back({.major = parse_number<uint64_t>(major).value_or(0),
                   .minor = parse_number<uint64_t>(*minor).value_or(0),
                   .op = words.size() == 3 ? std::string(words[1]) : "",
                   .value = *value});
  }
  return out;
}

// The BFQ scheduler counts under its own name; without a scheduler that counts, only the throttle does.
oci::BlockIoStats block_io_stats(const Figures& files) {
  oci::BlockIoStats io;
  io.service_bytes =
      entries(files, "blkio.bfq.io_service_bytes_recursive", "blkio.throttle.io_service_bytes_recursive");
  io.serviced = entries(files, "blkio.bfq.io_serviced_recursive", "blkio.throttle.io_serviced_recursive");
  io.queued = entries(files, "blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive");
  io.service_time = entries(files, "blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive");
  io.wait_time = entries(files, "blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive");
  io.merged = entries(files, "blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive");
  io.time = entries(files, "blkio.bfq.time_recursive", "blkio.time_recursive");
  io.sectors = entries(files, "blkio.bfq.sectors_recursive", "blkio.sectors_recursive");
  return io;
}

std::map<std::string, oci::HugepageStats> hugepage_stats(const Figures& files) {
  std::map<std::string, oci::HugepageStats> sizes;
  for (const std::string& size : hugepage_sizes()) {
    const std::string prefix = cat("hugetlb.", size);
    if (files.text(cat(prefix, ".usage_in_bytes")).empty()) continue;
    sizes[size] = {.usage = files.number(cat(prefix, ".usage_in_bytes")),
                   .max_usage = files.number(cat(prefix, ".max_usage_in_bytes")),
                   .failcnt = files.number(cat(prefix, ".failcnt"))};
  }
  return sizes;
}

}  // namespace

CgroupStats v1_stats(const CgroupRecord& record) {
  CgroupStats stats;
  stats.cpu = cpu_stats(record);
  stats.cpuset = cpuset_stats(Figures(folder_of(record, "cpuset")));
  stats.memory = memory_stats(Figures(folder_of(record, "memory")));
  const Figures pids(folder_of(record, "pids"));
  const uint64_t limit = pids.number("pids.max");
  stats.pids = {.current = pids.number("pids.current"), .limit = limit == UINT64_MAX ? 0 : limit};
  stats.block_io = block_io_stats(Figures(folder_of(record, "blkio")));
  stats.hugepages = hugepage_stats(Figures(folder_of(record, "hugetlb")));
  return stats;
}

}  // namespace moss::runtime
