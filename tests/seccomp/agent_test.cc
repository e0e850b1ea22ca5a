// The listener reaches the agent with the state, whole, in one message.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "moss/runtime/seccomp.hh"
#include "tests/sys/temporary.hh"

namespace moss::runtime {
namespace {

class SeccompAgent : public TemporaryTest {
 protected:
  Fd listen() const {
    Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ::strncpy(address.sun_path, path("agent").c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 1), 0);
    return socket;
  }
};

TEST_F(SeccompAgent, GetsTheListenerWithTheState) {
  const Fd agent = listen();
  write(path("stands for the listener"), "it");
  const Fd sent(::open(path("stands for the listener").c_str(), O_RDONLY | O_CLOEXEC));
  const std::string state(20000, 's');
  ASSERT_EQ(error_of(send_to_seccomp_agent(path("agent"), state, sent.get())), "no error");
  const Fd connection(::accept4(agent.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string text(state.size() + 1, '\0');
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ASSERT_EQ(::recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC), static_cast<ssize_t>(state.size()));
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  ASSERT_NE(header, nullptr);
  int got = -1;
  ::memcpy(&got, CMSG_DATA(header), sizeof got);
  const Fd listener(got);
  char byte[3] = {};
  EXPECT_EQ(::read(listener.get(), byte, 2), 2);
  EXPECT_STREQ(byte, "it");
}

TEST_F(SeccompAgent, ThatIsNotThereIsAnErrorWithItsPath) {
  EXPECT_EQ(error_of(send_to_seccomp_agent(path("agent"), "{}", 0)),
            cat("linux.seccomp.listenerPath: connect to ", path("agent"), ": No such file or directory"));
  const std::string longest = "/" + std::string(200, 'x');
  EXPECT_EQ(error_of(send_to_seccomp_agent(longest, "{}", 0)),
            cat("linux.seccomp.listenerPath: connect to ", longest, ": File name too long"));
}

}  // namespace
}  // namespace moss::runtime
