// What tests on the real kernel begin from: a rootfs with the probe in it, as whoever runs the tests, with the one id
// that everybody may map.
#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "configs.hh"
#include "moss/runtime/launch.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "tests/sys/temporary.hh"

namespace moss::runtime {

class LaunchBase : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    const Result<int> works =
        sys::run_in_user_namespace({{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}}, [] { return 0; });
    if (!works.ok()) GTEST_SKIP() << "user namespaces are closed here: " << works.error().to_string();
    ::alarm(100);  // a launch that hangs ends the test
    host_ = *sys::probe_host();
    make_dir(path("rootfs/work"));
    make_dir(path("rootfs/full"));
    write(path("rootfs/full/seed"), "seed");
    write(path("hosts"), "127.0.0.1 box");
    // Beside the tests, wherever these are run from.
    const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    const Result<std::string> probe = sys::read_file((folder / MOSS_PROBE).string(), 64u << 20);
    ASSERT_TRUE(probe.ok());
    write(path("rootfs/probe"), *probe, 0755);
    descriptors_before_ = open_descriptors();
  }

  void TearDown() override {
    waiting_.reset();
    if (IsSkipped() || HasFatalFailure()) return;
    expect_nothing_left();
  }

  void expect_nothing_left() {
    EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
    // Others mount and unmount meanwhile; what is ours is below our folder.
    EXPECT_THAT(*sys::read_kernel_file("/proc/self/mountinfo"), ::testing::Not(::testing::HasSubstr(root())));
    EXPECT_EQ(open_descriptors(), descriptors_before_);
  }

  static std::vector<std::string> open_descriptors() {
    std::vector<std::string> names = *sys::list_dir("/proc/self/fd");
    std::sort(names.begin(), names.end());
    return names;
  }

  oci::Config config(std::vector<std::string> command) const {
    oci::Config c = default_config();
    c.root.path = path("rootfs");
    c.linux.uid_mappings = {{0, host_.uid, 1}};
    c.linux.gid_mappings = {{0, host_.gid, 1}};
    c.mounts.erase(c.mounts.begin());  // the folder is the root
    std::erase_if(c.mounts, [](const oci::Mount& mount) { return mount.destination == "/sys/fs/cgroup"; });
    std::erase(mount_at(c, "/dev/pts").options, "gid=5");
    mount_at(c, "/etc/hosts").source = path("hosts");
    c.process.args = {"/probe"};
    c.process.args.insert(c.process.args.end(), command.begin(), command.end());
    return c;
  }

  Plan planned(const oci::Config& c, PlanOptions options = {}) const {
    options.bundle = root();
    Result<Plan> made = plan(c, host_, std::move(options));
    EXPECT_TRUE(made.ok()) << error_of(made);
    return made.ok() ? std::move(made).value() : Plan();
  }

  Plan planned_exec(std::vector<std::string> command) const {
    oci::Process process = config(std::move(command)).process;
    Result<Plan> made = plan_exec(process, host_, {.bundle = root(), .can_set_groups = false});
    EXPECT_TRUE(made.ok()) << error_of(made);
    return std::move(made).value();
  }

  // Launches, waits for the end, gives what was written and how it ended.
  std::string output_of(const oci::Config& c, PlanOptions options = {}) {
    const Plan p = planned(c, std::move(options));
    const Fd out(::open(path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    Result<Launched> launched = launch(p, {.stdin_fd = -1, .stdout_fd = out.get()});
    if (!launched.ok()) return launched.error().to_string();
    const sys::Exit exit = *launched->init.wait();
    return exit.ok() ? read(path("out")) : cat(read(path("out")), "ended with ", exit.shell_code(), "\n");
  }

  // Launches a container that waits, its namespaces told in the file out: for others to join.
  void start_waiting(const oci::Config& c) {
    waiting_plan_ = planned(c);
    const Fd out(::open(path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    Result<Launched> launched = launch(waiting_plan_, {.stdout_fd = out.get()});
    ASSERT_TRUE(launched.ok()) << error_of(launched);
    waiting_.emplace(std::move(launched).value());
    wait_for_text(path("out"), "cgroup ");
  }

  // All that comes from the workload's terminal.
  static std::string read_terminal(const Launched& launched) {
    std::string seen;
    char buffer[256];
    for (ssize_t got; (got = ::read(launched.terminal.get(), buffer, sizeof buffer)) > 0;) {
      seen.append(buffer, static_cast<size_t>(got));
    }
    return seen;
  }

  static void wait_for_text(const std::string& file, std::string_view text) {
    for (int i = 0; i < 60000 && read(file).find(text) == std::string::npos; ++i) ::usleep(1000);
  }

  static std::string expected_error(const Plan& p, size_t step) {
    if (const auto* exec = std::get_if<Exec>(&p.steps[step])) return cat("execute ", exec->args[0]);
    return cat("step ", step + 1, " of ", p.steps.size(), ", ", describe(p.steps[step]));
  }

  // Fails before each step in turn: each time the error names it and nothing stays.
  void fail_everywhere(const Plan& p, LaunchOptions options) {
    for (uint32_t step = 0; step < p.steps.size(); ++step) {
      SCOPED_TRACE(cat("step ", step + 1, ", ", describe(p.steps[step])));
      options.fail = InjectedFailure{step, EIO};
      const Result<Launched> launched = launch(p, options);
      EXPECT_EQ(error_of(launched), expected_error(p, step) + ": Input/output error");
      expect_nothing_left();
    }
  }

  sys::Host host_;
  std::vector<std::string> descriptors_before_;
  Plan waiting_plan_;
  std::optional<Launched> waiting_;
};

}  // namespace moss::runtime
