// A cgroup's figures as JSON.
#include "moss/oci/cgroup.hh"

#include <gtest/gtest.h>

#include "expect.hh"

namespace moss::oci {
namespace {

TEST(StatsEvent, OfAnEmptyCgroupHasEveryPart) {
  EXPECT_EQ(
      encode_stats_event("web", {}),
      R"({"type":"stats","id":"web","data":{"cpu":{"usage":{"kernel":0,"user":0},"throttling":{},"burst":{}},)"
      R"("cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"memory_migrate":0,"memory_spread_page":0,)"
      R"("memory_spread_slab":0,"memory_pressure":0,"sched_load_balance":0,"sched_relax_domain_level":0},)"
      R"("memory":{"usage":{"limit":0,"failcnt":0},"swap":{"limit":0,"failcnt":0},"kernel":{"limit":0,"failcnt":0},)"
      R"("kernelTCP":{"limit":0,"failcnt":0}},"pids":{},"blkio":{},"hugetlb":{},"intel_rdt":{},)"
      R"("network_interfaces":null}})");
}

TEST(StatsEvent, OfAUsedCgroup) {
  CgroupStats stats;
  stats.cpu.total_ns = 9;
  stats.cpu.percpu_ns = {4, 5};
  stats.cpu.throttled_ns = 7;
  stats.cpu.pressure = Pressure{.some = {.avg10 = 1234, .avg60 = 5, .avg300 = 0, .total_us = 6}, .full = {}};
  stats.memory.usage = {.limit = 18446744073709551615u, .usage = 1, .max_usage = 2, .failcnt = 3};
  stats.memory.raw = {{"anon", 11}};
  stats.pids = {.current = 2, .limit = 17};
  stats.block_io.service_bytes = {{.major = 8, .minor = 0, .op = "Read", .value = 4096}};
  stats.hugepages["2MB"] = {.usage = 1, .max_usage = 0, .failcnt = 0};
  const std::string event = encode_stats_event("web", stats);
  const std::string cpu = cat(
      R"("cpu":{"usage":{"total":9,"percpu":[4,5],"kernel":0,"user":0},"throttling":{"throttledTime":7},"burst":{},)",
      R"("psi":{"some":{"avg10":12.34,"avg60":0.05,"avg300":0.00,"total":6},"full":{"avg10":0.00,)");
  for (const std::string& part : std::initializer_list<std::string>{
           cpu, R"("memory":{"usage":{"limit":18446744073709551615,"usage":1,"max":2,"failcnt":3})",
           R"("raw":{"anon":11})", R"("pids":{"current":2,"limit":17})",
           R"("blkio":{"ioServiceBytesRecursive":[{"major":8,"op":"Read","value":4096}]})",
           R"("hugetlb":{"2MB":{"usage":1,"failcnt":0}})"}) {
    EXPECT_NE(event.find(part), std::string::npos) << part << "\nin " << event;
  }
}

TEST(OomEvent, NamesTheContainer) { EXPECT_EQ(encode_oom_event("a\"b"), R"({"type":"oom","id":"a\"b"})"); }

}  // namespace
}  // namespace moss::oci
