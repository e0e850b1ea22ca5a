// Limits as files: whole lists, for both versions of cgroups.
#include <gmock/gmock.h>

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {
namespace {

std::string text(const Result<std::vector<CgroupWrite>>& writes) {
  if (!writes.ok()) return "error: " + writes.error().to_string();
  std::string out;
  for (const CgroupWrite& write : *writes) {
    if (write.limit == "devices") continue;  // see devices_test.cc
    out += cat(write.controller, ": ", write.file, " = ", write.value);
    if (!write.other_file.empty()) out += cat(" or ", write.other_file, " = ", write.other_value);
    if (write.optional) out += " if there";
    out += '\n';
  }
  return out;
}

std::string v1(std::string_view json) { return text(cgroup_writes_v1(oci::decode_resources(json).value())); }
std::string v2(std::string_view json) { return text(cgroup_writes_v2(oci::decode_resources(json).value())); }

constexpr std::string_view kMemory = R"({"memory": {"limit": 1048576, "swap": 3145728, "reservation": 524288}})";
constexpr std::string_view kCpu =
    R"({"cpu": {"shares": 512, "quota": 50000, "period": 200000, "burst": 1000, "cpus": "0-1", "mems": "0"}})";
constexpr std::string_view kBlockIo = R"({"blockIO": {"weight": 500,
  "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
  "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
  "throttleWriteBpsDevice": [{"major": 8, "minor": 16, "rate": 0}],
  "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 5}],
  "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 6}]}})";

TEST(CgroupWritesV1, MemoryGoesBeforeMemoryAndSwap) {
  EXPECT_EQ(v1(kMemory),
            "memory: memory.limit_in_bytes = 1048576\n"
            "memory: memory.memsw.limit_in_bytes = 3145728\n"
            "memory: memory.soft_limit_in_bytes = 524288\n");
}

TEST(CgroupWritesV1, NoMemoryLimitIsNoSwapLimitEither) {
  EXPECT_EQ(v1(R"({"memory": {"limit": -1}})"),
            "memory: memory.limit_in_bytes = -1\n"
            "memory: memory.memsw.limit_in_bytes = -1 if there\n");
}

TEST(CgroupWritesV1, HabitsOfMemory) {
  EXPECT_EQ(v1(R"({"memory": {"swappiness": 0, "disableOOMKiller": true, "useHierarchy": true}})"),
            "memory: memory.swappiness = 0\n"
            "memory: memory.oom_control = 1\n"
            "memory: memory.use_hierarchy = 1 if there\n");
}

TEST(CgroupWritesV1, ProcessorTime) {
  EXPECT_EQ(v1(kCpu),
            "cpu: cpu.shares = 512\n"
            "cpu: cpu.cfs_period_us = 200000\n"
            "cpu: cpu.cfs_quota_us = 50000\n"
            "cpu: cpu.cfs_burst_us = 1000\n"
            "cpuset: cpuset.cpus = 0-1\n"
            "cpuset: cpuset.mems = 0\n");
  EXPECT_EQ(v1(R"({"cpu": {"realtimeRuntime": 9500, "realtimePeriod": 1000000}})"),
            "cpu: cpu.rt_period_us = 1000000\n"
            "cpu: cpu.rt_runtime_us = 9500\n");
}

TEST(CgroupWritesV1, AnIdleCgroupHasNoShares) {
  EXPECT_EQ(v1(R"({"cpu": {"shares": 512, "idle": 1}})"), "cpu: cpu.idle = 1\n");
  EXPECT_EQ(v1(R"({"cpu": {"shares": 512, "idle": 0}})"),
            "cpu: cpu.idle = 0 if there\n"
            "cpu: cpu.shares = 512\n");
}

TEST(CgroupWritesV1, SharesTheKernelWouldClipAreRefused) {
  EXPECT_EQ(v1(R"({"cpu": {"shares": 1}})"), "error: cpu.shares: expected 2..262144, found 1");
}

TEST(CgroupWritesV1, BlockDevices) {
  EXPECT_EQ(v1(kBlockIo),
            "blkio: blkio.weight = 500 or blkio.bfq.weight = 500\n"
            "blkio: blkio.weight_device = 8:0 10 or blkio.bfq.weight_device = 8:0 10\n"
            "blkio: blkio.throttle.read_bps_device = 8:0 600\n"
            "blkio: blkio.throttle.write_bps_device = 8:16 0\n"
            "blkio: blkio.throttle.read_iops_device = 8:0 5\n"
            "blkio: blkio.throttle.write_iops_device = 8:0 6\n");
  EXPECT_EQ(v1(R"({"blockIO": {"leafWeight": 300,
                   "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 20}]}})"),
            "blkio: blkio.leaf_weight = 300 or blkio.bfq.leaf_weight = 300\n"
            "blkio: blkio.leaf_weight_device = 8:0 20 or blkio.bfq.leaf_weight_device = 8:0 20\n");
}

TEST(CgroupWritesV1, TheRest) {
  EXPECT_EQ(v1(R"({"pids": {"limit": 0},
                   "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
                   "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
                   "rdma": {"mlx5_0": {"hcaHandles": 3, "hcaObjects": 10000}}})"),
            "pids: pids.max = 0\n"
            "hugetlb: hugetlb.2MB.rsvd.limit_in_bytes = 4194304 if there\n"
            "hugetlb: hugetlb.2MB.limit_in_bytes = 4194304\n"
            "net_cls: net_cls.classid = 1048577\n"
            "net_prio: net_prio.ifpriomap = eth0 5\n"
            "rdma: rdma.max = mlx5_0 hca_handle=3 hca_object=10000\n");
  EXPECT_EQ(v1(R"({"pids": {"limit": -1}})"), "pids: pids.max = max\n");
}

TEST(CgroupWritesV1, FilesOfV2AreRefused) {
  EXPECT_EQ(v1(R"({"unified": {"memory.high": "1"}})"),
            "error: unified: this host's controllers are those of cgroup v1, which have no memory.high");
}

TEST(CgroupWritesV2, SwapIsCountedApart) {
  EXPECT_EQ(v2(kMemory),
            "memory: memory.swap.max = 2097152\n"
            "memory: memory.max = 1048576\n"
            "memory: memory.low = 524288\n");
  EXPECT_EQ(v2(R"({"memory": {"limit": 1048576, "swap": 1048576}})"),
            "memory: memory.swap.max = 0 if there\n"
            "memory: memory.max = 1048576\n");
  EXPECT_EQ(v2(R"({"memory": {"limit": 1048576, "swap": -1}})"),
            "memory: memory.swap.max = max if there\n"
            "memory: memory.max = 1048576\n");
  EXPECT_EQ(v2(R"({"memory": {"limit": -1}})"),
            "memory: memory.swap.max = max if there\n"
            "memory: memory.max = max\n");
}

TEST(CgroupWritesV2, SwapWithoutMemorySaysNothing) {
  EXPECT_EQ(v2(R"({"memory": {"swap": 1048576}})"),
            "error: memory.swap: memory and swap together need memory.limit too, for cgroup v2 counts them apart");
}

TEST(CgroupWritesV2, ZeroIsNotSet) {
  EXPECT_EQ(v2(R"({"memory": {"limit": 0, "swap": 0, "reservation": 0},
                                                       "cpu": {"shares": 0, "quota": 0, "period": 0}})"),
            "");
}

