// The figures of cgroup v2. Kernel: Documentation/admin-guide/cgroup-v2.rst.
#include "runtime/cgroup/stats.hh"

namespace moss::runtime {

namespace {

// "12.34" as 1234.
uint64_t hundredths(std::string_view text) {
  const auto [whole, fraction] = cut(text, '.');
  return parse_number<uint64_t>(whole).value_or(0) * 100 + parse_number<uint64_t>(fraction.value_or("0")).value_or(0);
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and the same for "full".
std::optional<oci::Pressure> pressure(const Figures& files, const std::string& file) {
  const std::string text = files.text(file);
  if (text.empty()) return std::nullopt;
  oci::Pressure pressure;
  for (const std::string_view line : split(text, '\n')) {
    oci::PressureLine values;
    for (const std::string_view word : split(line, ' ')) {
      const auto [key, value] = cut(word, '=');
      if (!value) continue;
      if (key == "avg10") values.avg10 = hundredths(*value);
      if (key == "avg60") values.avg60 = hundredths(*value);
      if (key == "avg300") values.avg300 = hundredths(*value);
      if (key == "total") values.total_us = parse_number<uint64_t>(*value).value_or(0);
    }
    (line.starts_with("full") ? pressure.full : pressure.some) = values;
  }
  return pressure;
}

oci::CpuStats cpu_stats(const Figures& files) {
  const auto stat = files.table("cpu.stat");
  const auto us_to_ns = [&](const char* key) { return value_or_zero(stat, key) * 1000; };
  return {.total_ns = us_to_ns("usage_usec"),
          .user_ns = us_to_ns("user_usec"),
          .kernel_ns = us_to_ns("system_usec"),
          .percpu_ns = {},
          .percpu_user_ns = {},
          .percpu_kernel_ns = {},
          .periods = value_or_zero(stat, "nr_periods"),
          .throttled_periods = value_or_zero(stat, "nr_throttled"),
          .throttled_ns = us_to_ns("throttled_usec"),
          .bursts = value_or_zero(stat, "nr_bursts"),
          .burst_ns = us_to_ns("burst_usec"),
          .pressure = pressure(files, "cpu.pressure")};
}

oci::MemoryStats memory_stats(const Figures& files) {
  oci::MemoryStats memory;
  memory.raw = files.table("memory.stat");
  const auto events = files.table("memory.events");
  memory.cache = value_or_zero(memory.raw, "file");
  memory.usage = {.limit = files.number("memory.max"),
                  .usage = files.number("memory.current"),
                  .max_usage = files.number("memory.peak"),
                  .failcnt = value_or_zero(events, "max")};
  memory.oom_kills = value_or_zero(events, "oom_kill");
  const uint64_t swap_limit = files.number("memory.swap.max");
  const bool unlimited = memory.usage.limit == UINT64_MAX || swap_limit == UINT64_MAX;
  memory.swap = {.limit = unlimited ? UINT64_MAX : memory.usage.limit + swap_limit,
                 .usage = memory.usage.usage + files.number("memory.swap.current"),
                 .max_usage = 0,
                 .failcnt = value_or_zero(files.table("memory.swap.events"), "max")};
  memory.kernel.usage = value_or_zero(memory.raw, "kernel");
  memory.kernel_tcp.usage = value_or_zero(memory.raw, "sock");
  memory.pressure = pressure(files, "memory.pressure");
  return memory;
}

// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0"
oci::BlockIoStats block_io_stats(const Figures& files) {
  oci::BlockIoStats io;
  const std::string lines = files.text("io.stat");
  for (const std::string_view line : split(lines, '\n')) {
    const auto [device, rest] = cut(line, ' ');
    const auto [major, minor] = cut(device, ':');
    if (!rest || !minor) continue;
    for (const std::string_view word : split(*rest, ' ')) {
      const auto [key, value] = cut(word, '=');
      const auto number = parse_number<uint64_t>(value.value_or(""));
      if (!number) continue;
      oci::BlockIoEntry entry{.major = parse_number<uint64_t>(major).value_or(0),
                              .minor = parse_number<uint64_t>(*minor).value_or(0),
                              .op = {},
                              .value = *number};
      if (key.starts_with('r')) entry.op = "Read";
      if (key.starts_with('w')) entry.op = "Write";
      if (key.starts_with('d')) entry.op = "Discard";
      if (key == "rbytes" || key == "wbytes" || key == "dbytes") {
        io.service_bytes.push_back(std::move(entry));
      } else if (key == "rios" || key == "wios" || key == "dios") {
        io.serviced.push_back(std::move(entry));
      }
    }
  }
  io.pressure = pressure(files, "io.pressure");
  return io;
}

std::map<std::string, oci::HugepageStats> hugepage_stats(const Figures& files) {
  std::map<std::string, oci::HugepageStats> sizes;
  for (const std::string& size : hugepage_sizes()) {
    const std::string current = files.text(cat("hugetlb.", size, ".current"));
    if (current.empty()) continue;
    sizes[size] = {.usage = parse_number<uint64_t>(current).value_or(0),
                   .max_usage = 0,
                   .failcnt = value_or_zero(files.table(cat("hugetlb.", size, ".events")), "max")};
  }
  return sizes;
}

}  // namespace

CgroupStats unified_stats(const std::string& folder) {
  const Figures files(&folder);
  CgroupStats stats;
  stats.cpu = cpu_stats(files);
  stats.cpuset.cpus = number_list(files.text("cpuset.cpus.effective"));
  stats.cpuset.mems = number_list(files.text("cpuset.mems.effective"));
  stats.memory = memory_stats(files);
  const uint64_t limit = files.number("pids.max");
  stats.pids = {.current = files.number("pids.current"), .limit = limit == UINT64_MAX ? 0 : limit};
  stats.block_io = block_io_stats(files);
  stats.hugepages = hugepage_stats(files);
  return stats;
}

}  // namespace moss::runtime
