// Real cgroups from beginning to end, with whatever this machine has: v1 as root, v2 as root or where it is delegated,
// and systemd where it runs. Each test makes containers of its own, named moss-test-…, and leaves nothing.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "moss/runtime/cgroup.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "runtime/cgroup/folders.hh"

namespace moss::runtime {
namespace {

using testing::Contains;
using testing::HasSubstr;

constexpr uint64_t kIntoCgroup = 0x200000000;  // CLONE_INTO_CGROUP

struct CloneArguments {
  uint64_t flags = 0, pidfd = 0, child_tid = 0, parent_tid = 0, exit_signal = SIGCHLD, stack = 0, stack_size = 0,
           tls = 0, set_tid = 0, set_tid_size = 0, cgroup = 0;
};

// A child that runs `body`, born in `cgroup` unless that is -1.
sys::Child start(const std::function<int()>& body, int cgroup = -1) {
  CloneArguments arguments;
  if (cgroup >= 0) {
    arguments.flags = kIntoCgroup;
    arguments.cgroup = static_cast<uint64_t>(cgroup);
  }
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  if (pid == 0) ::_exit(body());
  EXPECT_GT(pid, 0) << std::strerror(errno);
  return sys::Child(pid);
}

// How long a busy machine may take for what a quick one does at once.
constexpr int kPatienceMs = 20'000;

int sleep_for_ever() {
  while (true) ::pause();
}

// Waits until the other end of a pipe has written or gone.
struct Gate {
  Fd reader, writer;
  Gate() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    reader.reset(fds[0]);
    writer.reset(fds[1]);
  }
  void open() { EXPECT_EQ(::write(writer.get(), "x", 1), 1); }
  void wait() const {
    char byte;
    (void)!::read(reader.get(), &byte, 1);
  }
};

class CgroupLife : public testing::TestWithParam<CgroupManager> {
 protected:
  void SetUp() override {
    host_ = probe_cgroups(sys::probe_host().value(), true).value();
    const bool systemd = GetParam() == CgroupManager::systemd;
    if (systemd && !host_.systemd) GTEST_SKIP() << "systemd does not run here";
    if (systemd && host_.ordinary && host_.mode != sys::CgroupMode::v2)
      GTEST_SKIP() << "no cgroup v2 for the user's systemd";
    const oci::Config probe = config("{}");
    const auto plan = plan_cgroup(probe, host_, options());
    ASSERT_TRUE(plan.ok()) << plan.error().to_string();
    if (plan->empty()) GTEST_SKIP() << "no cgroup is delegated to the caller";
  }

  CgroupOptions options() const {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = cat("moss-test-", ::getpid(), '-', std::string_view(test->name()).substr(0, 20));
    std::replace(name.begin(), name.end(), '/', '-');
    return {.id = name, .manager = GetParam(), .rootless = false, .uids = {}};
  }

  oci::Config config(std::string_view resources) const {
    oci::Config config;
    config.linux.resources = oci::decode_resources(resources).value();
    return config;
  }

  // Whether the controller can be had at all: the guest, say, has no cpuset.
  bool has(std::string_view controller) const {
    if (host_.v2 && host_.mode == sys::CgroupMode::v2) {
      const std::string all = read_control(host_.v2->mount, "cgroup.controllers").value();
      return cat(' ', all, ' ').find(cat(' ', controller, ' ')) != std::string::npos;
    }
    for (const CgroupTree& tree : host_.v1) {
      for (const std::string& name : tree.controllers) {
        if (name == controller) return true;
      }
    }
    return false;
  }

  // A cgroup with one process that runs `body` once it is in it.
  struct Container {
    Cgroup cgroup;
    sys::Child init;
  };
  Result<Container> create(std::string_view resources, const std::function<int()>& body = sleep_for_ever) {
    CgroupPlan plan = TRY(plan_cgroup(config(resources), host_, options()));
    Cgroup cgroup = TRY(Cgroup::prepare(std::move(plan)));
    const Gate gate;
    sys::Child init = start(
        [&] {
          gate.wait();
          return body();
        },
        cgroup.clone_fd());
    Container container{std::move(cgroup), std::move(init)};
    TRY(container.cgroup.enter(container.init.pid()));
    const_cast<Gate&>(gate).open();
    return container;
  }

