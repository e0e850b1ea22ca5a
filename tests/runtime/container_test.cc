// A container's folder and the process it names, without a container.
#include "moss/runtime/container.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "runtime/container/folder.hh"
#include "runtime/container/identity.hh"
#include "tests/sys/temporary.hh"

namespace moss::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ContainerFolder : public TemporaryTest {
 protected:
  std::string at(const std::string& name) const { return path("c/" + name); }

  // A child that sleeps until it is killed at the end of the scope.
  static sys::Child sleeper() {
    return *sys::fork_child([] {
      ::pause();
      return 0;
    });
  }

  static oci::ContainerRecord record_of(const Identity& identity) {
    return {.id = "c",
            .bundle = "/b",
            .rootfs = "/b/rootfs",
            .created = "2026-11-27T10:00:00Z",
            .pid = identity.pid,
            .start_time = identity.start_time,
            .pidfd_inode = identity.pidfd_inode,
            .boot_id = identity.boot_id};
  }

  static Identity identity_of_child(const sys::Child& child) {
    const Result<Fd> pidfd = sys::open_pidfd(child.pid());
    return *identify(child.pid(), pidfd->get());
  }

  void make_container(const oci::ContainerRecord& record) {
    Result<NewFolder> folder = NewFolder::claim(root(), "c");
    ASSERT_TRUE(folder.ok()) << folder.error().to_string();
    ASSERT_TRUE(folder->write_record(record).ok());
    folder->keep();
  }
};

TEST_F(ContainerFolder, IsGoneUnlessKept) {
  {
    Result<NewFolder> folder = NewFolder::claim(root(), "c");
    ASSERT_TRUE(folder.ok()) << folder.error().to_string();
    EXPECT_TRUE(sys::exists(path("c")));
  }
  EXPECT_FALSE(sys::exists(path("c")));
}

TEST_F(ContainerFolder, GivesANameToOneOnly) {
  const Result<NewFolder> first = NewFolder::claim(root(), "c");
  ASSERT_TRUE(first.ok());
  const Result<NewFolder> second = NewFolder::claim(root(), "c");
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.error().to_string(), HasSubstr("container \"c\" exists already"));
}

TEST_F(ContainerFolder, OfAKilledCreatorIsClearedByTheNext) {
  // Killed after mkdir, after the lock, after the first record.
  ASSERT_EQ(::mkdir(path("c").c_str(), 0700), 0);
  EXPECT_TRUE(NewFolder::claim(root(), "c").ok());
  make_dir(path("c"));
  write(at("init.lock"), "");
  EXPECT_TRUE(NewFolder::claim(root(), "c").ok());
  make_dir(path("c"));
  write(at("init.lock"), "");
  write(at("config.json"), "{}");
  write(at("state.json"), oci::encode_record(record_of({})));
  EXPECT_TRUE(NewFolder::claim(root(), "c").ok());
}

TEST_F(ContainerFolder, OfALiveCreatorIsLeftAlone) {
  make_dir(path("c"));
  write(at("init.lock"), "");
  const Result<Fd> lock = sys::open_at(AT_FDCWD, at("init.lock"), O_RDWR);
  ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
  EXPECT_FALSE(NewFolder::claim(root(), "c").ok());
  EXPECT_TRUE(sys::exists(at("init.lock")));
}

TEST_F(ContainerFolder, OfAStoppedContainerKeepsItsName) {
  make_container(record_of({.pid = 1, .start_time = 1, .boot_id = "another"}));
  EXPECT_FALSE(NewFolder::claim(root(), "c").ok());
}

TEST_F(ContainerFolder, ALivingProcessIsRunningAndADeadOneStopped) {
  sys::Child child = sleeper();
  make_container(record_of(identity_of_child(child)));
  EXPECT_EQ(find_container(root(), "c")->status, Status::running);
  ::kill(child.pid(), SIGKILL);
  // Ended but not reaped: its number still exists.
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.pid()), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(find_container(root(), "c")->status, Status::stopped);
}

