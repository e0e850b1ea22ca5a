// See socket.hh.
#include "moss/sys/socket.hh"

#include <string.h>
#include <sys/socket.h>

#include <cassert>
#include <cerrno>

namespace moss::sys {

namespace {

constexpr size_t kMost = 8;

}  // namespace

Result<SocketPair> make_socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return sys_error("make a socket pair");
  return SocketPair{Fd(ends[0]), Fd(ends[1])};
}

ssize_t send_with_descriptors(int socket, const void* data, size_t size, std::span<const int> descriptors) {
  assert(!descriptors.empty() && descriptors.size() <= kMost);
  iovec part{.iov_base = const_cast<void*>(data), .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMost * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  ::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

ssize_t receive_with_descriptors(int socket, void* data, size_t size, std::span<Fd> descriptors) {
  assert(descriptors.size() <= kMost);
  iovec part{.iov_base = data, .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMost * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  // Not CMSG_SPACE, whose padding could hold one more.
  message.msg_controllen = CMSG_LEN(descriptors.size() * sizeof(int));
  ssize_t got;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return got;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return got;
  const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count && i < descriptors.size(); ++i) {
    int descriptor;
    ::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof descriptor, sizeof descriptor);
    descriptors[i].reset(descriptor);
  }
  return got;
}

}  // namespace moss::sys
