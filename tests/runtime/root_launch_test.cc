// What only the machine's root can do: containers without a user namespace, as containerd and Docker ask for them.
#include <sched.h>
#include <sys/mount.h>

#include "launch_fixture.hh"

namespace moss::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RootLaunch : public LaunchBase {
 protected:
  void SetUp() override {
    LaunchBase::SetUp();
    if (!IsSkipped() && !host_.is_real_root()) GTEST_SKIP() << "only the machine's root may";
  }
  oci::Config as_root(std::vector<std::string> command) const {
    oci::Config c = config(std::move(command));
    erase_namespace(c, "user");
    c.linux.uid_mappings.clear();
    c.linux.gid_mappings.clear();
    return c;
  }
  std::string refusal_of(const oci::Config& c) {
    const Result<Plan> made = plan(c, host_, {.bundle = root()});
    if (!made.ok()) return made.error().to_string();
    return error_of(launch(*made, {}));
  }
};

TEST_F(RootLaunch, DevicesAreMadeWithTheirModesAndOwners) {
  oci::Config c = as_root({"nodes", "/dev/null", "/dev/full", "/dev/fuse", "/dev/loop7", "/dev/pipe", "/dev/ptmx"});
  c.linux.devices = {
      {.type = "c", .path = "/dev/fuse", .major = 10, .minor = 229, .file_mode = 020640, .uid = 5, .gid = 6},
      {.type = "b", .path = "/dev/loop7", .major = 7, .minor = 7, .file_mode = 0600},
      {.type = "p", .path = "/dev/pipe", .file_mode = 0604, .uid = 7, .gid = 8}};
  EXPECT_EQ(output_of(c),
            "/dev/null: device 1:3 mode 666 owner 0:0\n/dev/full: device 1:7 mode 666 owner 0:0\n"
            "/dev/fuse: device 10:229 mode 640 owner 5:6\n/dev/loop7: block device 7:7 mode 600 owner 0:0\n"
            "/dev/pipe: fifo 0:0 mode 604 owner 7:8\n/dev/ptmx: link 0:0 mode 777 owner 0:0\n");
}

TEST_F(RootLaunch, WhatStandsThereMustBeThatDevice) {
  oci::Config c = as_root({"nodes", "/devices/one"});
  make_dir(path("rootfs/devices"));
  ASSERT_EQ(::mknod(path("rootfs/devices/one").c_str(), S_IFCHR | 0600, 0x103), 0);
  c.linux.devices = {{.type = "c", .path = "/devices/one", .major = 1, .minor = 3}};
  EXPECT_THAT(output_of(c), StartsWith("/devices/one: device 1:3"));
  c.linux.devices[0].minor = 5;
  EXPECT_THAT(refusal_of(c), HasSubstr("make device /devices/one 1:5, mode 666, owner 0:0: File exists"));
}

TEST_F(RootLaunch, ADevThatIsALinkLeadsNowhereOutside) {
  make_dir(path("victim"));
  ASSERT_EQ(::symlink(path("victim").c_str(), path("rootfs/dev").c_str()), 0);
  oci::Config c = as_root({"exit", "0"});
  std::erase_if(c.mounts, [](const oci::Mount& mount) { return mount.destination.starts_with("/dev"); });
  // Inside, the link leads nowhere: there is nothing to make a device in.
  EXPECT_THAT(refusal_of(c), HasSubstr("make device /dev/null 1:3, mode 666, owner 0:0: No such file or directory"));
  EXPECT_THAT(*sys::list_dir(path("victim")), ::testing::IsEmpty());
}

TEST_F(RootLaunch, CgroupsAreShownAsTheHostHasThem) {
  if (host_.cgroup_trees.empty()) GTEST_SKIP() << "no cgroup v1 here";
  oci::Config c = as_root({"mkdir", "/sys/fs/cgroup/memory/made"});
  c.mounts.push_back({.destination = "/sys/fs/cgroup",
                      .type = "cgroup",
                      .source = "cgroup",
                      .options = {"nosuid", "noexec", "nodev", "relatime", "ro"}});
  EXPECT_EQ(output_of(c), "mkdir Read-only file system\n");
  c.process.args = {"/probe", "nodes", "/sys/fs/cgroup/memory/tasks", "/sys/fs/cgroup/pids/tasks"};
  EXPECT_THAT(output_of(c), Not(HasSubstr("No such file")));
  // Without a cgroup namespace of its own: the host's, and never writable.
  erase_namespace(c, "cgroup");
  std::erase(c.mounts.back().options, "ro");
  c.process.args = {"/probe", "mkdir", "/sys/fs/cgroup/memory/made"};
  EXPECT_EQ(output_of(c), "mkdir Read-only file system\n");
}