TEST(CgroupWritesV2, ProcessorTime) {
  EXPECT_EQ(v2(kCpu),
            "cpu: cpu.weight = 59\n"
            "cpu: cpu.max = 50000 200000\n"
            "cpu: cpu.max.burst = 1000\n"
            "cpuset: cpuset.cpus = 0-1\n"
            "cpuset: cpuset.mems = 0\n");
  EXPECT_EQ(v2(R"({"cpu": {"quota": 5000}})"), "cpu: cpu.max = 5000 100000\n");
  EXPECT_EQ(v2(R"({"cpu": {"quota": -1}})"), "cpu: cpu.max = max 100000\n");
  EXPECT_EQ(v2(R"({"cpu": {"period": 5000}})"), "cpu: cpu.max = max 5000\n");
  EXPECT_EQ(v2(R"({"cpu": {"idle": 1, "shares": 9}})"), "cpu: cpu.idle = 1\n");
}

TEST(CgroupWritesV2, SharesBecomeAWeightByTheNewCurve) {
  const auto weight = [](uint64_t shares) { return cpu_weight(shares).value(); };
  EXPECT_EQ(weight(0), 1u);
  EXPECT_EQ(weight(2), 1u);
  EXPECT_EQ(weight(1024), 100u);
  EXPECT_EQ(weight(262144), 10000u);
  EXPECT_EQ(weight(1'000'000), 10000u);
  for (uint64_t shares = 3; shares < 262144; shares += 97) {
    EXPECT_LE(weight(shares - 1), weight(shares)) << shares;
    EXPECT_LE(weight(shares), 10000u) << shares;
  }
}

