// Descriptors over sockets: unix(7), SCM_RIGHTS.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <span>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

/// Two connected ends for whole messages (SOCK_SEQPACKET), close-on-exec.
struct SocketPair {
  Fd ours;
  Fd theirs;
};
Result<SocketPair> make_socket_pair();

/// sendmsg(2) of `size` bytes, with one descriptor or more (at most 8). A system call and the stack, so that a child of
/// a launch may use it; tried again where a signal came. The bytes that went, or -1 with errno.
ssize_t send_with_descriptors(int socket, const void* data, size_t size, std::span<const int> descriptors);
inline ssize_t send_with_descriptor(int socket, const void* data, size_t size, int descriptor) {
  return send_with_descriptors(socket, data, size, {&descriptor, 1});
}

/// recvmsg(2) of up to `size` bytes and as many descriptors (at most 8) as there is room for, close-on-exec; the kernel
/// closes what is beyond. Tried again where a signal came. The bytes that came, 0 at the end, or -1 with errno.
ssize_t receive_with_descriptors(int socket, void* data, size_t size, std::span<Fd> descriptors);

}  // namespace moss::sys
