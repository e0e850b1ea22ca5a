// Descriptors over sockets.
#include "moss/sys/socket.hh"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

namespace moss::sys {
namespace {

class DescriptorsOverASocket : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here_.reset(ends[0]);
    there_.reset(ends[1]);
  }
  Fd here_;
  Fd there_;
};

TEST_F(DescriptorsOverASocket, ADescriptorArrivesWithItsBytes) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const Fd reading(pipe[0]);
  const Fd writing(pipe[1]);
  ASSERT_EQ(send_with_descriptor(here_.get(), "abc", 3, writing.get()), 3);
  char text[8];
  std::array<Fd, 2> got;
  ASSERT_EQ(receive_with_descriptors(there_.get(), text, sizeof text, got), 3);
  EXPECT_EQ(std::string_view(text, 3), "abc");
  ASSERT_TRUE(got[0]);
  EXPECT_FALSE(got[1]);
  EXPECT_EQ(::fcntl(got[0].get(), F_GETFD), FD_CLOEXEC);
  ASSERT_EQ(::write(got[0].get(), "x", 1), 1);
  char x = 0;
  EXPECT_EQ(::read(reading.get(), &x, 1), 1);
  EXPECT_EQ(x, 'x');
}

TEST_F(DescriptorsOverASocket, OneThatNobodyWantsIsClosed) {
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0);
  const Fd reading(pipe[0]);
  Fd writing(pipe[1]);
  ASSERT_EQ(send_with_descriptor(here_.get(), "abc", 3, writing.get()), 3);
  writing.reset();
  char text[8];
  ASSERT_EQ(receive_with_descriptors(there_.get(), text, sizeof text, {}), 3);
  char x;
  EXPECT_EQ(::read(reading.get(), &x, 1), 0) << "somebody still holds the other end";
}

TEST_F(DescriptorsOverASocket, TheEndIsTheEnd) {
  here_.reset();
  char text[8];
  EXPECT_EQ(receive_with_descriptors(there_.get(), text, sizeof text, {}), 0);
}

}  // namespace
}  // namespace moss::sys
