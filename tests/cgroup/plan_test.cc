// Where a container's cgroup goes, on hosts of every kind: whole plans as text.
#include <gmock/gmock.h>

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {
namespace {

using testing::HasSubstr;

const std::string kUserManager = "/user.slice/user-1000.slice/user@1000.service";

CgroupHost unified(const std::string& own, std::optional<std::string> delegated) {
  CgroupHost host{.mode = sys::CgroupMode::v2, .v1 = {}, .v2 = {}, .systemd = true, .clone_into = true};
  host.v2 = CgroupTree{.controllers = {"cpu", "memory", "pids"},
                       .mount = "/sys/fs/cgroup",
                       .own = own,
                       .delegated = std::move(delegated),
                       .key = {}};
  return host;
}
CgroupHost ordinary(CgroupHost host) {
  host.ordinary = true;
  return host;
}
CgroupTree v1_tree(const std::string& controller, const std::string& own) {
  return {.controllers = {controller},
          .mount = "/sys/fs/cgroup/" + controller,
          .own = own,
          .delegated = "/",
          .key = controller};
}
CgroupHost hybrid() {
  CgroupHost host{
      .mode = sys::CgroupMode::hybrid, .v1 = {v1_tree("memory", "/jobs/7"), v1_tree("pids", "/")}, .v2 = {}};
  host.v2 = CgroupTree{.controllers = {}, .mount = "/sys/fs/cgroup/unified", .own = "/", .delegated = "/", .key = {}};
  return host;
}

// Every device allowed: no filter, so that plans are short.
constexpr std::string_view kAllDevices = R"("devices": [{"allow": true, "access": "rwm"}])";

oci::Config config(const std::string& path, std::string_view limits = "") {
  oci::Config config;
  config.linux.cgroups_path = path;
  config.linux.resources =
      oci::decode_resources(cat("{", kAllDevices, limits.empty() ? "" : ", ", limits, "}")).value();
  return config;
}

std::string planned(const oci::Config& config, const CgroupHost& host,
                    CgroupManager manager = CgroupManager::cgroupfs) {
  const Result<CgroupPlan> plan =
      plan_cgroup(config, host, {.id = "web", .manager = manager, .rootless = false, .uids = {}});
  return plan.ok() ? to_string(*plan) : "error: " + plan.error().to_string();
}

constexpr std::string_view kMemory = R"("memory": {"limit": 4096})";

TEST(CgroupPlan, RootsContainerIsBesideItsCaller) {
  EXPECT_EQ(planned(config("", kMemory), unified("/system.slice/x.service", "/")),
            "make the cgroup /sys/fs/cgroup/system.slice/web (v2)\n"
            "enable cpu memory pids from /sys/fs/cgroup down\n"
            "memory.max = 4096  # memory.limit\n"
            "start the container's process in it\n");
}

TEST(CgroupPlan, AnAbsolutePathCountsFromTheMount) {
  EXPECT_THAT(planned(config("/docker//abc/"), unified("/x", "/")),
              HasSubstr("make the cgroup /sys/fs/cgroup/docker/abc (v2)\n"));
  EXPECT_THAT(planned(config("pods/abc"), unified("/x/y", "/")),
              HasSubstr("make the cgroup /sys/fs/cgroup/x/pods/abc (v2)\n"));
}

TEST(CgroupPlan, APathNeverLeavesItsTree) {
  for (const char* path : {"..", "/..", "a/../../b", "/a/.."}) {
    EXPECT_EQ(planned(config(path), unified("/x", "/")),
              cat("error: cgroup path ", path, ": it may not have \"..\" in it"));
    EXPECT_EQ(planned(config(path), hybrid()), cat("error: cgroup path ", path, ": it may not have \"..\" in it"));
  }
  EXPECT_EQ(planned(config("/"), unified("/x", "/")),
            "error: linux.cgroupsPath: the root of all cgroups is not for a container");
}

TEST(CgroupPlan, AnOrdinaryUserStaysWithinWhatIsDelegated) {
  const CgroupHost host = ordinary(unified(kUserManager + "/app.slice/run-1.service", kUserManager));
  EXPECT_THAT(planned(config("", kMemory), host),
              HasSubstr("make the cgroup /sys/fs/cgroup" + kUserManager + "/app.slice/web (v2)"));
  EXPECT_EQ(planned(config("/docker/abc"), host), "no cgroup\n");
  EXPECT_THAT(planned(config("/docker/abc", kMemory), host),
              HasSubstr("cannot keep memory.limit: of all cgroups only " + kUserManager + " is delegated"));
}

TEST(CgroupPlan, WhereOnlyTheCallersOwnIsDelegatedItGoesBelow) {
  EXPECT_THAT(planned(config(""), ordinary(unified("/system.slice/job.service", "/system.slice/job.service"))),
              HasSubstr("make the cgroup /sys/fs/cgroup/system.slice/job.service/web (v2)\n"));
}

TEST(CgroupPlan, NothingDelegatedAndNothingAskedIsNoCgroup) {
  EXPECT_EQ(planned(config(""), ordinary(unified("/user.slice/session-1.scope", {}))), "no cgroup\n");
  EXPECT_EQ(planned(config("", R"("pids": {"limit": -1})"), ordinary(unified("/s", {}))), "no cgroup\n");
  EXPECT_EQ(planned(config(""), CgroupHost{.v1 = {}, .v2 = {}, .ordinary = true}), "no cgroup\n");
}

TEST(CgroupPlan, ALimitThatNobodyKeepsIsAnErrorWithTheFix) {
  EXPECT_EQ(
      planned(config("", R"("memory": {"limit": 4096}, "pids": {"limit": 5})"), ordinary(unified("/s", {}))),
      "error: linux.resources: cannot keep memory.limit, pids.limit: no cgroup is delegated to the caller, who is in "
      "/s; run moss in a delegated unit (systemd-run --user --scope -p Delegate=yes moss …), or let systemd make a "
      "scope (--systemd-cgroup)");
  EXPECT_THAT(
      planned(config("", kMemory), CgroupHost{.mode = sys::CgroupMode::hybrid, .v1 = {}, .v2 = {}, .ordinary = true}),
      HasSubstr("boot it with systemd.unified_cgroup_hierarchy=1"));
  EXPECT_EQ(planned(config("", kMemory), unified("/", "/"), CgroupManager::disabled),
            "error: linux.resources: cannot keep memory.limit: cgroups are switched off (--cgroup-manager=disabled)");
}

TEST(CgroupPlan, AMissingControllerIsNamed) {
  const CgroupHost host = ordinary(unified(kUserManager + "/app.slice/a.service", kUserManager));
  EXPECT_EQ(planned(config("", R"("cpu": {"cpus": "0"})"), host),
            "error: linux.resources: cannot keep cpu.cpus: the controller cpuset is not among those that " +
                kUserManager +
                " may hand down (cpu memory pids); an administrator can add it with Delegate=cpuset in "
                "/etc/systemd/system/user@.service.d/delegate.conf");
  EXPECT_THAT(planned(config("", R"("unified": {"io.weight": "1"})"), host),
              HasSubstr("cannot keep unified.io.weight: "));
}

TEST(CgroupPlan, DisabledIsNoCgroup) {
  EXPECT_EQ(planned(config("/a"), unified("/", "/"), CgroupManager::disabled), "no cgroup\n");
}

TEST(CgroupPlan, OnV1EachTreeHasItsFolder) {
  EXPECT_EQ(planned(config("", R"("memory": {"limit": 4096}, "pids": {"limit": 5})"), hybrid()),
            "make the cgroup /sys/fs/cgroup/unified/web (v2)\n"
            "make the cgroup /sys/fs/cgroup/memory/jobs/7/web (memory)\n"
            "make the cgroup /sys/fs/cgroup/pids/web (pids)\n"
            "memory.limit_in_bytes = 4096  # memory.limit\n"
            "pids.max = 5  # pids.limit\n"
            "devices.allow = a (if there is such a file)  # devices\n"
            "add the container's process\n");
}

TEST(CgroupPlan, OnV1AMissingTreeIsNamed) {
  EXPECT_EQ(planned(config("", R"("cpu": {"shares": 5})"), hybrid()),
            "error: linux.resources: cannot keep cpu.shares: the controller cpu of cgroup v1 is not mounted, or not "
            "writable for the caller");
}

TEST(CgroupPlan, DeviceRulesOfAnOrdinaryUserAreLeftOut) {
  oci::Config denied = config("/a");
  denied.linux.resources->devices = {{.allow = false, .type = "a", .major = {}, .minor = {}, .access = "rwm"}};
  CgroupHost host = hybrid();
  EXPECT_THAT(planned(denied, host), HasSubstr("cannot keep devices: "));
  host.ordinary = true;
  EXPECT_THAT(planned(denied, host), Not(HasSubstr("devices.")));
  EXPECT_THAT(planned(denied, unified("/", "/")), HasSubstr("filter devices, "));
}

TEST(CgroupPlan, AContainerThatMayHaveNoProcessIsNotBornInIt) {
  EXPECT_THAT(planned(config("", R"("pids": {"limit": 0})"), unified("/", "/")),
              HasSubstr("add the container's process\n"));
}

TEST(CgroupPlan, TheFolderIsGivenAwayOnlyWithAWritableViewOfIt) {
  oci::Config given = config("/a");
  given.linux.namespaces = {{.type = "user", .path = {}}, {.type = "cgroup", .path = {}}};
  given.linux.uid_mappings = {{.inside = 0, .outside = 100000, .count = 65536}};
  given.mounts = {{.destination = "/sys/fs/cgroup", .type = "cgroup", .source = "cgroup", .options = {"rw"}}};
  EXPECT_THAT(planned(given, unified("/", "/")), HasSubstr("give it to user 100000\n"));
  oci::Config read_only = given;
  read_only.mounts[0].options = {"ro"};
  EXPECT_THAT(planned(read_only, unified("/", "/")), Not(HasSubstr("give it")));
  oci::Config host_cgroups = given;
  host_cgroups.linux.namespaces.pop_back();
  EXPECT_THAT(planned(host_cgroups, unified("/", "/")), Not(HasSubstr("give it")));
}

TEST(CgroupPlan, AScopeOfSystemd) {
  oci::Config scoped = config("user.slice:libpod:abc", R"("memory": {"limit": 4096}, "pids": {"limit": 0})");
  scoped.annotations = {{"org.systemd.property.TimeoutStopSec", "5"}, {"run.oci.systemd.subgroup", "container"}};
  EXPECT_EQ(planned(scoped, ordinary(unified("/s", {})), CgroupManager::systemd),
            "start libpod-abc.scope in user.slice of the user's systemd\n"
            "  MemoryMax = t 4096\n"
            "  TasksMax = t 1\n"
            "  TimeoutStopUSec = t 5000000\n"
            "make the cgroup container in it\n"
            "memory.max = 4096  # memory.limit\n"
            "pids.max = 0  # pids.limit\n"
            "add the container's process\n");
  EXPECT_THAT(planned(config(""), unified("/", "/"), CgroupManager::systemd),
              HasSubstr("start moss-web.scope in system.slice\n"));
}

TEST(CgroupPlan, SystemdMustBeThere) {
  CgroupHost host = unified("/", "/");
  host.systemd = false;
  EXPECT_THAT(planned(config(""), host, CgroupManager::systemd), HasSubstr("systemd does not run here"));
  EXPECT_THAT(planned(config("/a/b"), unified("/", "/"), CgroupManager::systemd), HasSubstr("\"slice:prefix:name\""));
}

TEST(CgroupManagers, HaveNames) {
  EXPECT_EQ(parse_cgroup_manager("cgroupfs"), CgroupManager::cgroupfs);
  EXPECT_EQ(parse_cgroup_manager("systemd"), CgroupManager::systemd);
  EXPECT_EQ(parse_cgroup_manager("disabled"), CgroupManager::disabled);
  EXPECT_EQ(parse_cgroup_manager("no"), std::nullopt);
}

}  // namespace
}  // namespace moss::runtime
