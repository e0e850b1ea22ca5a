// Containers as folders, locks and names: nothing that died stays "running", nothing that lives is touched.
#include "src/engine/containers/store.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moss/base/time.hh"
#include "moss/sys/child.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/process.hh"
#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;
using ::testing::StartsWith;

ContainerRecord full_record() {
  return {.id = std::string(64, 'a'),
          .name = "web",
          .image = "docker.io/library/alpine:latest",
          .image_id = std::string(64, 'b'),
          .rootfs = "/r",
          .command = {"sh", "-c", "echo \"\xc3\xa4\n\""},
          .created = now_rfc3339(),
          .remove = true,
          .terminal = true,
          .stop_signal = 9,
          .stop_timeout_s = 3,
          .built_in_init = true,
          .preserve_fds = 2,
          .network = "private",
          .ports = {"127.0.0.1:8080->80/tcp"},
          .labels = {{"a", "1"}, {"b", ""}},
          .seccomp_profile = "/p"};
}

TEST(ContainerRecords, SurviveBeingWrittenAndRead) {
  const std::string text = encode(full_record());
  const Result<ContainerRecord> again = decode_record(text, "f");
  ASSERT_TRUE(again.ok()) << error_of(again);
  EXPECT_EQ(encode(*again), text);
  EXPECT_EQ(again->command, full_record().command);
  EXPECT_EQ(again->labels, full_record().labels);
  EXPECT_EQ(again->stop_timeout_s, 3u);
}

TEST(ContainerStates, SurviveBeingWrittenAndRead) {
  for (const Status status : {Status::created, Status::running, Status::exited}) {
    const ContainerState state{.status = status,
                               .pid = 42,
                               .start_ticks = UINT64_MAX,
                               .boot_id = "b",
                               .monitor_pid = 43,
                               .exit_code = 137,
                               .started = "s",
                               .finished = "f",
                               .error = "e"};
    const Result<ContainerState> again = decode_state(encode(state), "f");
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(encode(*again), encode(state));
    EXPECT_EQ(again->status, status);
  }
}

TEST(ContainerRecords, DamagedOnesAreAnErrorThatNamesTheFile) {
  const std::string good = encode(full_record());
  for (const std::string& text : {std::string(), std::string("{}"), std::string("[]"), std::string("null"),
                                  std::string("7"), good.substr(0, good.size() / 2), std::string("{\"id\":7}")}) {
    EXPECT_THAT(error_of(decode_record(text, "/the/file")), StartsWith("read /the/file: ")) << text;
    EXPECT_THAT(error_of(decode_state(text, "/the/file")), StartsWith("read /the/file: ")) << text;
  }
}