  // A limit's value, from the file of the version that is here.
  std::string value(const CgroupRecord& record, const std::string& v1, const std::string& v2) const {
    for (const auto& [key, folder] : record.folders) {
      const std::string& file = host_.mode == sys::CgroupMode::v2 ? v2 : v1;
      const auto text = read_control_if_exists(folder, file);
      if (text.ok() && *text) return **text;
    }
    return "no such file";
  }

  static void expect_gone(const CgroupRecord& record) {
    for (const auto& [key, folder] : record.folders) EXPECT_FALSE(folder_exists(folder)) << folder;
  }

  // Ends the container and removes its cgroup, as `delete --force` does.
  static void end(Container& container) {
    const CgroupRecord record = container.cgroup.keep();
    const Result<Ok> killed = kill_cgroup(record, SIGKILL);
    EXPECT_TRUE(killed.ok()) << killed.error().to_string();
    (void)container.init.wait();
    const Result<Ok> removed = remove_cgroup(record);
    EXPECT_TRUE(removed.ok()) << removed.error().to_string();
    expect_gone(record);
  }

  CgroupHost host_;
};

#define ASSERT_OK(result) ASSERT_TRUE((result).ok()) << (result).error().to_string()

TEST_P(CgroupLife, TheProcessIsInItAndItIsGoneAfterwards) {
  auto container = create("{}");
  ASSERT_OK(container);
  EXPECT_THAT(cgroup_processes(container->cgroup.record()).value(), Contains(container->init.pid()));
  end(*container);
  // Twice is once.
  EXPECT_TRUE(remove_cgroup(container->cgroup.record()).ok());
}

TEST_P(CgroupLife, LimitsAreInTheFiles) {
  auto container = create(R"({"memory": {"limit": 67108864}, "pids": {"limit": 17},
                              "cpu": {"shares": 512, "quota": 20000, "period": 50000}})");
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  EXPECT_EQ(value(record, "memory.limit_in_bytes", "memory.max"), "67108864");
  EXPECT_EQ(value(record, "pids.max", "pids.max"), "17");
  EXPECT_EQ(value(record, "cpu.shares", "cpu.weight"), host_.mode == sys::CgroupMode::v2 ? "59" : "512");
  EXPECT_THAT(value(record, "cpu.cfs_quota_us", "cpu.max"), HasSubstr("20000"));
  end(*container);
}

TEST_P(CgroupLife, UpdateChangesWhatIsAskedAndNothingElse) {
  auto container =
      create(R"({"memory": {"limit": 67108864}, "pids": {"limit": 17}, "cpu": {"quota": 20000, "period": 50000}})");
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  const auto update = [&](std::string_view json) { return update_cgroup(record, oci::decode_resources(json).value()); };
  Result<Ok> updated = update(R"({"memory": {"limit": 134217728}, "cpu": {"quota": 30000}})");
  ASSERT_OK(updated);
  EXPECT_EQ(value(record, "memory.limit_in_bytes", "memory.max"), "134217728");
  EXPECT_EQ(value(record, "pids.max", "pids.max"), "17");
  EXPECT_EQ(value(record, "cpu.cfs_quota_us", "cpu.max"), host_.mode == sys::CgroupMode::v2 ? "30000 50000" : "30000");
  updated = update(R"({"pids": {"limit": -1}})");
  ASSERT_OK(updated);
  EXPECT_EQ(value(record, "pids.max", "pids.max"), "max");
  end(*container);
}

TEST_P(CgroupLife, UpdateRefusesLessMemoryThanIsUsedWhereItIsToldTo) {
  auto container = create(R"({"memory": {"limit": 67108864}})", [] {
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 16u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(memory, 1, 16u << 20);
    // Not to be pushed out, and not to swap.
    ::mlock(memory, 16u << 20);
    return sleep_for_ever();
  });
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  while (cgroup_stats(record).value().memory.usage.usage < 16u << 20) ::usleep(1000);
  const Result<Ok> updated = update_cgroup(
      record, oci::decode_resources(R"({"memory": {"limit": 1048576, "checkBeforeUpdate": true}})").value());
  ASSERT_FALSE(updated.ok());
  EXPECT_THAT(updated.error().to_string(), HasSubstr("linux.resources.memory.limit"));
  end(*container);
}

