// Everything wrong with a config is said at once, each with its place.
#include <gmock/gmock.h>

#include "configs.hh"

namespace moss::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Check, TheDefaultConfigHasNothingWrong) { EXPECT_THAT(check(default_config(), kNewHost), IsEmpty()); }

TEST(Check, AllComplaintsComeAtOnceWithTheirPaths) {
  oci::Config config = default_config();
  config.root.path = "";
  config.process.cwd = "relative";
  config.process.user.uid = 70000;
  config.linux.namespaces.push_back({"uts", ""});
  config.linux.namespaces.push_back({"dream", ""});
  config.mounts.push_back({.destination = "data", .type = "tmpfs"});
  config.mounts.push_back({.destination = "/a/../../b", .type = "bind", .options = {"tmpcopyup"}});
  config.linux.sysctl = {{"kernel.panic", "1"}};
  config.process.rlimits = {{.type = "RLIMIT_CORE", .hard = 1, .soft = 2},
                            {.type = "RLIMIT_CORE", .hard = 1, .soft = 1}};
  config.linux.mount_label = "label";
  EXPECT_THAT(
      check(config, kNewHost),
      ElementsAre(
          "linux.namespaces[7]: a second uts", "linux.namespaces[8].type: unknown: dream",
          "process.user.uid: 70000 is not in linux.uidMappings; grant more ids in /etc/subuid and /etc/subgid or "
          "choose another",
          "root.path: missing", "linux.mountLabel: SELinux is not enabled on this host",
          "process.cwd: not absolute: relative", "process.rlimits[0]: soft above hard",
          "process.rlimits[1]: a second RLIMIT_CORE", "mounts[10].destination: has \"..\": /a/../../b",
          "mounts[10].source: missing", "mounts[10].options: tmpcopyup is for tmpfs only",
          "linux.sysctl: kernel.panic belongs to the whole host; only net.*, kernel.msg*, kernel.shm*, kernel.sem "
          "and fs.mqueue.* may be set"));
}

TEST(Check, ComplaintsAreSafeToPrint) {
  oci::Config config = default_config();
  config.process.cwd = "\x1b[2J";
  EXPECT_THAT(check(config, kNewHost), ElementsAre("process.cwd: not absolute: \\x1b[2J"));
}

std::vector<std::string> complaints_of_map(std::vector<IdRange> ranges) {
  oci::Config config = default_config();
  config.linux.uid_mappings = std::move(ranges);
  return check(config, kNewHost);
}

TEST(Check, AFiltersRuleNamesItsCalls) {
  oci::Config config = default_config();
  config.linux.seccomp = oci::Seccomp{.default_action = "SCMP_ACT_ALLOW", .syscalls = {{.action = "SCMP_ACT_ERRNO"}}};
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.seccomp.syscalls[0].names: must contain at least one"));
}

TEST(Check, MapsMayNotOverlapOrLeaveTheRangeOfIds) {
  EXPECT_THAT(complaints_of_map({{0, 1000, 10}, {5, 5000, 10}}), ElementsAre("linux.uidMappings[1]: overlaps [0]"));
  EXPECT_THAT(complaints_of_map({{0, 1000, 10}, {10, 1009, 1}}), ElementsAre("linux.uidMappings[1]: overlaps [0]"));
  EXPECT_THAT(complaints_of_map({{0, 1000, 10}, {10, 1010, 1}}), IsEmpty());
  EXPECT_THAT(complaints_of_map({{0, 4294967290, 10}}), ElementsAre("linux.uidMappings[0]: beyond 2^32-2"));
  EXPECT_THAT(complaints_of_map({{0, 4294967290, 5}}), IsEmpty());
  EXPECT_THAT(complaints_of_map({{0, 1000, 1}, {1, 2000, 0}}), ElementsAre("linux.uidMappings[1].size: 0"));
}

TEST(Check, AUserNamespaceNeedsMaps) {
  EXPECT_THAT(complaints_of_map({}),
              ElementsAre("linux.uidMappings: a user namespace needs one",
                          "process.user.uid: 0 is not in linux.uidMappings; grant more ids in /etc/subuid and "
                          "/etc/subgid or choose another"));
}

