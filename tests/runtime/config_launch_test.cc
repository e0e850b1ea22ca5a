// Fields of config.json on the real kernel, as whoever runs the tests: each must be seen by the workload.
#include <sys/socket.h>
#include <sys/un.h>

#include "launch_fixture.hh"

namespace moss::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class LaunchConfig : public LaunchBase {
 protected:
  // What a launch fails with.
  std::string refusal_of(const oci::Config& c) {
    const Result<Plan> made = plan(c, host_, {.bundle = root()});
    if (!made.ok()) return made.error().to_string();
    return error_of(launch(*made, {}));
  }
  std::string mount_line(const oci::Config& c, const std::string& destination) {
    oci::Config shown = c;
    shown.process.args = {"/probe", "files", "/proc/self/mountinfo"};
    const std::string all = output_of(shown);
    for (const std::string_view line : split(all, '\n')) {
      const std::vector<std::string_view> parts = split(line, ' ');
      if (parts.size() > 5 && parts[4] == destination) return std::string(line.substr(parts[4].data() - line.data()));
    }
    return cat("no ", destination, " in: ", all);
  }
};

TEST_F(LaunchConfig, TheProcessHasTheAttributesItAskedFor) {
  oci::Config c = config({"attributes"});
  c.process.scheduler = oci::Scheduler{.policy = "SCHED_BATCH", .nice = 19};
  c.process.io_priority = oci::IoPriority{"IOPRIO_CLASS_BE", 6};
  c.process.oom_score_adj = 700;
  c.linux.personality = oci::Personality{"LINUX32", {}};
  c.linux.memory_policy = oci::MemoryPolicy{"MPOL_PREFERRED", "0", {}};
  const std::string seen = output_of(c, {.session_keyring = "_ses.test"});
  EXPECT_THAT(seen, HasSubstr("policy 3 nice 19\n"));
  EXPECT_THAT(seen, HasSubstr("io 2:6\n"));
  EXPECT_THAT(seen, HasSubstr("memory 1\n"));
  EXPECT_THAT(seen, HasSubstr("personality 8\n"));
  EXPECT_THAT(seen, HasSubstr("oom 700\n"));
  EXPECT_THAT(seen, HasSubstr("keyring _ses.test\n"));
}

TEST_F(LaunchConfig, ClocksAreOffsetInATimeNamespace) {
  oci::Config c = config({"attributes"});
  c.linux.namespaces.push_back({"time", ""});
  c.linux.time_offsets = {{"boottime", {.secs = 31'536'000L * 40}}};
  EXPECT_THAT(output_of(c), HasSubstr("years since boot 40\n"));
}