TEST_P(CgroupLife, FreezingStopsEverybodyAndThawingGoesOn) {
  int* counter = static_cast<int*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  auto container = create("{}", [=] {
    for (volatile int* count = counter;; ::usleep(100)) *count = *count + 1;
    return 0;
  });
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  const auto moves_within = [&](int ms) {
    const int before = *static_cast<volatile int*>(counter);
    for (int i = 0; i < ms && *static_cast<volatile int*>(counter) == before; ++i) ::usleep(1000);
    return *static_cast<volatile int*>(counter) != before;
  };
  EXPECT_TRUE(moves_within(kPatienceMs));
  EXPECT_FALSE(is_cgroup_frozen(record).value());
  const Result<Ok> frozen = freeze_cgroup(record);
  ASSERT_OK(frozen);
  EXPECT_TRUE(is_cgroup_frozen(record).value());
  EXPECT_FALSE(moves_within(200));
  const Result<Ok> thawed = thaw_cgroup(record);
  ASSERT_OK(thawed);
  EXPECT_FALSE(is_cgroup_frozen(record).value());
  EXPECT_TRUE(moves_within(kPatienceMs));
  // A frozen container can be killed.
  ASSERT_TRUE(freeze_cgroup(record).ok());
  end(*container);
  ::munmap(counter, 4096);
}

TEST_P(CgroupLife, KillMeetsEveryProcessOfAForkingContainer) {
  auto container = create("{}", [] {
    for (int i = 0; i < 20; ++i) {
      if (::fork() == 0) {
        ::setsid();
        return sleep_for_ever();
      }
    }
    return sleep_for_ever();
  });
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  while (cgroup_processes(record).value().size() < 21) ::usleep(1000);
  // A signal that nobody dies of leaves everybody.
  ASSERT_TRUE(kill_cgroup(record, SIGWINCH).ok());
  EXPECT_EQ(cgroup_processes(record).value().size(), 21u);
  const Result<Ok> killed = kill_cgroup(record, SIGTERM);
  ASSERT_OK(killed);
  for (int i = 0; i < kPatienceMs && cgroup_processes(record).value().size() > 1; ++i) ::usleep(1000);
  // The first is ours to reap; a zombie may still be listed.
  EXPECT_LE(cgroup_processes(record).value().size(), 1u);
  end(*container);
}

TEST_P(CgroupLife, ALostCgroupIsCleanedUp) {
  CgroupRecord record;
  {
    auto container = create("{}");
    ASSERT_OK(container);
    record = container->cgroup.record();
    // Child and cgroup both go out of scope, the process last: the cgroup ends it.
    container->init.release();
  }
  expect_gone(record);
  while (::waitpid(-1, nullptr, 0) > 0) continue;
}

TEST_P(CgroupLife, WhatTheContainerMadeBelowGoesToo) {
  auto container = create("{}");
  ASSERT_OK(container);
  for (const auto& [key, folder] : container->cgroup.record().folders) {
    ASSERT_EQ(::mkdir(below(folder, "a").c_str(), 0755), 0);
    ASSERT_EQ(::mkdir(below(folder, "a/b").c_str(), 0755), 0);
  }
  end(*container);
}

TEST_P(CgroupLife, AFolderInUseIsRefused) {
  auto first = create("{}");
  ASSERT_OK(first);
  const auto second = create("{}");
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(cgroup_processes(first->cgroup.record()).value(), Contains(first->init.pid()));
  end(*first);
}

TEST_P(CgroupLife, AFrozenFolderIsRefused) {
  if (GetParam() == CgroupManager::systemd) GTEST_SKIP() << "systemd makes its own";
  auto first = create("{}");
  ASSERT_OK(first);
  const CgroupRecord record = first->cgroup.keep();
  ASSERT_TRUE(kill_cgroup(record, SIGKILL).ok());
  (void)first->init.wait();
  for (int i = 0; i < kPatienceMs && !cgroup_processes(record).value().empty(); ++i) ::usleep(1000);
  ASSERT_TRUE(freeze_cgroup(record).ok());
  const auto second = create("{}");
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().to_string(), HasSubstr("frozen"));
  // It was not this one that made it.
  EXPECT_TRUE(folder_exists(record.folders.begin()->second));
  EXPECT_TRUE(remove_cgroup(record).ok());
  expect_gone(record);
}

