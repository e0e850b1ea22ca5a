// A container's log, from the front, from the back, and while it grows.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include "moss/engine/container.hh"
#include "moss/sys/child.hh"
#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

class Logs : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    container_.folder = root();
    container_.record = {.id = "c", .name = "web"};
    write(path("ctr.log"),
          "2026-11-23T01:00:00.000000000Z stdout F one\n"
          "2026-11-23T02:00:00.000000000Z stderr F two\n"
          "2026-11-23T03:00:00.000000000Z stdout P thr\n"
          "2026-11-23T03:00:00.000000000Z stdout F ee\n"
          "2026-11-23T04:00:00.000000000Z stdout F \n"
          "2026-11-23T05:00:00.000000000Z stdout F  spaces  stay \n");
  }
  // What went to standard output, what to the error ("[e:…]").
  std::string log(const LogOptions& options) {
    std::string out;
    const Result<Ok> read = read_log({.data = path("data"), .run = path("run")}, container_, options,
                                     [&](bool is_stderr, std::string_view text) -> Result<Ok> {
                                       out += is_stderr ? cat("[e:", text, "]") : std::string(text);
                                       return Ok{};
                                     });
    return read.ok() ? out : "error: " + read.error().to_string();
  }
  Container container_;
};

TEST_F(Logs, GiveEverythingAsItWasWritten) { EXPECT_EQ(log({}), "one\n[e:two][e:\n]three\n\n spaces  stay \n"); }

TEST_F(Logs, TailCountsLinesNotRecords) {
  EXPECT_EQ(log({.tail = 0}), "");
  EXPECT_EQ(log({.tail = 1}), " spaces  stay \n");
  EXPECT_EQ(log({.tail = 2}), "\n spaces  stay \n");
  EXPECT_EQ(log({.tail = 3}), "three\n\n spaces  stay \n");
  EXPECT_EQ(log({.tail = 4}), "[e:two][e:\n]three\n\n spaces  stay \n");
  EXPECT_EQ(log({.tail = 100}), log({}));
}

TEST_F(Logs, TailFindsItsWayThroughALongLog) {
  std::string text;
  for (int i = 0; i < 20000; ++i) text += cat("2026-11-23T01:00:00.000000000Z stdout F line ", i, "\n");
  write(path("ctr.log"), text);
  EXPECT_EQ(log({.tail = 2}), "line 19998\nline 19999\n");
  std::string expected;
  for (int i = 5000; i < 20000; ++i) expected += cat("line ", i, "\n");
  EXPECT_EQ(log({.tail = 15000}), expected);
}

TEST_F(Logs, TailCountsAnUnfinishedLastLine) {
  write(path("ctr.log"), "2026-11-23T01:00:00Z stdout F one\n2026-11-23T01:00:00Z stdout P unfinished\n");
  EXPECT_EQ(log({.tail = 1}), "unfinished");
}

TEST_F(Logs, SinceAndUntilAreHalfOpen) {
  EXPECT_EQ(log({.since = "2026-11-23T02:00:00Z", .until = "2026-11-23T04:00:00Z"}), "[e:two][e:\n]three\n");
  EXPECT_EQ(log({.since = "2026-11-24"}), "");
  EXPECT_EQ(log({.until = "2026-11-23"}), "");
  EXPECT_EQ(log({.since = "1"}), log({}));
  EXPECT_EQ(log({.since = "2026-11-23T04:00:00+02:00", .until = "2026-11-23T05:00:00.5+02:00"}),
            log({.since = "2026-11-23T02:00:00Z", .until = "2026-11-23T03:00:00.5Z"}));
}

TEST_F(Logs, MomentsThatAreNoneAreRefused) {
  for (const char* moment : {"yesterday", "5", "10x", "h", "5m3"}) {
    if (std::string_view(moment) == "5") continue;  // seconds since 1970
    EXPECT_EQ(log({.since = moment}),
              cat("error: --since: ", moment,
                  " is no time; give 2026-11-23T01:02:03Z, seconds since 1970, or how long ago: 10m, 2h"));
  }
}

TEST_F(Logs, TimestampsComeOnceALine) {
  EXPECT_EQ(log({.timestamps = true, .tail = 3}),
            "2026-11-23T03:00:00.000000000Z three\n2026-11-23T04:00:00.000000000Z \n"
            "2026-11-23T05:00:00.000000000Z  spaces  stay \n");
}

TEST_F(Logs, LinesThatAreNoRecordsAreSkipped) {
  write(path("ctr.log"), "\nrubbish\na b\na b c\n2026-11-23T01:00:00Z stdout F good\nhalf a rec");
  EXPECT_EQ(log({}), "good\n");
}

TEST_F(Logs, WithoutALogThereIsAWordAboutIt) {
  ASSERT_EQ(::unlink(path("ctr.log").c_str()), 0);
  EXPECT_EQ(log({}), "error: container web keeps no log: it runs in the foreground with --rm");
}

TEST_F(Logs, FollowingEndsWithTheContainerAndMissesNothing) {
  make_dir(path("run/containers/c"));
  const std::string lock = path("run/containers/c/lock");
  int told[2];
  ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
  Result<sys::Child> keeper = sys::fork_child([&] {
    const Result<sys::FileLock> held = sys::FileLock::acquire(lock);
    if (!held.ok()) return 1;
    (void)!::write(told[1], "x", 1);
    const Fd file(::open(path("ctr.log").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    for (int i = 0; i < 50; ++i) {
      (void)sys::write_all(file.get(), cat("2026-11-23T06:00:00Z stdout F more ", i, "\n"), "log");
      ::usleep(1000);
    }
    (void)sys::write_all(held->fd(), "{}", "lock");
    return 0;
  });
  char byte;
  ASSERT_EQ(::read(told[0], &byte, 1), 1);
  container_.state.status = Status::running;
  std::string expected = " spaces  stay \n";
  for (int i = 0; i < 50; ++i) expected += cat("more ", i, "\n");
  const std::string seen = log({.follow = true});
  EXPECT_THAT(seen, ::testing::EndsWith(expected));
  EXPECT_TRUE(keeper->wait()->ok());
  ::close(told[0]);
  ::close(told[1]);
}

}  // namespace
}  // namespace moss::engine
