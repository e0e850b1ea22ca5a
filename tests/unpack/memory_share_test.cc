// The memory that processes unpack in is taken, waited for and given back.
#include "src/engine/unpack/memory_share.hh"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "moss/base/fd.hh"
#include "moss/engine/unpack.hh"

namespace moss::test {
namespace {

using engine::MemoryShare;

constexpr size_t kMiB = 1u << 20;

/// A process that takes what it is told, says so, and holds it until it is killed.
class Holder {
 public:
  Holder(int budget, const std::function<bool(MemoryShare&)>& take) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    told_.reset(ends[0]);
    const Fd tell(ends[1]);
    pid_ = ::fork();
    if (pid_ == 0) {
      MemoryShare share(budget);
      const char done = take(share) ? 'y' : 'n';
      if (::write(tell.get(), &done, 1) == 1) ::pause();
      ::_exit(0);
    }
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() { end(); }

  bool has_it() const {
    char done = 0;
    return ::read(told_.get(), &done, 1) == 1 && done == 'y';
  }
  /// Whether it is still waiting for a lock, and not just on its way there.
  bool waits() const {
    for (int i = 0; i < 2000; ++i) {
      if (std::system(cat("grep -q -e '-> POSIX .* ", pid_, " ' /proc/locks").c_str()) == 0) return true;
      ::usleep(5'000);
    }
    return false;
  }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  Fd told_;
  pid_t pid_ = 0;
};

class MemoryBudget : public testing::Test {
 protected:
  static std::function<bool(MemoryShare&)> window(size_t bytes) {
    return [bytes](MemoryShare& share) { return share.take(bytes).ok(); };
  }
  const Fd budget_ = engine::make_memory_budget().value();
};

TEST_F(MemoryBudget, FourUsualLayersAreUnpackedAtOnce) {
  for (const size_t bytes : {size_t{0}, 2 * kMiB, 4 * kMiB}) {
    const Holder a(budget_.get(), window(bytes)), b(budget_.get(), window(bytes)), c(budget_.get(), window(bytes)),
        d(budget_.get(), window(bytes));
    EXPECT_TRUE(a.has_it() && b.has_it() && c.has_it() && d.has_it());
  }
}

TEST_F(MemoryBudget, ALargeWindowIsWaitedFor) {
  Holder small(budget_.get(), window(0));
  EXPECT_TRUE(small.has_it());
  Holder large(budget_.get(), window(32 * kMiB));
  EXPECT_TRUE(large.waits());
  // However one ends, its share is free.
  small.end();
  EXPECT_TRUE(large.has_it());
  const Holder next(budget_.get(), window(2 * kMiB));
  EXPECT_TRUE(next.waits());
  large.end();
  EXPECT_TRUE(next.has_it());
}

TEST_F(MemoryBudget, TwoThatWantMoreDoNotWaitForEachOther) {
  const auto grow = [this](MemoryShare&) {
    // One that ends before its process does.
    MemoryShare share(budget_.get());
    if (!share.take(2 * kMiB).ok() || share.covers(32 * kMiB)) return false;
    return share.take(32 * kMiB).ok() && share.covers(32 * kMiB);
  };
  const Holder a(budget_.get(), grow), b(budget_.get(), grow), c(budget_.get(), grow);
  EXPECT_TRUE(a.has_it() && b.has_it() && c.has_it());
}

TEST_F(MemoryBudget, WhoWaitsForAllTakesNothingFromWhoNeedsALittle) {
  MemoryShare share(budget_.get());
  ASSERT_TRUE(share.take(2 * kMiB).ok());
  const Holder large(budget_.get(), window(32 * kMiB));
  ASSERT_TRUE(large.waits());
  EXPECT_TRUE(share.keep(20 * kMiB).ok());
}

TEST_F(MemoryBudget, WhatIsKeptIsCountedWithTheWindow) {
  const auto keeps = [](size_t bytes) {
    return [bytes](MemoryShare& share) { return share.take(2 * kMiB).ok() && share.keep(bytes).ok(); };
  };
  {
    const Holder a(budget_.get(), keeps(10 * kMiB)), b(budget_.get(), keeps(10 * kMiB));
    EXPECT_TRUE(a.has_it() && b.has_it());
    const Holder c(budget_.get(), keeps(0));
    EXPECT_TRUE(c.waits());
  }
  // The most that one may keep, and a few folders with the largest window.
  EXPECT_TRUE(Holder(budget_.get(), keeps(32 * kMiB)).has_it());
  EXPECT_FALSE(Holder(budget_.get(), keeps(40 * kMiB)).has_it());
  MemoryShare share(budget_.get());
  EXPECT_TRUE(share.take(32 * kMiB).ok() && share.keep(4 * kMiB).ok() && !share.keep(5 * kMiB).ok());
}

TEST_F(MemoryBudget, OfThoseWhoWouldWaitForEachOtherOneGoesOn) {
  MemoryShare share(budget_.get());
  ASSERT_TRUE(share.take(0).ok() && share.keep(12 * kMiB).ok());
  Holder other(budget_.get(), [](MemoryShare& its) { return its.take(0).ok() && its.keep(15 * kMiB).ok(); });
  ASSERT_TRUE(other.waits());
  // Nothing is left, and the other one does not let go either.
  EXPECT_TRUE(share.keep(13 * kMiB).ok());
}

TEST_F(MemoryBudget, WithoutOneNobodyWaits) {
  MemoryShare share(-1);
  EXPECT_TRUE(share.covers(32 * kMiB));
  EXPECT_TRUE(share.take(32 * kMiB).ok());
}

}  // namespace
}  // namespace moss::test