TEST_P(CgroupLife, TheContainersRootOwnsWhatItWasGiven) {
  if (host_.ordinary || host_.mode != sys::CgroupMode::v2) GTEST_SKIP() << "needs root and cgroup v2";
  oci::Config given = config("{}");
  given.linux.namespaces = {{.type = "user", .path = {}}, {.type = "cgroup", .path = {}}};
  given.linux.uid_mappings = {{.inside = 0, .outside = 100000, .count = 65536}};
  given.mounts = {{.destination = "/sys/fs/cgroup",
                   .type = "cgroup",
                   .source = "cgroup",
                   .options = {},
                   .uid_mappings = {},
                   .gid_mappings = {}}};
  auto cgroup = Cgroup::prepare(plan_cgroup(given, host_, options()).value());
  ASSERT_OK(cgroup);
  sys::Child init = start(sleep_for_ever, cgroup->clone_fd());
  const Result<Ok> entered = cgroup->enter(init.pid());
  ASSERT_OK(entered);
  const std::string& folder = cgroup->record().folders.at("");
  const auto owner = [&](const std::string& file) {
    struct stat status{};
    EXPECT_EQ(::stat(below(folder, file).c_str(), &status), 0);
    return status.st_uid;
  };
  EXPECT_EQ(owner(""), 100000u);
  EXPECT_EQ(owner("cgroup.procs"), 100000u);
  EXPECT_EQ(owner("cgroup.subtree_control"), 100000u);
  EXPECT_EQ(owner("memory.max"), 0u);
}

TEST_P(CgroupLife, ALimitTheKernelRefusesIsNamedAndNothingIsLeft) {
  if (!has("cpuset")) GTEST_SKIP() << "no cpuset controller";
  const CgroupPlan plan = plan_cgroup(config(R"({"cpu": {"cpus": "4095"}})"), host_, options()).value();
  const auto container = create(R"({"cpu": {"cpus": "4095"}})");
  ASSERT_FALSE(container.ok());
  EXPECT_THAT(container.error().to_string(),
              HasSubstr(GetParam() == CgroupManager::systemd ? "cpus" : "linux.resources.cpu.cpus"));
  expect_gone(plan.record);
}

TEST_P(CgroupLife, ExecJoins) {
  auto container = create("{}");
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  auto cgroup = open_exec_cgroup(record, container->init.pid(), "");
  ASSERT_OK(cgroup);
  sys::Child child = start(sleep_for_ever, cgroup->clone_fd.get());
  const Result<Ok> entered = enter_exec_cgroup(*cgroup, child.pid());
  ASSERT_OK(entered);
  EXPECT_THAT(cgroup_processes(record).value(), Contains(child.pid()));
  child.kill_and_reap();
  end(*container);
}

TEST_P(CgroupLife, ExecJoinsASubgroupButNeverWhatIsAbove) {
  auto container = create("{}");
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  for (const auto& [key, folder] : record.folders) ASSERT_EQ(::mkdir(below(folder, "part").c_str(), 0755), 0);
  EXPECT_TRUE(open_exec_cgroup(record, container->init.pid(), "/part").ok());
  EXPECT_FALSE(open_exec_cgroup(record, container->init.pid(), "other").ok());
  EXPECT_THAT(open_exec_cgroup(record, container->init.pid(), "../x").error().to_string(), HasSubstr("\"..\""));
  end(*container);
}