TEST(Check, TheKernelTakes340Ranges) {
  std::vector<IdRange> ranges;
  for (uint32_t i = 0; i < 340; ++i) ranges.push_back({i, 1000 + i, 1});
  EXPECT_THAT(complaints_of_map(ranges), IsEmpty());
  ranges.push_back({340, 1340, 1});
  EXPECT_THAT(complaints_of_map(ranges), ElementsAre("linux.uidMappings: more than 340 ranges"));
}

TEST(Check, SettingsOfASharedNamespaceWouldReachTheHost) {
  oci::Config config = default_config();
  erase_namespace(config, "network");
  erase_namespace(config, "ipc");
  config.linux.sysctl = {{"kernel.shmmax", "1"}, {"net.core.somaxconn", "1"}};
  EXPECT_THAT(
      check(config, kNewHost),
      ElementsAre("linux.sysctl: kernel.shmmax would change the host: the container shares that namespace",
                  "linux.sysctl: net.core.somaxconn would change the host: the container shares that namespace"));
  config = default_config();
  erase_namespace(config, "uts");
  EXPECT_THAT(check(config, kNewHost), ElementsAre("hostname: needs a uts namespace of its own"));
}

TEST(Check, ASettingsKeyCannotClimb) {
  oci::Config config = default_config();
  config.linux.sysctl = {{"net/../kernel/panic", "1"}, {"net.ipv4.x", "1\n2"}};
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.sysctl: bad key or value: net.ipv4.x",
                                                   "linux.sysctl: bad key or value: net/../kernel/panic"));
}

TEST(Check, ManyComplaintsAreCounted) {
  oci::Config config = default_config();
  for (int i = 0; i < 1000; ++i) config.linux.masked_paths.push_back("x");
  const std::vector<std::string> complaints = check(config, kNewHost);
  ASSERT_EQ(complaints.size(), 21u);
  EXPECT_EQ(complaints.back(), "and 980 more");
}

TEST(Check, AHostileMapIsRefusedAtOnce) {
  std::vector<IdRange> ranges(100000, IdRange{0, 0, 1});
  EXPECT_THAT(complaints_of_map(ranges), ElementsAre("linux.uidMappings: more than 340 ranges"));
}

TEST(Check, WithoutAUserNamespaceThereIsNothingToMap) {
  oci::Config config = default_config();
  erase_namespace(config, "user");
  EXPECT_THAT(check(config, kNewHost),
              ElementsAre("linux.namespaces: only root can do without a user namespace; add one, with "
                          "linux.uidMappings and linux.gidMappings",
                          "linux.uidMappings: there is no user namespace to map ids of"));
}

TEST(Check, NamespacesAreJoinedByAnAbsolutePath) {
  oci::Config config = default_config();
  config.linux.namespaces[2].path = "proc/1/ns/pid";
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.namespaces[2].path: not absolute: proc/1/ns/pid"));
}

TEST(Check, ASharedNamespaceThatIsJoinedMayBeSet) {
  oci::Config config = default_config();
  for (oci::Namespace& entry : config.linux.namespaces) {
    if (entry.type == "network" || entry.type == "uts") entry.path = "/proc/42/ns/x";
  }
  config.linux.sysctl = {{"net.core.somaxconn", "1"}, {"kernel/domainname", "x"}};
  EXPECT_THAT(check(config, kNewHost), IsEmpty());
}

TEST(Check, DevicesHaveATypeAPathAndNumbers) {
  oci::Config config = default_config();
  config.linux.devices = {{.type = "x", .path = "/dev/a", .major = 1, .minor = 3},
                          {.type = "c", .path = "/dev/../a", .major = -1, .minor = 1 << 20},
                          {.type = "p", .path = "/dev/p", .major = -1, .minor = -1},
                          {.type = "u", .path = "dev", .major = 4095, .minor = 1048575}};
  EXPECT_THAT(check(config, kNewHost),
              ElementsAre("linux.devices[0].type: none of c, b, u, p: x",
                          "linux.devices[1].path: not an absolute path of a device: /dev/../a",
                          "linux.devices[1].major: not within 0..4095", "linux.devices[1].minor: not within 0..1048575",
                          "linux.devices[3].path: not an absolute path of a device: dev"));
}

