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
          "root.path: missing", "process.cwd: not absolute: relative", "mounts[9].destination: not absolute: data",
          "mounts[10].destination: has \"..\": /a/../../b", "mounts[10].options: tmpcopyup is for tmpfs only",
          "linux.mountLabel: SELinux is not supported",
          "linux.sysctl: kernel.panic belongs to the whole host; only net.*, kernel.msg*, kernel.shm*, kernel.sem "
          "and fs.mqueue.* may be set",
          "process.rlimits[0]: soft above hard", "process.rlimits[1]: a second RLIMIT_CORE"));
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

TEST(Check, SomeNamespacesCannotBeJoined) {
  for (const char* type : {"pid", "mount", "user"}) {
    oci::Config config = default_config();
    for (oci::Namespace& entry : config.linux.namespaces) {
      if (entry.type == type) entry.path = "/proc/1/ns/x";
    }
    EXPECT_THAT(check(config, kNewHost),
                ElementsAre("linux.namespaces: joining a pid, mount or user namespace by path is not supported"))
        << type;
  }
  oci::Config config = default_config();
  erase_namespace(config, "mount");
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.namespaces: moss needs a mount namespace"));
}

TEST(Check, TimeOffsetsNeedATimeNamespace) {
  oci::Config config = default_config();
  config.linux.time_offsets = {{"boottime", {.secs = 1}}};
  EXPECT_THAT(check(config, kNewHost), ElementsAre("linux.timeOffsets: needs a time namespace of its own"));
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