TEST_F(ContainerFolder, ANumberThatIsUsedAgainIsNotTheContainer) {
  const sys::Child child = sleeper();
  const Identity real = identity_of_child(child);
  Identity later_inode = real;
  later_inode.pidfd_inode += 1;
  Identity later_start = real;
  later_start.pidfd_inode = 0;
  later_start.start_time += 1;
  Identity other_boot = real;
  other_boot.boot_id = "another";
  EXPECT_TRUE(open_process(real));
  for (const Identity& other : {later_inode, later_start, other_boot}) EXPECT_FALSE(open_process(other));
  make_container(record_of(later_start));
  Result<Container> found = find_container(root(), "c");
  EXPECT_EQ(found->status, Status::stopped);
  const Result<Ok> killed = kill_container(*found, SIGKILL, false);
  ASSERT_FALSE(killed.ok());
  EXPECT_THAT(killed.error().to_string(), HasSubstr("container not running"));
  EXPECT_TRUE(delete_container(root(), "c", true, {}).ok());
  EXPECT_TRUE(open_process(real)) << "somebody else's process was killed";
}

TEST_F(ContainerFolder, WhoWaitsForItsStartIsCreated) {
  const sys::Child child = sleeper();
  make_container(record_of(identity_of_child(child)));
  const Result<Fd> lock = sys::open_at(AT_FDCWD, at("init.lock"), O_RDWR);
  ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
  EXPECT_EQ(find_container(root(), "c")->status, Status::created);
}

TEST_F(ContainerFolder, ADamagedRecordIsAnErrorThatNamesItAndForceClearsIt) {
  for (const char* text : {"", "{", "{\"version\":2}",
                           "\x7f"
                           "ELF"}) {
    make_dir(path("c"));
    write(at("init.lock"), "");
    write(at("state.json"), text);
    const Result<Container> found = find_container(root(), "c");
    ASSERT_FALSE(found.ok());
    EXPECT_THAT(found.error().to_string(), HasSubstr(at("state.json")));
    EXPECT_FALSE(delete_container(root(), "c", false, {}).ok());
    EXPECT_TRUE(delete_container(root(), "c", true, {}).ok());
    EXPECT_FALSE(sys::exists(path("c")));
  }
}

TEST_F(ContainerFolder, ARecordThatIsNoFileIsNotWaitedFor) {
  make_dir(path("c"));
  ASSERT_EQ(::mkfifo(at("state.json").c_str(), 0600), 0);
  EXPECT_FALSE(find_container(root(), "c").ok());
}

TEST_F(ContainerFolder, WhatIsNotThereIsSaidInTheWordsClientsKnow) {
  EXPECT_THAT(find_container(root(), "c").error().to_string(), HasSubstr("does not exist"));
  EXPECT_THAT(find_container(root(), "../c").error().to_string(), HasSubstr("does not exist"));
  EXPECT_THAT(delete_container(root(), "c", false, {}).error().to_string(), HasSubstr("does not exist"));
  EXPECT_TRUE(delete_container(root(), "c", true, {}).ok());
}

TEST_F(ContainerFolder, OnlyIdsAreListed) {
  make_container(record_of({.pid = 1, .boot_id = "another"}));
  make_dir(path(".seccomp"));
  EXPECT_THAT(*list_containers(root()), ElementsAre("c"));
  EXPECT_TRUE(list_containers(path("nowhere"))->empty());
}

TEST(ContainerId, IsWhatCrunAllows) {
  for (const char* id : {"a", "-a", "+", "a.b", "web-1_2.3", "_"}) EXPECT_TRUE(is_container_id(id)) << id;
  for (const char* id : {"", ".", "..", ".a", "a/b", "../a", "a b", "a\n", "\xc3\xa4"}) {
    EXPECT_FALSE(is_container_id(id)) << id;
  }
  EXPECT_FALSE(is_container_id(std::string(5000, 'a')));
}

}  // namespace
}  // namespace moss::runtime
