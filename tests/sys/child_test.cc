// Children are waited for, killed, or given away; never forgotten.
#include "moss/sys/child.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "temporary.hh"

namespace moss::sys {
namespace {

class Spawn : public TemporaryTest {
 protected:
  // What a shell command writes to its standard output.
  std::string output_of(const std::string& command, SpawnOptions options = {}) {
    const Fd out(::open(path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    options.stdout_fd = out.get();
    Result<Child> child = spawn({"/bin/sh", "-c", command}, options);
    EXPECT_TRUE(child.ok());
    EXPECT_EQ(child->wait()->shell_code(), 0);
    return read(path("out"));
  }
};

TEST_F(Spawn, GivesExitCodesAndSignalsApart) {
  Result<Child> coded = spawn({"/bin/sh", "-c", "exit 7"}, {});
  const Exit code = *coded->wait();
  EXPECT_EQ(code.code, 7);
  EXPECT_EQ(code.shell_code(), 7);
  EXPECT_FALSE(code.ok());
  Result<Child> killed = spawn({"/bin/sh", "-c", "kill -TERM $$"}, {});
  const Exit signal = *killed->wait();
  EXPECT_EQ(signal.signal, SIGTERM);
  EXPECT_EQ(signal.shell_code(), 128 + SIGTERM);
}

TEST_F(Spawn, AMissingProgramShowsAsExitCode127) {
  Result<Child> child = spawn({"/nonexistent/program"}, {});
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child->wait()->code, 127);
}

TEST_F(Spawn, StdioIsDevNullUnlessGiven) {
  EXPECT_EQ(output_of("readlink /proc/self/fd/0; readlink /proc/self/fd/2"), "/dev/null\n/dev/null\n");
}

TEST_F(Spawn, OnlyInheritedDescriptorsAreOpenUnderTheirNumbers) {
  const Fd kept(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  const Fd closed(::open("/dev/full", O_RDONLY | O_CLOEXEC));
  const std::string text =
      output_of(cat("readlink /proc/self/fd/", kept.get(), "; readlink /proc/self/fd/", closed.get(), "; true"),
                {.inherit = {kept.get()}});
  EXPECT_EQ(text, "/dev/zero\n");
}

TEST_F(Spawn, WhatALibraryOpenedWithoutCloexecIsNotInherited) {
  const Fd strange(::open("/dev/full", O_RDONLY));  // NOLINT: as libcurl's sockets are
  const Fd kept(::open("/dev/zero", O_RDONLY));     // NOLINT
  EXPECT_EQ(output_of(cat("readlink /proc/self/fd/", strange.get(), "; readlink /proc/self/fd/", kept.get()),
                      {.inherit = {kept.get()}}),
            "/dev/zero\n");
}

TEST_F(Spawn, StdioMayBeSwappedWithoutOneOverwritingTheOther) {
  // 1 becomes what was 2 and the other way round.
  Result<Child> outer = fork_child([&] {
    const Fd a(::open(path("a").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const Fd b(::open(path("b").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ::dup2(a.get(), 1);
    ::dup2(b.get(), 2);
    Result<Child> child = spawn({"/bin/sh", "-c", "echo out; echo err >&2"}, {.stdout_fd = 2, .stderr_fd = 1});
    return child.ok() && child->wait()->ok() ? 0 : 1;
  });
  ASSERT_EQ(outer->wait()->shell_code(), 0);
  EXPECT_EQ(read(path("a")), "err\n");
  EXPECT_EQ(read(path("b")), "out\n");
}

TEST_F(Spawn, AGivenEnvironmentReplacesTheCallers) {
  EXPECT_EQ(output_of("/usr/bin/env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=", {.environment = {"A=1", "B=x y"}}),
            "A=1\nB=x y\n");
}

TEST_F(Spawn, BlockedSignalsOfTheCallerReachTheChild) {
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &blocked, &before);
  EXPECT_THAT(output_of("grep SigBlk /proc/self/status"), "SigBlk:\t0000000000000000\n");
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(Spawn, ANewSessionIsItsOwnLeader) {
  EXPECT_EQ(output_of("test $(cut -d' ' -f6 /proc/$$/stat) = $$ && echo leader", {.new_session = true}), "leader\n");
}

TEST(Child, IsKilledAndReapedAtTheEndOfItsScope) {
  pid_t pid = 0;
  {
    Result<Child> child = spawn({"/bin/sleep", "1000"}, {});
    pid = child->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Child, ReplacedByAnotherOneIsKilledFirst) {
  Result<Child> first = spawn({"/bin/sleep", "1000"}, {});
  const pid_t pid = first->pid();
  first.value() = Child();
  EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
}

TEST(Child, ReleasedIsLeftAlone) {
  Result<Child> child = fork_child([] { return 3; });
  const pid_t pid = child->release();
  EXPECT_FALSE(*child);
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(Pidfd, SendsSignalsToTheProcessItWasOpenedFor) {
  Result<Child> child = spawn({"/bin/sleep", "1000"}, {});
  const Result<Fd> pidfd = open_pidfd(child->pid());
  ASSERT_TRUE(pidfd.ok());
  EXPECT_TRUE(send_signal(pidfd->get(), SIGTERM).ok());
  EXPECT_EQ(child->wait()->signal, SIGTERM);
  EXPECT_EQ(send_signal(pidfd->get(), SIGTERM).error().code(), ESRCH);
}

TEST(FindProgram, LooksInSystemFoldersOnly) {
  EXPECT_NE(find_program("sh"), std::nullopt);
  EXPECT_EQ(find_program("no-such-program-anywhere"), std::nullopt);
  EXPECT_EQ(find_program(""), std::nullopt);
}

}  // namespace
}  // namespace moss::sys
