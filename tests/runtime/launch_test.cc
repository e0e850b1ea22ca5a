// Launches on the real kernel, as whoever runs the tests, with the one id everybody may map.
#include "moss/runtime/launch.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launch_fixture.hh"

namespace moss::runtime {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Launch = LaunchBase;

TEST_F(Launch, TheExitCodeOrSignalComesBack) {
  for (const int code : {0, 1, 42, 255}) {
    const Plan p = planned(config({"exit", std::to_string(code)}));
    Result<Launched> launched = launch(p, {});
    ASSERT_TRUE(launched.ok()) << error_of(launched);
    EXPECT_GE(launched->init.pidfd(), 0);
    EXPECT_FALSE(launched->terminal);
    EXPECT_EQ(launched->init.wait()->shell_code(), code);
  }
  EXPECT_EQ(output_of(config({"unknown"})), "ended with 99\n");
}

TEST_F(Launch, TheWorkloadIsRootWithTheGivenCapabilitiesAndNothingElse) {
  oci::Config c = config({"process"});
  c.process.cwd = "/work";
  c.process.user.umask = 0027;
  c.process.no_new_privileges = true;
  sigset_t blocked;
  ::sigfillset(&blocked);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  const Fd leaked(::open("/etc/passwd", O_RDONLY));  // NOLINT: open across execve on purpose
  const std::string seen = output_of(c);
  ::sigemptyset(&blocked);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  // The caller's groups stay in a map of one id: their number is the machine's.
  const size_t groups = seen.find("groups");
  ASSERT_NE(groups, std::string::npos) << seen;
  EXPECT_EQ(seen.substr(0, groups), "pid 1\nids 0:0\n");
  EXPECT_EQ(seen.substr(seen.find('\n', groups) + 1),
            "hostname box\ncwd /work\numask 027\nleads its session 1\nSigBlk:\t0000000000000000\n"
            "CapInh:\t0000000000000000\nCapPrm:\t00000000800405fb\nCapEff:\t00000000800405fb\n"
            "CapBnd:\t00000000800405fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\n");
}

TEST_F(Launch, OnlyAskedForDescriptorsStayOpen) {
  const Fd three(::open("/etc/passwd", O_RDONLY));  // NOLINT: open across execve on purpose
  const Fd four(::open("/etc/passwd", O_RDONLY));   // NOLINT
  ASSERT_LE(three.get(), 8);
  const std::string seen = output_of(config({"process"}), {.preserve_fds = static_cast<uint32_t>(three.get() - 2)});
  EXPECT_THAT(seen, HasSubstr(cat("descriptor ", three.get(), " is open\n")));
  EXPECT_THAT(seen, Not(HasSubstr(cat("descriptor ", four.get(), " is open\n"))));
}

TEST_F(Launch, EnvironmentAndArgumentsArriveWhole) {
  oci::Config c = config({"environment", "a b", ""});
  c.process.env = {"A=1", "B=x=y z", "PATH=/", "HOME=/x"};
  c.process.args[0] = "probe";
  EXPECT_EQ(output_of(c),
            "A=1\nB=x=y z\nPATH=/\nHOME=/x\nargument probe\nargument environment\nargument a b\nargument \n");
}

TEST_F(Launch, MaskedPathsLookEmptyAndReadOnlyOnesRefuseWrites) {
  write(path("rootfs/secret"), "secret");
  make_dir(path("rootfs/hidden"));
  write(path("rootfs/hidden/key"), "key");
  make_dir(path("rootfs/fixed"));
  oci::Config c =
      config({"paths", "/secret", "/hidden", "/hidden/key", "/fixed", "/work", "/nothere", "/proc/sys/kernel/ostype"});
  c.linux.masked_paths = {"/secret", "/hidden", "/proc/kcore", "/nothere"};
  c.linux.readonly_paths = {"/fixed", "/proc/sys", "/nothere"};
  EXPECT_EQ(output_of(c),
            "/secret: (empty)\n/hidden: folder, Read-only file system\n/hidden/key: No such file or directory\n"
            "/fixed: folder, Read-only file system\n/work: folder, writable\n/nothere: No such file or directory\n"
            "/proc/sys/kernel/ostype: Linux\n\n");
}

TEST_F(Launch, AReadOnlyRootIsReadOnlyAndItsTmpfsNot) {
  // The first launch makes the places to mount on.
  EXPECT_EQ(output_of(config({"exit", "0"})), "");
  oci::Config c = config({"paths", "/work", "/dev/shm", "/etc/hosts"});
  c.root.readonly = true;
  EXPECT_EQ(output_of(c),
            "/work: folder, Read-only file system\n/dev/shm: folder, writable\n/etc/hosts: 127.0.0.1 box\n");
}

TEST_F(Launch, ATmpfsCopiesUpWhatTheRootHas) {
  oci::Config c = config({"paths", "/full/seed", "/full"});
  c.mounts.push_back({.destination = "/full", .type = "tmpfs", .source = "tmpfs", .options = {"tmpcopyup"}});
  EXPECT_EQ(output_of(c), "/full/seed: seed\n/full: folder, writable\n");
  EXPECT_FALSE(sys::exists(path("rootfs/full/made")));
}

TEST_F(Launch, SymlinksInTheRootLeadNoMountOutside) {
  make_dir(path("outside"));
  ASSERT_EQ(::symlink("../../../../../../../../..", path("rootfs/up").c_str()), 0);
  ASSERT_EQ(::symlink(path("outside").c_str(), path("rootfs/away").c_str()), 0);
  oci::Config c = config({"paths", "/up/inside", cat(path("outside"), "/new")});
  c.mounts.push_back({.destination = "/up/inside", .type = "tmpfs", .source = "tmpfs", .options = {}});
  c.mounts.push_back({.destination = "/away/new", .type = "tmpfs", .source = "tmpfs", .options = {}});
  EXPECT_THAT(output_of(c), Not(HasSubstr("ended")));
  EXPECT_FALSE(sys::exists(path("outside/new")));
}

TEST_F(Launch, ABindMountIsReadOnlyWhereAsked) {
  make_dir(path("data"));
  oci::Config c = config({"paths", "/ro", "/rw"});
  c.mounts.push_back({.destination = "/ro", .type = "bind", .source = path("data"), .options = {"rbind", "rro"}});
  c.mounts.push_back({.destination = "/rw", .type = "bind", .source = path("data"), .options = {"rbind"}});
  EXPECT_EQ(output_of(c), "/ro: folder, Read-only file system\n/rw: folder, writable\n");
  EXPECT_TRUE(sys::exists(path("data/made")));
}

TEST_F(Launch, NamespacesAreTheContainersOwn) {
  const std::string seen = output_of(config({"namespaces"}));
  for (const char* name : {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"}) {
    char ours[256] = {};
    ASSERT_GT(::readlink(cat("/proc/self/ns/", name).c_str(), ours, sizeof ours - 1), 0);
    EXPECT_THAT(seen, HasSubstr(cat(name, " ")));
    EXPECT_THAT(seen, Not(HasSubstr(ours)));
  }
}

TEST_F(Launch, SubordinateIdsGiveOtherUsersAndTheirGroups) {
  const Result<sys::SubordinateIds> ids = sys::read_subordinate_ids(sys::user_name(host_.uid), host_.uid);
  ASSERT_TRUE(ids.ok());
  if (ids->empty() || !sys::find_program("newuidmap"))
    GTEST_SKIP() << "this user has no subordinate ids, or no newuidmap";
  ASSERT_EQ(::chmod(root().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path("rootfs").c_str(), 0755), 0);
  oci::Config c = config({"process"});
  c.linux.uid_mappings = sys::id_ranges(host_.uid, ids->uids);
  c.linux.gid_mappings = sys::id_ranges(host_.gid, ids->gids);
  c.process.user = {.uid = 5, .gid = 6, .umask = 0022, .additional_gids = {7, 8}};
  c.process.capabilities = oci::Capabilities{};
  const std::string seen = output_of(c);
  EXPECT_THAT(seen, StartsWith("pid 1\nids 5:6\ngroups 7 8\n"));
  EXPECT_THAT(seen, HasSubstr("CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"));
}

TEST_F(Launch, ACommandThatIsNotThereIs127AndOneThatCannotRunIs126) {
  write(path("rootfs/plain"), "text", 0644);
  write(path("rootfs/garbage"), "\x01\x02", 0755);
  struct Case {
    const char* command;
    std::string message;
    int exit_code;
  };
  const Case cases[] = {
      {"nothere", "execute nothere: executable file not found in $PATH: No such file or directory", 127},
      {"/nothere", "execute /nothere: No such file or directory", 127},
      {"/probe/below", "execute /probe/below: No such file or directory", 127},
      {"/plain", "execute /plain: Permission denied", 126},
      {"/work", "execute /work: Permission denied", 126},
      {"/garbage", "execute /garbage: Exec format error", 126},
      {"a\x1b[2Jb", "execute a\\x1b[2Jb: executable file not found in $PATH: No such file or directory", 127},
  };
  for (const Case& one : cases) {
    oci::Config c = config({});
    c.process.args = {one.command};
    const Result<Launched> launched = launch(planned(c), {});
    EXPECT_EQ(error_of(launched), one.message);
    ASSERT_FALSE(launched.ok());
    EXPECT_EQ(launched.error().exit_code(), one.exit_code) << one.command;
    expect_nothing_left();
  }
}

TEST_F(Launch, AWorkingFolderThatIsAFileIs126) {
  oci::Config c = config({"exit", "0"});
  c.process.cwd = "/probe";
  const Result<Launched> launched = launch(planned(c), {});
  EXPECT_THAT(error_of(launched), HasSubstr("/probe: Not a directory"));
}

TEST_F(Launch, TheTerminalArrivesWithItsSizeAndControlsTheWorkload) {
  oci::Config c = config({"terminal"});
  c.process.terminal = true;
  c.process.console_size = oci::ConsoleSize{33, 77};
  const Plan p = planned(c);
  Result<Launched> launched = launch(p, {});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  ASSERT_TRUE(launched->terminal);
  const std::string seen = read_terminal(*launched);
  EXPECT_EQ(seen, "111 33x77 tty 1 console 1\r\n");
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
}

TEST_F(Launch, AnInitReapsAndEndsAsItsWorkloadEnds) {
  EXPECT_EQ(output_of(config({"orphans"}), {.built_in_init = true}), "pid 2, none left\n");
  EXPECT_EQ(output_of(config({"exit", "7"}), {.built_in_init = true}), "ended with 7\n");
  EXPECT_EQ(output_of(config({"kill"}), {.built_in_init = true}), "ended with 137\n");
}

TEST_F(Launch, AnInitPassesSignalsOn) {
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1}) {
    const Plan p = planned(config({"signals"}), {.built_in_init = true});
    const Fd out(::open(path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    Result<Launched> launched = launch(p, {.stdout_fd = out.get()});
    ASSERT_TRUE(launched.ok()) << error_of(launched);
    wait_for_text(path("out"), "ready\n");
    ASSERT_TRUE(sys::send_signal(launched->init.pidfd(), signal).ok());
    EXPECT_EQ(launched->init.wait()->code, 100 + signal);
  }
}

TEST_F(Launch, TheContainerIsKilledAtTheEndOfItsOwnersScope) {
  pid_t pid = 0;
  {
    const Plan p = planned(config({"namespaces-and-wait"}));
    const Fd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    Result<Launched> launched = launch(p, {.stdout_fd = quiet.get()});
    ASSERT_TRUE(launched.ok()) << error_of(launched);
    pid = launched->init.pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
}

TEST_F(Launch, TheContainerDiesWithAnOwnerThatIsKilled) {
  int told[2];
  ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
  Fd reading(told[0]);
  Fd writing(told[1]);
  const Plan p = planned(config({"namespaces-and-wait"}));
  Result<sys::Child> owner = sys::fork_child([&] {
    const Fd quiet(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    Result<Launched> launched = launch(p, {.stdout_fd = quiet.get()});
    const pid_t pid = launched.ok() ? launched->init.pid() : 0;
    (void)!::write(writing.get(), &pid, sizeof pid);
    while (true) ::pause();
    return 0;
  });
  pid_t pid = 0;
  ASSERT_EQ(::read(reading.get(), &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ASSERT_GT(pid, 0);
  const Result<Fd> container = sys::open_pidfd(pid);
  ASSERT_TRUE(container.ok());
  owner->kill_and_reap();
  pollfd ended{.fd = container->get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&ended, 1, 10000), 1);
  reading.reset();
  writing.reset();
}

TEST_F(Launch, WhatTheParentDoesMeanwhileIsThereForTheMounts) {
  oci::Config c = config({"paths", "/etc/late"});
  c.mounts.push_back({.destination = "/etc/late", .type = "bind", .source = path("late"), .options = {"bind"}});
  const Plan p = planned(c);
  const Fd out(::open(path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  Result<Launched> launched = launch(p, {.stdout_fd = out.get(), .meanwhile = [&](pid_t) -> Result<Ok> {
                                           return sys::replace_file(path("late"), "written late");
                                         }});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
  EXPECT_EQ(read(path("out")), "/etc/late: written late\n");
}

TEST_F(Launch, AnErrorOfTheParentIsTheErrorAndNothingStays) {
  const Plan p = planned(config({"exit", "0"}));
  const Result<Launched> launched =
      launch(p, {.meanwhile = [](pid_t) -> Result<Ok> { return Error(0, "the parent cannot"); }});
  EXPECT_EQ(error_of(launched), "the parent cannot");
}

TEST_F(Launch, TheNetworkIsReadiedWhereIdsAreMappedAndBeforeTheWorkload) {
  std::string order;
  const Plan p = planned(config({"exit", "0"}), {.await_network = true});
  Result<Launched> launched =
      launch(p, {.start_network = [&](pid_t init) -> Result<Ok> {
                   order += "start ";
                   order += sys::read_kernel_file(cat("/proc/", init, "/uid_map"))->empty() ? "unmapped " : "mapped ";
                   return Ok{};
                 },
                 .await_network = [&]() -> Result<Ok> {
                   order += "await";
                   return Ok{};
                 }});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
  EXPECT_EQ(order, "start mapped await");
}

TEST_F(Launch, AFailureIsHeardThoughAMessageOfOursStaysUnread) {
  // The child fails while "the ids are mapped" lies unread in its socket, which the kernel answers with ECONNRESET
  // before what the child has said.
  cpu_set_t one;
  cpu_set_t before;
  CPU_ZERO(&one);
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &before)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  Plan p;
  p.clone_flags = CLONE_NEWUSER;
  p.id_map = IdMap{{{0, host_.uid, 1}}, {{0, host_.gid, 1}}};
  // Busy until the parent has spoken.
  for (int i = 0; i < 2000; ++i) p.steps.emplace_back(ResetSignals{});
  p.steps.emplace_back(SetRlimit{-1, 0, 0});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(error_of(launch(p, {})), "step 2001 of 2001, limit resource -1 to 0:0: Invalid argument");
  }
  ::sched_setaffinity(0, sizeof before, &before);
}

using LaunchFailure = LaunchBase;

TEST_F(LaunchFailure, BeforeAnyStepOfTheDefaultPlan) { fail_everywhere(planned(config({"exit", "0"})), {}); }

TEST_F(LaunchFailure, BeforeAnyStepWithATerminalAndEverySetting) {
  oci::Config c = config({"exit", "0"});
  c.process.terminal = true;
  c.process.no_new_privileges = true;
  c.process.oom_score_adj = 100;
  c.process.rlimits = {{.type = "RLIMIT_CORE", .hard = 0, .soft = 0}};
  c.process.cwd = "/work";
  c.domainname = "example.org";
  c.root.readonly = true;
  c.linux.sysctl = {{"net.ipv4.ping_group_range", "0 0"}};
  fail_everywhere(planned(c), {});
}

TEST_F(LaunchFailure, BeforeAnyStepWithAnInitAndANetwork) {
  const auto fine = []() -> Result<Ok> { return Ok{}; };
  fail_everywhere(planned(config({"exit", "0"}), {.built_in_init = true, .await_network = true}),
                  {.start_network = [](pid_t) -> Result<Ok> { return Ok{}; }, .await_network = fine});
}

TEST_F(LaunchFailure, BeforeAnyStepWithSubordinateIds) {
  const Result<sys::SubordinateIds> ids = sys::read_subordinate_ids(sys::user_name(host_.uid), host_.uid);
  ASSERT_TRUE(ids.ok());
  if (ids->empty() || !sys::find_program("newuidmap"))
    GTEST_SKIP() << "this user has no subordinate ids, or no newuidmap";
  oci::Config c = config({"exit", "0"});
  c.linux.uid_mappings = sys::id_ranges(host_.uid, ids->uids);
  c.linux.gid_mappings = sys::id_ranges(host_.gid, ids->gids);
  fail_everywhere(planned(c), {});
}

class LaunchExec : public LaunchBase {
 protected:
  void start() { start_waiting(config({"namespaces-and-wait"})); }
  Result<Launched> exec(const Plan& p, const LaunchOptions& options) {
    return launch_exec(p, waiting_->init.pid(), waiting_->init.pidfd(), options);
  }
};

TEST_F(LaunchExec, JoinsEveryNamespaceOfTheContainer) {
  start();
  const Fd out(::open(path("exec").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  Result<Launched> launched = exec(planned_exec({"namespaces"}), {.stdout_fd = out.get()});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
  EXPECT_EQ(read(path("exec")), read(path("out")));
}

TEST_F(LaunchExec, GivesTheExitCode) {
  start();
  Result<Launched> launched = exec(planned_exec({"exit", "33"}), {});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  EXPECT_EQ(launched->init.wait()->shell_code(), 33);
}

TEST_F(LaunchExec, OfWhatIsNotThereIs127) {
  start();
  oci::Process process = config({}).process;
  process.args = {"nothere"};
  const Result<Plan> p = plan_exec(process, host_, {.bundle = root(), .can_set_groups = false});
  const Result<Launched> launched = exec(*p, {});
  ASSERT_FALSE(launched.ok());
  EXPECT_EQ(launched.error().to_string(),
            "execute nothere: executable file not found in $PATH: No such file or directory");
  EXPECT_EQ(launched.error().exit_code(), 127);
}

TEST_F(LaunchExec, GetsATerminalOfTheContainer) {
  start();
  oci::Process process = config({"terminal"}).process;
  process.terminal = true;
  process.console_size = oci::ConsoleSize{5, 6};
  const Result<Plan> p = plan_exec(process, host_, {.bundle = root(), .can_set_groups = false});
  Result<Launched> launched = exec(*p, {});
  ASSERT_TRUE(launched.ok()) << error_of(launched);
  ASSERT_TRUE(launched->terminal);
  const std::string seen = read_terminal(*launched);
  EXPECT_THAT(seen, StartsWith("111 5x6 tty 1"));
  EXPECT_EQ(launched->init.wait()->shell_code(), 0);
}

TEST_F(LaunchExec, AFailureBeforeAnyStepNamesItAndLeavesTheContainerAlone) {
  start();
  const Plan p = planned_exec({"exit", "0"});
  const std::vector<std::string> before = open_descriptors();
  for (uint32_t step = 0; step < p.steps.size(); ++step) {
    const Result<Launched> launched = exec(p, {.fail = InjectedFailure{step, EIO}});
    EXPECT_EQ(error_of(launched), expected_error(p, step) + ": Input/output error");
    // The container is our one child, alive.
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), 0);
    EXPECT_EQ(open_descriptors(), before);
  }
}

TEST_F(LaunchExec, IntoAContainerThatIsGoneIsAnError) {
  start();
  ASSERT_EQ(::kill(waiting_->init.pid(), SIGKILL), 0);
  pollfd ended{.fd = waiting_->init.pidfd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ended, 1, 10000), 1);
  EXPECT_FALSE(exec(planned_exec({"exit", "0"}), {}).ok());
}

}  // namespace
}  // namespace moss::runtime
