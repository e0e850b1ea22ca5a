// What moss remembers of a container's cgroup, and what a cgroup can be asked: data only.
// runtime/cgroup fills these in; here they become JSON, for state.json and for `events`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::oci {

/// A container's cgroup as a later process finds it again. Part of state.json.
/// A container without a cgroup has an empty record. One that died before its scope was made has a unit without
/// folders.
struct CgroupRecord {
  /// The folders the container's processes are in, by hierarchy: "" is cgroup v2; "memory", "cpu,cpuacct",
  /// "name=systemd" are those of v1. Absolute paths as the process that made them saw them.
  std::map<std::string, std::string> folders;
  /// Folders that moss made, in the order it made them. Only these are ever removed.
  std::vector<std::string> made;
  std::string unit;       ///< "moss-web.scope", where systemd made the cgroup
  bool user_bus = false;  ///< that systemd is the user's own manager
  bool rootless = false;  ///< what an ordinary user may not have (device rules) is left out

  bool empty() const { return folders.empty() && unit.empty(); }
  bool operator==(const CgroupRecord&) const = default;
};

/// Pressure stall information (kernel Documentation/accounting/psi.rst). Averages in hundredths of a percent.
struct PressureLine {
  uint64_t avg10 = 0;
  uint64_t avg60 = 0;
  uint64_t avg300 = 0;
  uint64_t total_us = 0;
  bool operator==(const PressureLine&) const = default;
};
struct Pressure {
  PressureLine some;
  PressureLine full;
  bool operator==(const Pressure&) const = default;
};

struct CpuStats {
  uint64_t total_ns = 0;
  uint64_t user_ns = 0;
  uint64_t kernel_ns = 0;
  std::vector<uint64_t> percpu_ns;         ///< v1 only
  std::vector<uint64_t> percpu_user_ns;    ///< v1 only
  std::vector<uint64_t> percpu_kernel_ns;  ///< v1 only
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_ns = 0;
  uint64_t bursts = 0;
  uint64_t burst_ns = 0;
  std::optional<Pressure> pressure;
  bool operator==(const CpuStats&) const = default;
};

/// v1 only: cgroup v2 has no such files but the two lists.
struct CpusetStats {
  std::vector<uint16_t> cpus;
  std::vector<uint16_t> mems;
  uint64_t cpu_exclusive = 0;
  uint64_t mem_hardwall = 0;
  uint64_t mem_exclusive = 0;
  uint64_t memory_migrate = 0;
  uint64_t memory_spread_page = 0;
  uint64_t memory_spread_slab = 0;
  uint64_t memory_pressure = 0;
  uint64_t sched_load_balance = 0;
  int64_t sched_relax_domain_level = 0;
  bool operator==(const CpusetStats&) const = default;
};

/// Bytes. No limit is 2^64-1 (v2) or the kernel's own largest number (v1).
struct MemoryUse {
  uint64_t limit = 0;
  uint64_t usage = 0;
  uint64_t max_usage = 0;
  uint64_t failcnt = 0;  ///< how often the limit was met
  bool operator==(const MemoryUse&) const = default;
};

struct MemoryStats {
  uint64_t cache = 0;
  MemoryUse usage;
  MemoryUse swap;  ///< memory and swap together, as in v1 and in config.json
  MemoryUse kernel;
  MemoryUse kernel_tcp;
  std::map<std::string, uint64_t> raw;  ///< memory.stat
  uint64_t oom_kills = 0;               ///< not part of the JSON of `events`
  std::optional<Pressure> pressure;
  bool operator==(const MemoryStats&) const = default;
};

struct PidsStats {
  uint64_t current = 0;
  uint64_t limit = 0;  ///< 0: no limit
  bool operator==(const PidsStats&) const = default;
};

struct BlockIoEntry {
  uint64_t major = 0;
  uint64_t minor = 0;
  std::string op;  ///< "Read", "Write", …
  uint64_t value = 0;
  bool operator==(const BlockIoEntry&) const = default;
};

struct BlockIoStats {
  std::vector<BlockIoEntry> service_bytes;
  std::vector<BlockIoEntry> serviced;
  std::vector<BlockIoEntry> queued;  ///< this and the next are v1 only, and only with the BFQ or CFQ scheduler
  std::vector<BlockIoEntry> service_time;
  std::vector<BlockIoEntry> wait_time;
  std::vector<BlockIoEntry> merged;
  std::vector<BlockIoEntry> time;
  std::vector<BlockIoEntry> sectors;
  std::optional<Pressure> pressure;
  bool operator==(const BlockIoStats&) const = default;
};

struct HugepageStats {
  uint64_t usage = 0;
  uint64_t max_usage = 0;
  uint64_t failcnt = 0;
  bool operator==(const HugepageStats&) const = default;
};

/// One look at a cgroup. What its controllers do not tell stays 0 or empty.
struct CgroupStats {
  CpuStats cpu;
  CpusetStats cpuset;
  MemoryStats memory;
  PidsStats pids;
  BlockIoStats block_io;
  std::map<std::string, HugepageStats> hugepages;  ///< by page size, "2MB"
  bool operator==(const CgroupStats&) const = default;
};

/// The line of `events` for container `id`, in runc's shape and without a newline:
/// {"type":"stats","id":"web","data":{"cpu":{…},"cpuset":{…},"memory":{…},"pids":{…},"blkio":{…},"hugetlb":{…},…}}
std::string encode_stats_event(std::string_view id, const CgroupStats& stats);
/// {"type":"oom","id":"web"}
std::string encode_oom_event(std::string_view id);

}  // namespace moss::oci