TEST_F(RootLaunch, JoinsByPathWithoutAUserNamespace) {
  const Plan p = planned(as_root({"namespaces-and-wait"}));
  Result<Launched> first = [&] {
    const Fd out(::open(path("first").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return launch(p, {.stdout_fd = out.get()});
  }();
  ASSERT_TRUE(first.ok()) << error_of(first);
  wait_for_text(path("first"), "cgroup ");
  oci::Config c = as_root({"namespaces"});
  c.hostname.clear();
  for (const auto& [type, file] : {std::pair("network", "net"), {"ipc", "ipc"}, {"uts", "uts"}, {"pid", "pid"}}) {
    for (oci::Namespace& entry : c.linux.namespaces) {
      if (entry.type == type) entry.path = cat("/proc/", first->init.pid(), "/ns/", file);
    }
  }
  const std::string theirs = read(path("first"));
  const std::string ours = output_of(c);
  for (const char* name : {"net ", "ipc ", "uts ", "pid "}) {
    const size_t at = theirs.find(std::string("\n") + name);
    EXPECT_THAT(ours, HasSubstr(theirs.substr(at, theirs.find('\n', at + 1) - at)));
  }
}

TEST_F(RootLaunch, AnIdmappedMountShowsOtherOwners) {
  make_dir(path("data"));
  write(path("data/file"), "x");
  ASSERT_EQ(::chown(path("data/file").c_str(), 5, 6), 0);
  oci::Config c = as_root({"nodes", "/data/file"});
  c.mounts.push_back({.destination = "/data",
                      .type = "bind",
                      .source = path("data"),
                      .options = {"rbind", "idmap"},
                      .uid_mappings = {{0, 1000, 100}},
                      .gid_mappings = {{0, 2000, 100}}});
  const std::string seen = output_of(c);
  if (seen.find("map the ids of") != std::string::npos) GTEST_SKIP() << seen;
  EXPECT_EQ(seen, "/data/file: file 0:0 mode 644 owner 1005:2006\n");
}

TEST_F(RootLaunch, ASharedMountReachesTheHost) {
  // In a mount namespace of the test's own, which stands for the host's.
  Result<sys::Child> host = sys::fork_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 10;
    make_dir(path("data"));
    if (::mount("tmpfs", path("data").c_str(), "tmpfs", 0, nullptr) != 0) return 11;
    if (::mount(nullptr, path("data").c_str(), nullptr, MS_SHARED, nullptr) != 0) return 12;
    const std::string host_line = *sys::read_kernel_file("/proc/self/mountinfo");
    oci::Config c = as_root({"files", "/proc/self/mountinfo"});
    c.mounts.push_back(
        {.destination = "/data", .type = "bind", .source = path("data"), .options = {"rbind", "rshared"}});
    const std::string seen = output_of(c);
    const auto group = [](const std::string& text, const std::string& place) {
      const size_t at = text.find(" " + place + " ");
      const size_t shared = text.find("shared:", at);
      return at == std::string::npos || shared == std::string::npos
                 ? ""
                 : text.substr(shared, text.find(' ', shared) - shared);
    };
    return group(seen, "/data") == group(host_line, path("data")) && !group(seen, "/data").empty() ? 0 : 13;
  });
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->wait()->shell_code(), 0);
}

TEST_F(RootLaunch, AnInterfaceMovesWithItsAddresses) {
  const std::optional<std::string> ip = sys::find_program("ip");
  if (!ip) GTEST_SKIP() << "no ip; apt install iproute2";
  write(path("seen"), "");
  // In a network namespace of the test's own, which stands for the host's.
  Result<sys::Child> host = sys::fork_child([&] {
    if (::unshare(CLONE_NEWNET) != 0) return 10;
    for (const char* arguments : {"link add here7 type veth peer name here8", "addr add 10.9.8.7/24 dev here7",
                                  "addr add 169.254.9.9/16 scope link dev here7", "link set here7 mtu 1400 up"}) {
      std::vector<std::string> argv{*ip};
      for (const std::string_view word : split(arguments, ' ')) argv.emplace_back(word);
      Result<sys::Child> child = sys::spawn(argv, {});
      if (!child.ok() || !child->wait()->ok()) return 11;
    }
    oci::Config c = as_root({"files", "/proc/net/fib_trie", "/sys/class/net/net0/flags", "/sys/class/net/net0/mtu"});
    c.linux.net_devices = {{"here7", {"net%d"}}};
    write(path("seen"), output_of(c));
    c.linux.net_devices = {{"here7", {}}};
    const std::string gone = refusal_of(c);
    // Its peer goes with the container's network namespace, which the kernel takes apart in its own time.
    c.linux.net_devices = {{"here8", {"lo"}}};
    std::string peer_gone = refusal_of(c);
    for (int i = 0; i < 200 && peer_gone.find("find it on the host") == std::string::npos; ++i) {
      ::usleep(50'000);
      peer_gone = refusal_of(c);
    }
    write(path("refusals"), cat(gone, "\n", peer_gone));
    return 0;
  });
  ASSERT_TRUE(host.ok());
  ASSERT_EQ(host->wait()->shell_code(), 0);
  EXPECT_THAT(read(path("seen")), HasSubstr("10.9.8.7"));
  EXPECT_THAT(read(path("seen")), Not(HasSubstr("169.254.9.9")));
  EXPECT_THAT(read(path("seen")), HasSubstr("\n0x1003\n1400\n"));
  EXPECT_EQ(read(path("refusals")),
            "linux.netDevices.here7: find it on the host: No such device\n"
            "linux.netDevices.here8: find it on the host: No such device");
}

TEST_F(RootLaunch, CapabilitiesAndGroupsAreThoseOfTheConfig) {
  oci::Config c = as_root({"process"});
  c.process.user = {.uid = 5, .gid = 6, .umask = 0022, .additional_gids = {7}};
  c.process.capabilities = oci::Capabilities{.bounding = {"CAP_CHOWN", "CAP_KILL"},
                                             .effective = {"CAP_KILL"},
                                             .inheritable = {"CAP_KILL"},
                                             .permitted = {"CAP_KILL"},
                                             .ambient = {"CAP_KILL"}};
  const std::string seen = output_of(c);
  EXPECT_THAT(seen, StartsWith("pid 1\nids 5:6\ngroups 7\n"));
  EXPECT_THAT(seen, HasSubstr("CapInh:\t0000000000000020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\n"
                              "CapBnd:\t0000000000000021\nCapAmb:\t0000000000000020\n"));
}

}  // namespace
}  // namespace moss::runtime
