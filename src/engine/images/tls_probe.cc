// A handshake's first bytes. See the header. Spec: RFC 8446 "Record Protocol".
#include "tls_probe.hh"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "moss/base/fd.hh"
#include "moss/base/text.hh"

namespace moss::engine {

namespace {

constexpr int kWaitMs = 1000;
// A record of type "handshake" with a ClientHello that ends too early: enough for an alert, not for a connection.
constexpr char kHello[] = {0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00};
constexpr char kAlert = 0x15;
constexpr char kHandshake = 0x16;

bool wait_for(const Fd& socket, short events) {
  pollfd wait{.fd = socket.get(), .events = events, .revents = 0};
  return ::poll(&wait, 1, kWaitMs) == 1;
}

}  // namespace

std::optional<bool> speaks_tls(const std::string& host) {
  const auto [name, port_text] = cut(host, ':');
  const std::optional<uint16_t> port = parse_number<uint16_t>(port_text.value_or("443"));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  // Names and IPv6 are for libcurl.
  if (!port || ::inet_pton(AF_INET, std::string(name).c_str(), &address.sin_addr) != 1) return std::nullopt;
  address.sin_port = htons(*port);
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return std::nullopt;
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      (errno != EINPROGRESS || !wait_for(socket, POLLOUT))) {
    return std::nullopt;
  }
  if (::send(socket.get(), kHello, sizeof kHello, MSG_NOSIGNAL) != sizeof kHello) return std::nullopt;
  // A server that waits for the end of a line gets the end of everything.
  ::shutdown(socket.get(), SHUT_WR);
  char first = 0;
  if (!wait_for(socket, POLLIN) || ::recv(socket.get(), &first, 1, 0) != 1) return std::nullopt;
  if (first == kAlert || first == kHandshake) return true;
  if (first == 'H') return false;
  return std::nullopt;
}

}  // namespace moss::engine