TEST_F(LaunchConfig, WithoutCapabilitiesInTheConfigThereAreNone) {
  oci::Config c = config({"process"});
  c.process.capabilities.reset();
  EXPECT_THAT(output_of(c),
              HasSubstr("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));
}

TEST_F(LaunchConfig, UnknownAndUngrantableCapabilitiesAreWarnedOfAndLeftOut) {
  oci::Config c = config({"process"});
  c.process.capabilities->bounding.push_back("CAP_OF_TOMORROW");
  c.process.capabilities->ambient = {"CAP_CHOWN"};
  const Plan p = planned(c);
  EXPECT_THAT(p.warnings,
              ::testing::ElementsAre("process.capabilities.bounding: CAP_OF_TOMORROW is no capability; left out"));
  EXPECT_THAT(output_of(c), HasSubstr("CapAmb:\t0000000000000000\n"));
}

TEST_F(LaunchConfig, ARelativeDestinationIsBelowTheRoot) {
  oci::Config c = config({"paths", "/here/x"});
  c.mounts.push_back({.destination = "here//./x/", .type = "tmpfs", .source = "tmpfs", .options = {}});
  EXPECT_EQ(output_of(c), "/here/x: folder, writable\n");
}

TEST_F(LaunchConfig, MountOptionsReachTheMountAndWhatLiesBelow) {
  make_dir(path("data/sub"));
  oci::Config c = config({});
  c.mounts.push_back(
      {.destination = "/t",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "nodev", "noexec", "nosymfollow", "noatime", "size=1m", "defaults", "silent"}});
  c.mounts.push_back({.destination = "/b",
                      .type = "bind",
                      .source = path("data"),
                      .options = {"rbind", "rro", "rnosuid", "rnodev", "rnoexec", "rslave"}});
  EXPECT_THAT(mount_line(c, "/t"), StartsWith("/t rw,nosuid,nodev,noexec,noatime,nosymfollow"));
  EXPECT_THAT(mount_line(c, "/t"), HasSubstr("size=1024k"));
  EXPECT_THAT(mount_line(c, "/b"), StartsWith("/b ro,nosuid,nodev,noexec"));
}

TEST_F(LaunchConfig, ARemountChangesWhatIsThere) {
  oci::Config c = config({"paths", "/t"});
  c.mounts.push_back({.destination = "/t", .type = "tmpfs", .source = "tmpfs", .options = {}});
  c.mounts.push_back({.destination = "/t", .type = "", .source = "", .options = {"remount", "bind", "ro"}});
  EXPECT_EQ(output_of(c), "/t: folder, Read-only file system\n");
  c.mounts.back().options = {"remount", "size=2m"};
  EXPECT_THAT(mount_line(c, "/t"), HasSubstr("size=2048k"));
}

TEST_F(LaunchConfig, AWrongMountOptionIsAnErrorThatNamesTheMount) {
  oci::Config c = config({"exit", "0"});
  c.mounts.push_back({.destination = "/t", .type = "tmpfs", .source = "tmpfs", .options = {"rubbish"}});
  EXPECT_THAT(refusal_of(c), HasSubstr("make a tmpfs mount: rubbish: Invalid argument"));
}

TEST_F(LaunchConfig, TheRootsPropagationIsAsAsked) {
  oci::Config c = config({});
  EXPECT_THAT(mount_line(c, "/"), Not(HasSubstr(" shared:")));
  c.linux.rootfs_propagation = "shared";
  EXPECT_THAT(mount_line(c, "/"), HasSubstr(" shared:"));
  c.linux.rootfs_propagation = "private";
  EXPECT_THAT(mount_line(c, "/"), Not(HasSubstr("master:")));
  c.linux.rootfs_propagation = "unbindable";
  EXPECT_THAT(mount_line(c, "/"), HasSubstr(" unbindable"));
}

TEST_F(LaunchConfig, TheHostsSysStandsInReadOnlyWhereTheNetworkIsTheHosts) {
  oci::Config c = config({"paths", "/sys/kernel"});
  erase_namespace(c, "network");
  mount_at(c, "/sys").options = {"nosuid", "noexec", "nodev"};
  EXPECT_EQ(output_of(c), "/sys/kernel: folder, Read-only file system\n");
}

TEST_F(LaunchConfig, TheHostsProcStandsInWhereThePidsAreTheHosts) {
  oci::Config c = config({"process"});
  erase_namespace(c, "pid");
  c.linux.masked_paths = {"/proc/kcore"};
  c.linux.readonly_paths = {"/proc/sys"};
  EXPECT_THAT(output_of(c), Not(HasSubstr("ended")));
}

TEST_F(LaunchConfig, AFifoIsMadeAndADeviceMustBeTheOneThatWasAskedFor) {
  oci::Config c = config({"nodes", "/dev/pipe", "/dev/null"});
  c.linux.devices = {{.type = "p", .path = "/dev/pipe", .file_mode = 0640}};
  EXPECT_THAT(output_of(c), StartsWith("/dev/pipe: fifo 0:0 mode 640 owner 0:0\n/dev/null: device 1:3 mode 666 "));
  c.linux.devices = {{.type = "c", .path = "/dev/null", .major = 1, .minor = 5}};
  EXPECT_THAT(refusal_of(c), HasSubstr("copy the mount of device /dev/null: No such device"));
}

TEST_F(LaunchConfig, TheHostsDevIsLeftAsItIs) {
  oci::Config c = config({"exit", "0"});
  make_dir(path("dev"));
  std::erase_if(c.mounts, [](const oci::Mount& mount) { return mount.destination.starts_with("/dev"); });
  c.mounts.push_back({.destination = "/dev", .type = "bind", .source = path("dev"), .options = {"rbind"}});
  EXPECT_EQ(output_of(c), "");
  EXPECT_THAT(*sys::list_dir(path("dev")), ::testing::IsEmpty());
}

TEST_F(LaunchConfig, ARootThatIsALinkOrTheHostsOwnIsRefused) {
  oci::Config c = config({"exit", "0"});
  ASSERT_EQ(::symlink(path("rootfs").c_str(), path("link").c_str()), 0);
  c.root.path = path("link");
  EXPECT_THAT(refusal_of(c), HasSubstr("open folder " + path("link") + " for the root: Not a directory"));
  c.root.path = "/";
  EXPECT_THAT(refusal_of(c), HasSubstr("root.path: \"/\" is the host's own root"));
  c.root.path = "/usr/..";
  EXPECT_THAT(refusal_of(c), HasSubstr("for the root: Device or resource busy"));
}

TEST_F(LaunchConfig, ALabelWithoutItsSecurityModuleIsAnErrorThatNamesTheFile) {
  if (sys::exists("/sys/kernel/security/apparmor") || host_.selinux) GTEST_SKIP() << "a security module is active";
  oci::Config c = config({"exit", "0"});
  c.process.apparmor_profile = "docker-default";
  EXPECT_THAT(refusal_of(c), HasSubstr("write exec docker-default to `/proc/thread-self/attr/apparmor/exec`"));
  c.process.apparmor_profile = "unconfined";
  EXPECT_EQ(output_of(c), "");
  c.process.apparmor_profile = "";
  c.process.selinux_label = "system_u:system_r:container_t:s0";
  EXPECT_EQ(refusal_of(c), "process.selinuxLabel: SELinux is not enabled on this host");
}

TEST_F(LaunchConfig, ListenFdsAreToldOf) {
  oci::Config c = config({"environment"});
  c.process.env = {"A=1"};
  EXPECT_EQ(output_of(c, {.listen_fds = 2}),
            "A=1\nLISTEN_FDS=2\nLISTEN_PID=1\nHOME=/\nargument /probe\nargument environment\n");
}

// ---- namespaces that are there already ----

class LaunchJoin : public LaunchConfig {
 protected:
  // A container that waits; its namespaces are to be joined.
  void start(const std::vector<std::string>& without = {}) {
    oci::Config c = config({"namespaces-and-wait"});
    for (const std::string& type : without) erase_namespace(c, type);
    start_waiting(c);
  }
  std::string ns(const std::string& file) const { return cat("/proc/", waiting_->init.pid(), "/ns/", file); }
  static std::string line(const std::string& text, const std::string& name) {
    const size_t at = text.find(name + " ");
    return at == std::string::npos ? "no " + name : text.substr(at, text.find('\n', at) - at);
  }
  static void join(oci::Config& c, const std::string& type, const std::string& where) {
    for (oci::Namespace& entry : c.linux.namespaces) {
      if (entry.type == type) entry.path = where;
    }
  }
};

TEST_F(LaunchJoin, EveryKindByPathTheUserNamespaceInTheRightOrder) {
  start();
  oci::Config c = config({"namespaces"});
  c.linux.uid_mappings.clear();
  c.linux.gid_mappings.clear();
  for (const auto& [type, file] : {std::pair("user", "user"),
                                   {"network", "net"},
                                   {"ipc", "ipc"},
                                   {"uts", "uts"},
                                   {"pid", "pid"},
                                   {"cgroup", "cgroup"}}) {
    join(c, type, ns(file));
  }
  c.process.oom_score_adj = 300;
  const std::string theirs = read(path("out"));
  const std::string ours = output_of(c);
  for (const char* name : {"user", "net", "ipc", "uts", "pid", "cgroup"})
    EXPECT_EQ(line(ours, name), line(theirs, name));
  EXPECT_NE(line(ours, "mnt"), line(theirs, "mnt"));
}

TEST_F(LaunchJoin, APidNamespaceWithAUserNamespaceOfOnesOwnFallsToTheKernel) {
  start();
  oci::Config c = config({"namespaces"});
  join(c, "pid", ns("pid"));
  // Only root of the user namespace that owns it may enter; an ordinary user is that of neither.
  if (host_.is_real_root()) GTEST_SKIP() << "real root may";
  EXPECT_THAT(refusal_of(c), HasSubstr("join pid namespace /proc/"));
}

TEST_F(LaunchJoin, WhatIsNoNamespaceOrOfAnotherKindIsAnErrorAndNothingWaits) {
  start();
  oci::Config c = config({"namespaces"});
  join(c, "network", ns("uts"));
  EXPECT_EQ(refusal_of(c), cat("linux.namespaces: ", ns("uts"), " is a uts namespace, not a network one"));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  join(c, "network", path("fifo"));
  EXPECT_EQ(refusal_of(c), cat("linux.namespaces: ", path("fifo"), " is no namespace"));
  join(c, "network", path("nothere"));
  EXPECT_EQ(refusal_of(c), cat("linux.namespaces: open ", path("nothere"), ": No such file or directory"));
}

TEST_F(LaunchJoin, TheHostsOwnIsNeverChanged) {
  start();
  oci::Config c = config({"exit", "0"});
  join(c, "uts", "/proc/self/ns/uts");
  EXPECT_THAT(refusal_of(c), HasSubstr("/proc/self/ns/uts is the uts namespace that moss itself is in"));
  c = config({"exit", "0"});
  join(c, "mount", "/proc/self/ns/mnt");
  EXPECT_THAT(refusal_of(c), HasSubstr("/proc/self/ns/mnt is the mount namespace that moss itself is in"));
}

TEST_F(LaunchJoin, AMountNamespaceBecomesTheContainers) {
  start();
  oci::Config c = config({"namespaces"});
  c.linux.uid_mappings.clear();
  c.linux.gid_mappings.clear();
  for (const auto& [type, file] : {std::pair("user", "user"), {"pid", "pid"}, {"mount", "mnt"}})
    join(c, type, ns(file));
  // There the first container's root is "/": this one's lies below it.
  c.root.path = "/work";
  c.mounts.clear();
  c.linux.masked_paths.clear();
  c.linux.readonly_paths.clear();
  make_dir(path("rootfs/work/dev"));
  c.process.args = {"/nothere"};
  EXPECT_THAT(refusal_of(c), HasSubstr("execute /nothere: No such file or directory"));
}

// ---- what notified system calls are told through ----

TEST_F(LaunchConfig, TheListenerOfAFilterIsHandedOnBeforeTheWorkloadRuns) {
  oci::Config c = config({"exit", "0"});
  PlanOptions options{.bundle = root()};
  // Everything is allowed but mkdir, which is notified.
  options.seccomp = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 9999, 0, 1),
                     BPF_STMT(BPF_RET | BPF_K, 0x7fc00000), BPF_STMT(BPF_RET | BPF_K, 0x7fff0000)};
  options.seccomp_flags = 1u << 3;  // SECCOMP_FILTER_FLAG_NEW_LISTENER
  const Result<Plan> p = plan(c, host_, options);
  ASSERT_TRUE(p.ok()) << error_of(p);
  std::string order;
  Result<Launched> launched = launch(*p, {.on_seccomp_listener = [&](pid_t init, Fd listener) -> Result<Ok> {
    order += cat(init > 0 ? "pid " : "no pid ", listener ? "listener" : "none");
    return Ok{};
  }});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
  EXPECT_EQ(order, "pid listener");
  EXPECT_EQ(error_of(launch(*p, {})), "linux.seccomp: nobody is there to take the listener");
}

}  // namespace
}  // namespace moss::runtime
