// A machine that allows no more threads.
#include "moss/sys/thread.hh"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "moss/sys/child.hh"

namespace moss::sys {
namespace {

TEST(Thread, Runs) {
  int seen = 0;
  Result<std::thread> thread = start_thread([&] { seen = 1; });
  ASSERT_TRUE(thread.ok());
  thread->join();
  EXPECT_EQ(seen, 1);
}

TEST(Thread, ThatIsNotAllowedIsAnErrorAndNoException) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may have any number of processes";
  Result<Child> child = fork_child([] {
    const rlimit none{};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0) return 1;
    const Result<std::thread> thread = start_thread([] {});
    return !thread.ok() && thread.error().code() == EAGAIN ? 0 : 2;
  });
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(child->wait()->shell_code(), 0);
}

}  // namespace
}  // namespace moss::sys
