// Plans as text, compared with golden/*.plan. MOSS_ACCEPT=1 rewrites those files; the diff is then read like code.
#include <gtest/gtest.h>
#include <stdlib.h>

#include "configs.hh"
#include "moss/sys/file.hh"

namespace moss::runtime {
namespace {

void expect_golden(const std::string& name, const Result<Plan>& planned) {
  ASSERT_TRUE(planned.ok()) << planned.error().to_string();
  const std::string text = to_string(*planned);
  const std::string path = cat(MOSS_GOLDEN_DIR, "/", name, ".plan");
  if (::getenv("MOSS_ACCEPT") != nullptr) {
    ASSERT_TRUE(sys::replace_file(path, text).ok());
    return;
  }
  const Result<std::string> golden = sys::read_file(path, 1u << 20);
  ASSERT_TRUE(golden.ok()) << golden.error().to_string() << "; write it with MOSS_ACCEPT=1";
  EXPECT_EQ(text, *golden);
}

void expect_golden(const std::string& name, const oci::Config& config, const sys::Host& host = kNewHost,
                   PlanOptions options = {.bundle = "/run/c"}) {
  expect_golden(name, plan(config, host, std::move(options)));
}

TEST(Golden, Default) { expect_golden("default", default_config()); }

TEST(Golden, AwaitNetworkWithBuiltInInitAndFilter) {
  PlanOptions options{.bundle = "/run/c", .built_in_init = true, .await_network = true, .preserve_fds = 2};
  options.seccomp = std::vector<sock_filter>(3);
  expect_golden("network_init_filter", default_config(), kNewHost, std::move(options));
}

TEST(Golden, WithoutPivotRoot) {
  PlanOptions options{.bundle = "/run/c"};
  options.chroot_over_mounts = {"proc", "sys", "home/me"};
  expect_golden("no_pivot", default_config(), kNewHost, std::move(options));
}

TEST(Golden, MoreMounts) {
  const std::vector<oci::Mount> mounts = {
      {.destination = "/data", .type = "bind", .source = "/srv/data", .options = {"rbind", "ro"}},
      {.destination = "/t", .type = "tmpfs", .source = "tmpfs", .options = {"mode=755"}},
      {.destination = "/data/file", .type = "bind", .source = "file", .options = {"bind"}},
  };
  expect_golden("more_mounts", plan_more_mounts(default_config(), mounts, kNewHost, {.bundle = "/run/c"}));
}

TEST(Golden, FewerMounts) {
  expect_golden("fewer_mounts", plan_fewer_mounts({{.destination = "/data//file"}, {.destination = "/data"}}));
}

TEST(Golden, KeepId) {
  oci::Config config = default_config();
  config.linux.uid_mappings = {{0, 100000, 1001}, {1001, 1001, 1}, {1002, 101001, 64535}};
  config.linux.gid_mappings = config.linux.uid_mappings;
  config.process.user = {.uid = 1001, .gid = 1001, .umask = 0022, .additional_gids = {10, 20}};
  config.process.cwd = "/home/me";
  // No capability is left to a user who is not root.
  config.process.capabilities->effective.clear();
  config.process.capabilities->permitted.clear();
  expect_golden("keep_id", config);
}

TEST(Golden, SingleId) {
  oci::Config config = default_config();
  config.linux.uid_mappings = config.linux.gid_mappings = {{0, 1001, 1}};
  expect_golden("single_id", config);
}

TEST(Golden, KeepIdInASingleMap) {
  // Root is not mapped: the setup is done as the one id there is.
  oci::Config config = default_config();
  config.linux.uid_mappings = config.linux.gid_mappings = {{1001, 1001, 1}};
  config.process.user = {.uid = 1001, .gid = 1001};
  expect_golden("keep_id_single", config);
}

TEST(Golden, ReadOnlyRootFromAFolder) {
  oci::Config config = default_config();
  config.mounts.erase(config.mounts.begin());
  config.root = {.path = "rootfs", .readonly = true};
  expect_golden("read_only_folder", config);
}

TEST(Golden, MountsInOrder) {
  // What could be made before newuidmap is done comes first only as long as everything before it does.
  oci::Config config = default_config();
  config.mounts.push_back({.destination = "/data", .type = "bind", .source = "/home/me", .options = {"rbind"}});
  expect_golden("mounts_in_order", config, kNewHost, {.bundle = "/run/c", .mounts_in_order = true});
}

TEST(Golden, HostNetwork) {
  oci::Config config = default_config();
  erase_namespace(config, "network");
  mount_at(config, "/sys") = {.destination = "/sys",
                              .type = "bind",
                              .source = "/sys",
                              .options = {"rbind", "rro", "nosuid", "noexec", "nodev"}};
  std::erase_if(config.mounts, [](const oci::Mount& mount) { return mount.destination == "/sys/fs/cgroup"; });
  expect_golden("host_network", config);
}

TEST(Golden, Terminal) {
  oci::Config config = default_config();
  config.process.terminal = true;
  config.process.console_size = oci::ConsoleSize{24, 80};
  expect_golden("terminal", config);
}

TEST(Golden, NoNewPrivilegesLoadsTheFilterLast) {
  oci::Config config = default_config();
  config.process.no_new_privileges = true;
  PlanOptions options{.bundle = "/run/c"};
  options.seccomp = std::vector<sock_filter>(3);
  expect_golden("no_new_privileges", config, kNewHost, std::move(options));
}

TEST(Golden, OldKernelTakesTheRootInOneMount) {
  sys::Host host = kNewHost;
  host.kernel = {6, 1};
  expect_golden("old_kernel", default_config(), host);
}

// Id 0 inside is nobody outside: neither the store nor the root's place is open to it by name.
TEST(Golden, RealRootOnAnOldKernelHoldsWhatItMountsToo) {
  oci::Config config = default_config();
  config.linux.uid_mappings = config.linux.gid_mappings = {{0, 524288, 65536}};
  expect_golden("old_kernel_real_root", config, {.uid = 0, .gid = 0, .kernel = {6, 1}, .cgroups = sys::CgroupMode::v2});
}

TEST(Plan, AKernelWithoutMountSetattrIsToldSo) {
  sys::Host host = kNewHost;
  host.kernel = {5, 10};
  const Result<Plan> refused = plan(default_config(), host, {.bundle = "/run/c"});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().to_string(), "containers need Linux 5.12 or later; this is 5.10");
}

TEST(Golden, CgroupsV1AreLeftOut) {
  sys::Host host = kNewHost;
  host.cgroups = sys::CgroupMode::v1;
  expect_golden("cgroups_v1", default_config(), host);
}

TEST(Golden, TmpfsAndBindOptions) {
  oci::Config config = default_config();
  config.mounts.push_back({.destination = "/cache",
                           .type = "tmpfs",
                           .source = "tmpfs",
                           .options = {"rprivate", "nosuid", "nodev", "noexec", "tmpcopyup", "size=1024", "uid=5"}});
  config.mounts.push_back(
      {.destination = "/data", .type = "bind", .source = "/home/me/data", .options = {"rbind", "rro", "rslave"}});
  config.mounts.push_back({.destination = "/plain", .type = "bind", .source = "file", .options = {"bind"}});
  config.mounts.push_back(
      {.destination = "/proc/meminfo", .type = "bind", .source = "/home/me/meminfo", .options = {"bind"}});
  expect_golden("tmpfs_and_binds", config, kNewHost, {.bundle = "/run/c", .optional_binds = {"/etc/hosts"}});
}

TEST(Golden, NoUserNamespace) {
  oci::Config config = default_config();
  erase_namespace(config, "user");
  config.linux.uid_mappings.clear();
  config.linux.gid_mappings.clear();
  expect_golden("no_user_namespace", config, {.uid = 0, .gid = 0, .kernel = {6, 8}, .cgroups = sys::CgroupMode::v2});
}

TEST(Golden, KernelSettingsAndLimits) {
  oci::Config config = default_config();
  config.domainname = "example.org";
  config.process.oom_score_adj = 500;
  config.process.rlimits = {{.type = "RLIMIT_NOFILE", .hard = 4096, .soft = 1024},
                            {.type = "RLIMIT_CORE", .hard = UINT64_MAX, .soft = 0}};
  config.linux.namespaces.push_back({"time", ""});
  config.linux.time_offsets = {{"boottime", {.secs = 100, .nanosecs = 5}}};
  config.linux.sysctl = {{"net.ipv4.ping_group_range", "0 65536"}, {"net/ipv4/conf/eth0.1/forwarding", "1"}};
  config.linux.devices = {{.type = "c", .path = "/dev/fuse", .major = 10, .minor = 229}};
  config.process.capabilities->inheritable = {"CAP_CHOWN"};
  config.process.capabilities->ambient = {"CAP_CHOWN",
                                          "CAP_KILL"};  // of which only what is inheritable can be passed on
  expect_golden("settings_and_limits", config);
}

TEST(Golden, JoinedNetworkNamespace) {
  oci::Config config = default_config();
  for (oci::Namespace& entry : config.linux.namespaces) {
    if (entry.type == "network") entry.path = "/proc/42/ns/net";
  }
  expect_golden("joined_network", config);
}

TEST(Golden, EveryNamespaceJoined) {
  oci::Config config = default_config();
  config.linux.uid_mappings.clear();
  config.linux.gid_mappings.clear();
  for (oci::Namespace& entry : config.linux.namespaces) {
    if (entry.type != "mount") entry.path = cat("/proc/42/ns/", entry.type);
  }
  config.process.oom_score_adj = 100;
  config.linux.sysctl = {{"net.core.somaxconn", "1"}};
  expect_golden("joined", config);
}

const sys::Host kRealRoot{.uid = 0,
                          .gid = 0,
                          .kernel = {6, 8},
                          .cgroups = sys::CgroupMode::hybrid,
                          .cgroup_trees = {"cpu,cpuacct", "memory", "systemd"}};

oci::Config root_config() {
  oci::Config config = default_config();
  erase_namespace(config, "user");
  config.linux.uid_mappings.clear();
  config.linux.gid_mappings.clear();
  config.mounts.erase(config.mounts.begin());
  return config;
}

TEST(Golden, RealRootAsContainerdAndDockerAskForIt) {
  oci::Config config = root_config();
  config.linux.devices = {{.type = "c", .path = "/dev/fuse", .major = 10, .minor = 229, .file_mode = 020660, .gid = 6}};
  config.linux.rootfs_propagation = "rshared";
  config.mounts.push_back({.destination = "/data", .type = "bind", .source = "/data", .options = {"rbind", "rshared"}});
  expect_golden("real_root", config, kRealRoot);
}

TEST(Golden, RealRootInTheHostsNamespaces) {
  oci::Config config = root_config();
  for (const char* type : {"cgroup", "pid", "network", "ipc", "mount"}) erase_namespace(config, type);
  config.process.oom_score_adj = -500;
  PlanOptions options{.bundle = "/run/c", .session_keyring = "_ses.c"};
  options.cgroup_folders = {{"memory", "/sys/fs/cgroup/memory/c"}};
  expect_golden("real_root_shared", config, kRealRoot, std::move(options));
}

TEST(Golden, RootOfSomebodyElsesUserNamespace) {
  oci::Config config = root_config();
  erase_namespace(config, "cgroup");
  erase_namespace(config, "network");
  config.process.oom_score_adj = -500;
  config.linux.devices = {{.type = "c", .path = "/dev/fuse", .major = 10, .minor = 229}};
  sys::Host host = kNewHost;
  host.uid = host.gid = 0;
  host.initial_user_namespace = host.may_set_groups = false;
  expect_golden("foreign_user_namespace", config, host);
}

TEST(Golden, EveryAttributeOfAProcess) {
  oci::Config config = default_config();
  config.process.scheduler =
      oci::Scheduler{.policy = "SCHED_FIFO", .priority = 5, .flags = {"SCHED_FLAG_RESET_ON_FORK"}};
  config.process.io_priority = oci::IoPriority{"IOPRIO_CLASS_RT", 3};
  config.process.apparmor_profile = "docker-default";
  config.linux.personality = oci::Personality{"LINUX32", {}};
  config.linux.memory_policy = oci::MemoryPolicy{"MPOL_BIND", "0,2-3", {}};
  config.linux.net_devices = {{"eth1", {"net%d"}}, {"eth2", {}}};
  config.linux.intel_rdt = oci::IntelRdt{.clos_id = "gold"};
  config.mounts.push_back({.destination = "/data", .type = "bind", .source = "/data", .options = {"rbind", "ridmap"}});
  config.mounts.push_back({.destination = "/data", .type = "", .source = "", .options = {"remount", "bind", "ro"}});
  config.process.capabilities->effective.push_back("CAP_OF_TOMORROW");
  expect_golden("attributes", config, kNewHost, {.bundle = "/run/c", .id = "c", .session_keyring = "_ses.c"});
}

TEST(Golden, ExecWithEverything) {
  oci::Config config = default_config();
  config.process.oom_score_adj = 5;
  config.process.apparmor_profile = "p";
  config.process.exec_cpu_affinity = oci::ExecCpuAffinity{"0", "1-2"};
  expect_golden("exec_attributes", plan_exec(config.process, kNewHost, {.bundle = "/run/c"}));
}

TEST(Golden, Exec) {
  oci::Config config = default_config();
  config.process.user = {.uid = 5, .gid = 6, .additional_gids = {7}};
  expect_golden("exec", plan_exec(config.process, kNewHost, {.bundle = "/run/c", .can_set_groups = false}));
}

TEST(Golden, ExecWithTerminal) {
  oci::Config config = default_config();
  config.process.terminal = true;
  expect_golden("exec_terminal", plan_exec(config.process, kNewHost, {.bundle = "/run/c"}));
}

TEST(Plan, RefusesWhatItCannotDo) {
  const auto error_of = [](const oci::Config& config) {
    const Result<Plan> planned = plan(config, kNewHost, {.bundle = "/run/c"});
    return planned.ok() ? "no error" : planned.error().to_string();
  };
  oci::Config config = default_config();
  config.process.args.clear();
  EXPECT_EQ(error_of(config), "process.args: no command given");
  config = default_config();
  config.process.rlimits = {{.type = "RLIMIT_FUN", .hard = 1, .soft = 1}};
  EXPECT_EQ(error_of(config), "process.rlimits[0].type: unknown limit RLIMIT_FUN");
  config = default_config();
  config.mounts[0] = {.destination = "/", .type = "bind", .source = "/x", .options = {"bind"}};
  EXPECT_EQ(error_of(config), "mounts: a bind mount over / is not supported; set root.path instead");
  config = default_config();
  config.process.selinux_label = "l";
  EXPECT_EQ(error_of(config), "process.selinuxLabel: SELinux is not enabled on this host");
}

TEST(Plan, MoreMountsThanSlotsArePreparedInTheirTurn) {
  oci::Config config = default_config();
  for (int i = 0; i < 200; ++i) {
    config.mounts.push_back({.destination = cat("/m", i), .type = "bind", .source = "/x", .options = {"bind"}});
  }
  const Result<Plan> planned = plan(config, kNewHost, {.bundle = "/run/c"});
  ASSERT_TRUE(planned.ok());
  // Between a slot's filling and its attaching nobody else may use it.
  bool full[kSlots] = {};
  for (const Step& step : planned->steps) {
    if (const auto* bind = std::get_if<PrepareBind>(&step)) {
      EXPECT_FALSE(std::exchange(full[bind->slot], true));
    } else if (const auto* mount = std::get_if<PrepareMount>(&step)) {
      EXPECT_FALSE(std::exchange(full[mount->slot], true));
    } else if (const auto* device = std::get_if<PrepareDevice>(&step)) {
      EXPECT_FALSE(std::exchange(full[device->slot], true));
    } else if (const auto* attach = std::get_if<Attach>(&step)) {
      EXPECT_TRUE(std::exchange(full[attach->slot], false));
    }
  }
  for (const bool still : full) EXPECT_FALSE(still);
}

TEST(Plan, PathFromTheEnvironmentDecidesWhereACommandIsLookedFor) {
  const auto candidates = [](std::vector<std::string> env, std::string program) {
    oci::Config config = default_config();
    config.process.env = std::move(env);
    config.process.args = {std::move(program)};
    const Result<Plan> planned = plan(config, kNewHost, {.bundle = "/run/c"});
    std::string out;
    for (const char* one : std::get<Exec>(planned->steps.back()).candidates) out += cat(one, " ");
    return out;
  };
  EXPECT_EQ(candidates({"PATH=/a:/b"}, "sh"), "/a/sh /b/sh ");
  EXPECT_EQ(candidates({"PATH=/a:"}, "sh"), "/a/sh sh ");
  EXPECT_EQ(candidates({"PATH=/a"}, "./sh"), "./sh ");
  EXPECT_EQ(candidates({}, "sh"), "/usr/local/sbin/sh /usr/local/bin/sh /usr/sbin/sh /usr/bin/sh /sbin/sh /bin/sh ");
}

}  // namespace
}  // namespace moss::runtime