TEST(Check, MountsSayWhatOfAndWhereTo) {
  oci::Config config = default_config();
  config.mounts = {{.destination = "", .type = "tmpfs"},
                   {.destination = "/a"},
                   {.destination = "/b", .type = "bind"},
                   {.destination = "/c", .type = "tmpfs", .options = {"idmap"}, .uid_mappings = {{0, 1, 1}}},
                   {.destination = "/d", .type = "bind", .source = "/x", .options = {"idmap=uids=0-1-1"}},
                   {.destination = "//.", .type = "tmpfs"},
                   {.destination = "/", .type = "tmpfs"}};
  EXPECT_THAT(check(config, kNewHost),
              ElementsAre("mounts[0].destination: missing", "mounts[1].type: missing", "mounts[2].source: missing",
                          "mounts[3]: uidMappings and gidMappings go together",
                          "mounts[3].options: idmap is for bind mounts only",
                          "mounts[4].options: idmap: uids and gids go together",
                          "mounts[6].destination: a second mount of the root"));
}

TEST(Check, HooksArePathsWithATimeThatPasses) {
  oci::Config config = default_config();
  config.hooks.poststop = {{.path = "x", .args = {}, .env = {}, .timeout = 0}};
  EXPECT_THAT(check(config, kNewHost),
              ElementsAre("hooks.poststop[0].path: not absolute: x", "hooks.poststop[0].timeout: not above 0"));
}

TEST(Check, TheRestOfWhatOneFieldCanSayWrong) {
  oci::Config config = default_config();
  config.root.path = "/./";
  config.process.args.clear();
  config.process.oom_score_adj = 1001;
  config.process.user.umask = 010000;
  config.process.io_priority = oci::IoPriority{"X", 0};
  config.process.exec_cpu_affinity = oci::ExecCpuAffinity{"x", "0"};
  config.linux.rootfs_propagation = "public";
  config.linux.readonly_paths = {"proc"};
  config.linux.net_devices = {{"eth0", {"a/b"}}, {"this-is-too-long-a-name", {}}};
  config.linux.personality = oci::Personality{"X", {}};
  config.linux.memory_policy = oci::MemoryPolicy{"X", "", {}};
  config.linux.intel_rdt = oci::IntelRdt{.clos_id = ".."};
  config.linux.seccomp =
      oci::Seccomp{.default_action = "SCMP_ACT_ALLOW", .syscalls = {{.names = {"mkdir"}, .action = "SCMP_ACT_NOTIFY"}}};
  EXPECT_THAT(
      check(config, kNewHost),
      ElementsAre("root.path: \"/\" is the host's own root", "linux.readonlyPaths[0]: not absolute: proc",
                  "linux.rootfsPropagation: unknown: public", "process.args: no command given",
                  "process.user.umask: beyond octal 7777", "process.oomScoreAdj: not within -1000..1000",
                  "process.ioPriority: unknown class X", "process.execCPUAffinity.initial: no list such as 0-3,7: x",
                  "linux.netDevices.eth0.name: no name of an interface: a/b",
                  "linux.netDevices: no name of an interface: this-is-too-long-a-name",
                  "linux.seccomp.listenerPath: missing, though a rule says SCMP_ACT_NOTIFY",
                  "linux.intelRdt.closID: no name of a folder: ..", "linux.memoryPolicy: unknown mode X",
                  "linux.personality: unknown domain X"));
}

TEST(Check, TimeOffsetsNeedATimeNamespace) {
  oci::Config config = default_config();
  config.linux.time_offsets = {{"boottime", {.secs = 1}}};
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.timeOffsets: needs a time namespace of its own"));
  config.linux.namespaces.push_back({"time", ""});
  config.linux.time_offsets = {{"boottime", {.nanosecs = 1'000'000'000}}, {"tai", {}}};
  EXPECT_THAT(check(config, kNewHost),
              ElementsAre("linux.timeOffsets.boottime.nanosecs: beyond 999999999",
                          "linux.timeOffsets: no clock of its own: tai; there are monotonic and boottime"));
}

TEST(Check, AHostnameHas64Bytes) {
  oci::Config config = default_config();
  config.hostname = std::string(64, 'h');
  EXPECT_THAT(check(config, kNewHost), IsEmpty());
  config.hostname += 'h';
  EXPECT_THAT(check(config, kNewHost), ElementsAre("hostname: longer than 64 bytes"));
}

}  // namespace
}  // namespace moss::runtime
