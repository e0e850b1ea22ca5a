// Errors as values, and descriptors that close themselves.
#include "moss/base/result.hh"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <memory>

#include "moss/base/fd.hh"

namespace moss {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return Error(EINVAL, "halve ", number);
  return number / 2;
}

Result<std::string> quarter_in_words(int number) {
  const int once = TRY(half(number));
  const int twice = TRY(half(once).context("again"));
  return cat("a quarter is ", twice);
}

TEST(Result, TryGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(*quarter_in_words(8), "a quarter is 2");
  EXPECT_EQ(quarter_in_words(3).error().to_string(), "halve 3: Invalid argument");
  EXPECT_EQ(quarter_in_words(6).error().to_string(), "again: halve 3: Invalid argument");
}

TEST(Result, ContextComesInFrontAndKeepsCodeAndExitCode) {
  Result<Ok> result = Error(ENOENT, "open /etc/x").with_exit_code(127);
  const Result<Ok> outer = std::move(result).context("start ", "web").context("run");
  EXPECT_EQ(outer.error().to_string(), "run: start web: open /etc/x: No such file or directory");
  EXPECT_EQ(outer.error().message(), "run: start web: open /etc/x");
  EXPECT_EQ(outer.error().code(), ENOENT);
  EXPECT_EQ(outer.error().exit_code(), 127);
}

TEST(Result, ContextLeavesAValueAlone) { EXPECT_EQ(*half(4).context("unheard"), 2); }

TEST(Result, HoldsWhatCanOnlyBeMoved) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const auto use = [&]() -> Result<int> { return *TRY(make()); };
  EXPECT_EQ(*use(), 7);
}

TEST(Error, WithoutACodeIsItsMessage) {
  EXPECT_EQ(Error(0, "no such container").to_string(), "no such container");
  EXPECT_EQ(Error(0, "x").exit_code(), std::nullopt);
}

TEST(Error, FromErrnoKeepsTheErrnoOfTheFailedCall) {
  errno = EACCES;
  EXPECT_EQ(sys_error("open ", 5).to_string(), "open 5: Permission denied");
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesAtTheEndOfItsScopeAndKeepsErrno) {
  int number = -1;
  {
    Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = fd.get();
    ASSERT_TRUE(fd);
    ASSERT_TRUE(is_open(number));
    errno = EXDEV;
  }
  EXPECT_EQ(errno, EXDEV);
  EXPECT_FALSE(is_open(number));
}

TEST(Fd, MovingHandsTheDescriptorOver) {
  Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = first.get();
  Fd second(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int replaced = second.get();
  second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), number);
  EXPECT_FALSE(is_open(replaced));
  Fd released(second.release());
  EXPECT_FALSE(second);
  EXPECT_TRUE(is_open(number));
}

}  // namespace
}  // namespace moss
