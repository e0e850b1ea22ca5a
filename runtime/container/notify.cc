// See notify.hh.
#include "runtime/container/notify.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/container/handover.hh"

namespace moss::runtime {

namespace {

constexpr const char* kVariable = "NOTIFY_SOCKET=";
constexpr const char* kFolder = "notify";
constexpr const char* kSocket = "notify/notify.sock";

Result<Fd> connect_to_manager(const std::string& name) {
  if (!name.starts_with('@')) return connect_to(name, SOCK_DGRAM);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() > sizeof address.sun_path) return Error(ENAMETOOLONG, "connect to ", name);
  // An abstract name begins with a zero byte and ends with its length.
  name.copy(address.sun_path + 1, name.size() - 1, 1);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    return sys_error("connect to ", name);
  }
  return socket;
}

// What lies in the socket, message by message, until one has the line.
bool read_ready(int socket) {
  char buffer[4096];
  for (;;) {
    const ssize_t size = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    for (const std::string_view line : split(std::string_view(buffer, static_cast<size_t>(size)), '\n')) {
      if (line == "READY=1") return true;
    }
  }
}

}  // namespace

Result<bool> hands_on_readiness(const std::string& notify_socket, const oci::Config& config) {
  if (notify_socket.empty()) return false;
  if (notify_socket[0] != '/' && notify_socket[0] != '@') {
    return Error(0, "NOTIFY_SOCKET=", printable(notify_socket), " is neither a path nor an abstract name");
  }
  return std::none_of(config.process.env.begin(), config.process.env.end(),
                      [](const std::string& variable) { return variable.starts_with(kVariable); });
}

void show_notify_folder(oci::Config& config, const std::string& folder) {
  config.mounts.push_back({
      .destination = "/run/notify",
      .type = "bind",
      .source = cat(folder, "/", kFolder),
      .options = {"bind", "nosuid", "noexec", "nodev", "ro"},
      .uid_mappings = {},
      .gid_mappings = {},
  });
  config.process.env.push_back(cat(kVariable, "/run/", kSocket));
}

// Both have their mode whatever the umask is: the users of the container are others.
Result<Ok> make_notify_folder(int dir) {
  if (::mkdirat(dir, kFolder, 0700) != 0 || ::fchmodat(dir, kFolder, 0755, 0) != 0) {
    return sys_error("make the folder for NOTIFY_SOCKET");
  }
  return Ok{};
}

bool has_notify_folder(int dir) { return ::faccessat(dir, kFolder, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

void remove_notify_folder(int dir) {
  (void)::unlinkat(dir, kSocket, 0);
  (void)::unlinkat(dir, kFolder, AT_REMOVEDIR);
}

Result<Fd> bind_notify_socket(int dir) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The folder's descriptor is its short name: folder.cc.
  cat("/proc/self/fd/", dir, "/", kSocket).copy(address.sun_path, sizeof address.sun_path - 1);
  (void)::unlinkat(dir, kSocket, 0);
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::fchmodat(dir, kSocket, 0777, 0) != 0) {
    return sys_error("make the container's NOTIFY_SOCKET");
  }
  return socket;
}

Result<Ok> hand_on_readiness(int socket, int pidfd, const std::string& notify_socket, pid_t main_pid) {
  pollfd events[] = {{.fd = socket, .events = POLLIN, .revents = 0}, {.fd = pidfd, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (::poll(events, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return sys_error("wait for READY=1");
    }
    // The word comes first: it may be the last thing that a process says.
    if (read_ready(socket)) break;
    if (events[1].revents != 0) return Ok{};
  }
  const Fd manager = TRY(connect_to_manager(notify_socket).context("hand READY=1 on"));
  // In one message: whoever counts as ready is whoever is meant.
  const std::string word = main_pid == 0 ? "READY=1" : cat("MAINPID=", main_pid, "\nREADY=1");
  if (::send(manager.get(), word.data(), word.size(), MSG_NOSIGNAL) < 0) return sys_error("hand READY=1 on");
  return Ok{};
}

}  // namespace moss::runtime