TEST(CgroupWritesV2, BlockDevices) {
  EXPECT_EQ(v2(kBlockIo),
            "io: io.bfq.weight = default 500 or io.weight = default 4950\n"
            "io: io.bfq.weight = 8:0 10 or io.weight = 8:0 1\n"
            "io: io.max = 8:0 rbps=600\n"
            "io: io.max = 8:16 wbps=max\n"
            "io: io.max = 8:0 riops=5\n"
            "io: io.max = 8:0 wiops=6\n");
}

TEST(CgroupWritesV2, TheRest) {
  EXPECT_EQ(v2(R"({"pids": {"limit": 0},
                   "hugepageLimits": [{"pageSize": "1GB", "limit": 0}],
                   "rdma": {"mlx5_0": {"hcaHandles": 3}}})"),
            "pids: pids.max = 0\n"
            "hugetlb: hugetlb.1GB.rsvd.max = 0 if there\n"
            "hugetlb: hugetlb.1GB.max = 0\n"
            "rdma: rdma.max = mlx5_0 hca_handle=3\n");
}

TEST(CgroupWritesV2, UnifiedIsVerbatimAndLast) {
  EXPECT_EQ(v2(R"({"pids": {"limit": 5},
                   "unified": {"memory.high": "1G", "io.max": "8:0 rbps=1\n8:16 wbps=2\n", "cgroup.max.depth": "3"}})"),
            "pids: pids.max = 5\n"
            ": cgroup.max.depth = 3\n"
            "io: io.max = 8:0 rbps=1\n"
            "io: io.max = 8:16 wbps=2\n"
            "memory: memory.high = 1G\n");
}

TEST(CgroupWritesV2, UnifiedStaysInItsFolder) {
  EXPECT_EQ(v2(R"({"unified": {"../memory.high": "1"}})"),
            "error: unified.../memory.high: expected the name of a file, not a path");
  EXPECT_EQ(v2(R"({"unified": {"tasks": "1"}})"), "error: unified.tasks: expected a file such as memory.high");
}

TEST(CgroupWritesV2, WhatItCannotDoIsRefusedByName) {
  EXPECT_THAT(v2(R"({"memory": {"swappiness": 5}})"), testing::StartsWith("error: memory.swappiness: "));
  EXPECT_THAT(v2(R"({"memory": {"disableOOMKiller": true}})"), testing::StartsWith("error: memory.disableOOMKiller: "));
  EXPECT_EQ(v2(R"({"memory": {"disableOOMKiller": false}})"), "");
  EXPECT_THAT(v2(R"({"cpu": {"realtimeRuntime": 5}})"), testing::StartsWith("error: cpu.realtimeRuntime: "));
  EXPECT_THAT(v2(R"({"blockIO": {"leafWeight": 50}})"), testing::StartsWith("error: blockIO.leafWeight: "));
  EXPECT_THAT(v2(R"({"network": {"classID": 5}})"), testing::StartsWith("error: network.classID: "));
}

TEST(CgroupWrites, NonsenseIsRefusedByBoth) {
  for (const auto& write : {&v1, &v2}) {
    EXPECT_EQ(write(R"({"memory": {"limit": -2}})"), "error: memory.limit: -2 is neither a size nor -1");
    EXPECT_EQ(write(R"({"memory": {"swappiness": 101}})"), "error: memory.swappiness: expected 0..100");
    EXPECT_EQ(write(R"({"memory": {"limit": 2, "swap": 1}})"),
              "error: memory.swap: 1 is memory and swap together, and less than memory.limit, 2");
    EXPECT_EQ(write(R"({"cpu": {"cpus": "0;1"}})"), "error: cpu.cpus: \"0;1\" is no list");
    EXPECT_EQ(write(R"({"cpu": {"idle": 2}})"), "error: cpu.idle: expected 0 or 1");
    EXPECT_EQ(write(R"({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]})"),
              "error: hugepageLimits: \"../x\" is no page size such as 2MB");
    EXPECT_EQ(write(R"({"rdma": {"a b": {"hcaHandles": 1}}})"), "error: rdma: \"a b\" is no device");
  }
}

TEST(AskedLimits, UnlimitedIsNotALimit) {
  const auto asked = [](std::string_view json) { return join(asked_limits(oci::decode_resources(json).value()), " "); };
  EXPECT_EQ(asked(R"({"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1}, "pids": {"limit": -1},
                      "devices": [{"allow": false, "access": "rwm"}]})"),
            "");
  EXPECT_EQ(asked(R"({"memory": {"limit": 1}, "pids": {"limit": 0}, "cpu": {"shares": 2}})"),
            "memory.limit cpu.shares pids.limit");
}

}  // namespace
}  // namespace moss::runtime