class Store : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    paths_ = {.data = path("data"), .run = path("run")};
  }
  OwnedContainer create(bool remove = false, const std::string& name = "", bool replace = false) {
    Result<OwnedContainer> made = OwnedContainer::create(paths_, remove, name, replace);
    EXPECT_TRUE(made.ok()) << error_of(made);
    OwnedContainer container = std::move(made).value();
    EXPECT_TRUE(container
                    .write_record({.id = container.id(),
                                   .name = container.name(),
                                   .command = {"sh"},
                                   .created = now_rfc3339(),
                                   .remove = remove})
                    .ok());
    return container;
  }
  static ContainerState running(pid_t pid = ::getpid()) {
    return {.status = Status::running, .pid = pid, .start_ticks = *sys::start_time_of(pid), .boot_id = sys::boot_id()};
  }
  // A container's process 1: whoever finds its container without a holder kills it.
  static sys::Child sleeper() {
    return *sys::fork_child([] {
      ::pause();
      return 0;
    });
  }
  // Somebody who holds the container's lock for a moment, and holds it already.
  sys::Child looker(const std::string& id, int operation) const {
    int told[2];
    EXPECT_EQ(::pipe2(told, O_CLOEXEC), 0);
    Result<sys::Child> child = sys::fork_child([&] {
      const int lock =
          ::open(cat(paths_.live_containers(), "/", id, "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
      (void)::flock(lock, operation);
      (void)!::write(told[1], "x", 1);
      ::usleep(200'000);
      return 0;
    });
    char byte;
    EXPECT_EQ(::read(told[0], &byte, 1), 1);
    ::close(told[0]);
    ::close(told[1]);
    return std::move(child).value();
  }
  Paths paths_;
};

TEST_F(Store, WhoHasNoNameGetsOneAndIsFoundByIt) {
  const OwnedContainer container = create();
  EXPECT_THAT(container.name(), MatchesRegex("[a-z]+_[a-z]+"));
  EXPECT_EQ(find_container(paths_, container.name())->record.id, container.id());
}

TEST_F(Store, FoldersAreClosedToOthers) {
  const OwnedContainer container = create();
  EXPECT_EQ(mode_of(container.live()), 0700u);
  EXPECT_EQ(mode_of(container.lasting()), 0700u);
  EXPECT_EQ(mode_of(container.folder() + "/container.json"), 0600u);
}

TEST_F(Store, IsFoundByNameIdOrItsBeginning) {
  const OwnedContainer one = create(false, "one");
  const OwnedContainer two = create(false, "two");
  EXPECT_EQ(find_container(paths_, "one")->record.id, one.id());
  EXPECT_EQ(find_container(paths_, two.id())->record.name, "two");
  EXPECT_EQ(find_container(paths_, two.id().substr(0, 40))->record.name, "two");
  EXPECT_EQ(error_of(find_container(paths_, "three")), "no container with name or id \"three\"; see: moss ps -a");
  EXPECT_FALSE(find_container(paths_, "").ok());
  EXPECT_EQ(latest_container(paths_)->record.name, "two");
}

TEST_F(Store, ANameIsTakenOnceAndFreeAgainAfterwards) {
  std::optional<OwnedContainer> first = create(false, "web");
  const std::string id = first->id();
  EXPECT_EQ(
      error_of(OwnedContainer::create(paths_, false, "web", false)),
      cat("the name web is in use by container ", id.substr(0, 12), "; remove it with: moss rm web, or use --replace"));
  // The one that failed left nothing.
  EXPECT_THAT(*sys::list_dir(paths_.live_containers()), SizeIs(1));
  EXPECT_TRUE(first->remove({}).ok());
  first.reset();
  EXPECT_EQ(create(false, "web").name(), "web");
}

TEST_F(Store, ANameLeftByNobodyIsFree) {
  make_dir(paths_.names());
  ASSERT_EQ(::symlink(std::string(64, 'f').c_str(), (paths_.names() + "/web").c_str()), 0);
  EXPECT_EQ(create(false, "web").name(), "web");
}

TEST_F(Store, ReplaceRemovesTheOldOne) {
  std::string old;
  {
    old = create(false, "web").id();
  }
  const OwnedContainer replacement = create(false, "web", true);
  EXPECT_NE(replacement.id(), old);
  EXPECT_FALSE(sys::exists(cat(paths_.lasting_containers(), "/", old)));
  EXPECT_EQ(find_container(paths_, "web")->record.id, replacement.id());
}

TEST_F(Store, ALivingContainerIsLeftAlone) {
  OwnedContainer container = create(true);
  ASSERT_TRUE(container.write_state(running()).ok());
  ASSERT_TRUE(sweep(paths_).ok());
  EXPECT_EQ(load_container(paths_, container.id())->state.status, Status::running);
  EXPECT_FALSE(OwnedContainer::adopt(paths_, container.id())->has_value());
}

TEST_F(Store, OneWhoseHolderIsGoneHasExited) {
  std::string id;
  sys::Child process = sleeper();
  {
    OwnedContainer container = create(false, "web");
    ASSERT_TRUE(container.write_state(running(process.pid())).ok());
    id = container.id();
  }
  const std::vector<Container> all = *list_containers(paths_);
  ASSERT_THAT(all, SizeIs(1));
  EXPECT_EQ(all[0].record.id, id);
  EXPECT_EQ(all[0].state.status, Status::exited);
  EXPECT_EQ(all[0].state.exit_code, 137);
  EXPECT_EQ(all[0].state.pid, 0);
  EXPECT_FALSE(sys::exists(paths_.live_containers() + "/" + id));
  EXPECT_EQ(process.wait()->signal, SIGKILL);
}

TEST_F(Store, AnEndThatWasAnnouncedCountsAlsoWhenItsHolderDiesRightThen) {
  {
    OwnedContainer container = create(false, "web");
    ASSERT_TRUE(container.announce_end({.status = Status::exited, .exit_code = 5, .finished = "then"}).ok());
  }
  const Result<Container> container = find_container(paths_, "web");
  ASSERT_TRUE(container.ok()) << error_of(container);
  EXPECT_EQ(container->state.exit_code, 5);
  EXPECT_EQ(container->state.finished, "then");
}

TEST_F(Store, OneThatRemovesItselfIsGoneWithItsHolder) {
  const sys::Child process = sleeper();
  {
    OwnedContainer container = create(true, "web");
    ASSERT_TRUE(container.write_state(running(process.pid())).ok());
    make_dir(container.lasting() + "/upper/deep");
    write(container.lasting() + "/upper/deep/f", "x");
  }
  EXPECT_THAT(*list_containers(paths_), IsEmpty());
  EXPECT_THAT(*sys::list_dir(paths_.live_containers()), IsEmpty());
  EXPECT_THAT(*sys::list_dir(paths_.lasting_containers()), IsEmpty());
  EXPECT_THAT(*sys::list_dir(paths_.names()), IsEmpty());
}

TEST_F(Store, OneThatNeverCameToBeIsSweptAway) {
  {
    const OwnedContainer half = *OwnedContainer::create(paths_, false, "", false);
  }
  ASSERT_TRUE(sweep(paths_).ok());
  EXPECT_THAT(*sys::list_dir(paths_.live_containers()), IsEmpty());
  EXPECT_THAT(*sys::list_dir(paths_.lasting_containers()), IsEmpty());
}

TEST_F(Store, ARebootLeavesLastingContainersExited) {
  std::string id;
  {
    OwnedContainer container = create();
    id = container.id();
    ContainerState state = running();
    state.boot_id = "the boot before";
    write(container.lasting() + "/state.json", encode(state));
  }
  ASSERT_TRUE(sys::remove_tree(paths_.run).ok());  // a tmpfs
  EXPECT_EQ(find_container(paths_, id)->state.status, Status::exited);
}

TEST_F(Store, SweepingNothingIsFine) {
  EXPECT_TRUE(sweep(paths_).ok());
  EXPECT_THAT(*list_containers(paths_), IsEmpty());
  EXPECT_EQ(error_of(latest_container(paths_)), "there are no containers");
}

TEST_F(Store, ADamagedRecordHarmsNobodyElseAndMayBeRemoved) {
  std::string id;
  std::string folder;
  {
    OwnedContainer container = create();
    id = container.id();
    folder = container.folder();
    ASSERT_TRUE(container.retire({.status = Status::exited}).ok());
  }
  OwnedContainer healthy = create(false, "healthy");
  write(folder + "/container.json", "{\"id\":");
  ASSERT_TRUE(sweep(paths_).ok());
  ASSERT_EQ(list_containers(paths_)->size(), 2U);
  const Result<Container> damaged = find_container(paths_, id);
  EXPECT_THAT(damaged->state.error, StartsWith(cat("read ", folder, "/container.json: ")));
  EXPECT_TRUE(remove_container(paths_, *damaged, false, 0).ok());
  ASSERT_EQ(list_containers(paths_)->size(), 1U);
  EXPECT_FALSE(sys::exists(folder));
}

TEST_F(Store, ARunningContainerIsRemovedByForceOnly) {
  OwnedContainer container = create(false, "web");
  ASSERT_TRUE(container.write_state(running()).ok());
  const Result<Ok> refused = remove_container(paths_, *find_container(paths_, "web"), false, 0);
  EXPECT_EQ(error_of(refused), "container web is running; stop it first (moss stop web) or use --force");
  EXPECT_EQ(refused.error().exit_code(), 2);
}

TEST_F(Store, WaitingGivesTheExitCodeAlsoWhenTheFolderIsGone) {
  int told[2];
  ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
  Result<sys::Child> holder = sys::fork_child([&] {
    OwnedContainer container = create(true, "web");
    (void)container.write_state(running());
    (void)!::write(told[1], "x", 1);
    ::usleep(100000);
    (void)container.announce_end({.status = Status::exited, .exit_code = 5});
    (void)container.remove({});
    return 0;
  });
  char byte;
  ASSERT_EQ(::read(told[0], &byte, 1), 1);
  const Result<Container> container = find_container(paths_, "web");
  ASSERT_TRUE(container.ok()) << error_of(container);
  EXPECT_EQ(*wait_container(paths_, *container), 5);
  EXPECT_TRUE(holder->wait()->ok());
  ::close(told[0]);
  ::close(told[1]);
}

TEST_F(Store, OneOfSeveralWhoWaitSweepsWhatDiedUnseen) {
  const sys::Child process = sleeper();
  Container container;
  {
    OwnedContainer owned = create(false, "web");
    ASSERT_TRUE(owned.write_state(running(process.pid())).ok());
    container = *load_container(paths_, owned.id());
  }
  const sys::Child other = looker(container.record.id, LOCK_SH);
  EXPECT_EQ(*wait_container(paths_, container), 137);
}

TEST_F(Store, RemovingWaitsForWhoLooksAtItJustThen) {
  Container container;
  {
    OwnedContainer owned = create(false, "web");
    ASSERT_TRUE(owned.write_state({.status = Status::exited}).ok());
    container = *load_container(paths_, owned.id());
  }
  const sys::Child other = looker(container.record.id, LOCK_EX);
  EXPECT_TRUE(remove_container(paths_, container, false, 0).ok());
  EXPECT_FALSE(folder_of(paths_, container.record.id));
  EXPECT_THAT(*sys::list_dir(paths_.names()), IsEmpty());
}

TEST_F(Store, ANameIsWaitedForWhileItsContainerIsRemoved) {
  std::string id;
  {
    id = OwnedContainer::create(paths_, false, "web", false)->id();
  }
  const sys::Child other = looker(id, LOCK_EX);
  EXPECT_EQ(create(false, "web").name(), "web");
  EXPECT_FALSE(sys::exists(paths_.lasting_containers() + "/" + id));
}

TEST_F(Store, AProcessIdAloneProvesNothing) {
  Container container{.record = {.name = "web"}, .state = running()};
  EXPECT_TRUE(open_init(container).ok());
  container.state.start_ticks += 1;  // the number was given away again
  EXPECT_EQ(error_of(open_init(container)), "container web is not running");
  container.state = running();
  container.state.boot_id = "another boot";
  EXPECT_EQ(error_of(kill_container(container, SIGKILL)), "container web is not running");
  container.state = running();
  container.state.status = Status::exited;
  EXPECT_EQ(error_of(open_init(container)), "container web is not running");
}

using StoreInUserNamespace = Store;

TEST_F(StoreInUserNamespace, FilesOfOtherOwnersAreRemovedToo) {
  const uid_t uid = ::geteuid();
  const Result<sys::SubordinateIds> ids = sys::read_subordinate_ids(sys::user_name(uid), uid);
  ASSERT_TRUE(ids.ok());
  if (ids->empty() || !sys::find_program("newuidmap"))
    GTEST_SKIP() << "this user has no subordinate ids, or no newuidmap";
  const IdMap map{sys::id_ranges(uid, ids->uids), sys::id_ranges(::getegid(), ids->gids)};
  OwnedContainer container = create(true);
  const std::string folder = container.lasting() + "/upper";
  make_dir(folder + "/theirs/inner");
  ASSERT_EQ(*sys::run_in_user_namespace(map,
                                        [&] {
                                          return ::chown((folder + "/theirs/inner").c_str(), 5, 5) == 0 &&
                                                         ::chown((folder + "/theirs").c_str(), 5, 5) == 0 &&
                                                         ::chmod((folder + "/theirs").c_str(), 0700) == 0
                                                     ? 0
                                                     : 1;
                                        }),
            0);
  const Result<Ok> removed = container.remove(map);
  EXPECT_TRUE(removed.ok()) << error_of(removed);
  // Nothing of it was moved elsewhere and forgotten.
  EXPECT_THAT(*sys::list_dir(paths_.lasting_containers()), IsEmpty());
}

}  // namespace
}  // namespace moss::engine