TEST_P(CgroupLife, StatsCountWhatIsUsed) {
  auto container = create(R"({"pids": {"limit": 17}, "memory": {"limit": 67108864}})", [] {
    auto* memory =
        static_cast<char*>(::mmap(nullptr, 8u << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    std::memset(memory, 1, 8u << 20);
    for (int i = 0; i < 200'000; ++i) (void)::getppid();
    return sleep_for_ever();
  });
  ASSERT_OK(container);
  const CgroupRecord& record = container->cgroup.record();
  auto stats = cgroup_stats(record);
  ASSERT_OK(stats);
  // Memory is counted in batches.
  for (int i = 0; i < 5000 && (stats->cpu.total_ns < 1'000'000 || stats->memory.usage.usage < 4u << 20); ++i) {
    ::usleep(1000);
    stats = cgroup_stats(record);
  }
  EXPECT_GE(stats->cpu.total_ns, 1'000'000u);
  EXPECT_EQ(stats->pids.current, 1u);
  EXPECT_EQ(stats->pids.limit, 17u);
  EXPECT_EQ(stats->memory.usage.limit, 67108864u);
  EXPECT_GE(stats->memory.usage.usage, 4u << 20);
  EXPECT_FALSE(stats->memory.raw.empty());
  end(*container);
  EXPECT_EQ(cgroup_stats(record).error().code(), ENOENT);
}

TEST_P(CgroupLife, RunningOutOfMemoryIsToldAndCounted) {
  const Gate go;
  auto container = create(R"({"memory": {"limit": 8388608, "swap": 8388608}})", [&] {
    if (::fork() == 0) {
      go.wait();
      constexpr size_t kSize = 64u << 20;
      auto* memory =
          static_cast<char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      for (size_t i = 0; i < kSize; i += 4096) memory[i] = 1;
      return 0;
    }
    int status = 0;
    ::wait(&status);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 1;
    return sleep_for_ever();
  });
  // This machine may not count swap.
  if (!container.ok() && container.error().to_string().find("swap") != std::string::npos)
    GTEST_SKIP() << container.error().to_string();
  ASSERT_OK(container);
  auto watch = OomWatch::open(container->cgroup.record());
  ASSERT_OK(watch);
  bool gone = false;
  EXPECT_EQ(watch->take(gone).value(), 0u);
  const_cast<Gate&>(go).open();
  uint64_t kills = 0;
  for (int i = 0; i < 50 && kills == 0 && !gone; ++i) {
    pollfd ready{.fd = watch->fd(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&ready, 1, 5000), 1);
    kills = watch->take(gone).value();
  }
  EXPECT_GE(kills, 1u);
  EXPECT_FALSE(gone);
  const auto counted = [&] { return cgroup_stats(container->cgroup.record()).value().memory.oom_kills; };
  for (int i = 0; i < kPatienceMs && counted() == 0; ++i) ::usleep(1000);
  EXPECT_GE(counted(), 1u);
  end(*container);
}

TEST_P(CgroupLife, ADeviceThatIsNotAllowedCannotBeOpened) {
  if (host_.ordinary) GTEST_SKIP() << "an ordinary user cannot give device rules";
  auto container = create(R"({"devices": [{"allow": false, "access": "rwm"}]})", [] {
    const bool null_opens = ::open("/dev/null", O_RDWR | O_CLOEXEC) >= 0;
    const std::string node = cat("/dev/moss-test-device-", ::getpid());
    const bool made = ::mknod(node.c_str(), S_IFCHR | 0600, ::makedev(1, 1)) == 0;
    const bool memory_opens = made && ::open(node.c_str(), O_RDONLY | O_CLOEXEC) >= 0;
    const int why = errno;
    ::unlink(node.c_str());
    if (!null_opens) return 1;
    if (!made) return 2;
    return memory_opens ? 3 : why == EPERM ? 0 : 4;
  });
  ASSERT_OK(container);
  EXPECT_EQ(container->init.wait().value().code, 0);
  end(*container);
}

std::string manager_name(const testing::TestParamInfo<CgroupManager>& info) {
  return info.param == CgroupManager::systemd ? "Systemd" : "Cgroupfs";
}
INSTANTIATE_TEST_SUITE_P(Real, CgroupLife, testing::Values(CgroupManager::cgroupfs, CgroupManager::systemd),
                         manager_name);

TEST(CgroupHostProbe, OfAnOrdinaryUserWhoAsksForNothingIsShort) {
  if (::geteuid() == 0) GTEST_SKIP() << "root is told everything";
  const sys::Host host = sys::probe_host().value();
  const Result<CgroupHost> found = probe_cgroups(host, false);
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->ordinary);
  if (host.cgroups != sys::CgroupMode::v2) {
    EXPECT_EQ(found->mode, sys::CgroupMode::none);
  }
}

}  // namespace
}  // namespace moss::runtime
