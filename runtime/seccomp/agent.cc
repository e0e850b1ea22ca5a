// Handing a filter's listener to who answers for it.
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "moss/base/fd.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/socket.hh"

namespace moss::runtime {

namespace {

constexpr int kPatience_s = 5;

}  // namespace

Result<Ok> send_to_seccomp_agent(const std::string& path, std::string_view state, int listener) {
  const std::string shown = printable(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Error(ENAMETOOLONG, "linux.seccomp.listenerPath: connect to ", shown);
  }
  ::memcpy(address.sun_path, path.data(), path.size());
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return sys_error("make a socket");
  // An agent that takes nothing must not hold up the container for ever.
  const timeval patience{.tv_sec = kPatience_s, .tv_usec = 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sys_error("linux.seccomp.listenerPath: connect to ", shown);
  }
  // One message, whatever its size: the descriptor comes with the first byte, the object must come whole.
  const ssize_t sent = sys::send_with_descriptor(socket.get(), state.data(), state.size(), listener);
  if (sent < 0) return sys_error("linux.seccomp.listenerPath: send the listener to ", shown);
  if (static_cast<size_t>(sent) != state.size()) {
    return Error(EMSGSIZE, "linux.seccomp.listenerPath: send the listener to ", shown);
  }
  return Ok{};
}

}  // namespace moss::runtime
