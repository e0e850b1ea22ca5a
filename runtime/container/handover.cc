// Giving the caller what it asked for.
#include "runtime/container/handover.hh"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "moss/runtime/container.hh"
#include "moss/sys/file.hh"
#include "moss/sys/socket.hh"

namespace moss::runtime {

// A path longer than an address is reached through its folder's descriptor.
Result<Fd> connect_to(const std::string& path, int type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Fd folder;
  std::string name = path;
  if (name.size() >= sizeof address.sun_path) {
    const size_t slash = path.find_last_of('/');
    folder =
        TRY(sys::open_at(AT_FDCWD, slash == std::string::npos ? "." : path.substr(0, slash + 1), O_PATH | O_DIRECTORY));
    name = cat("/proc/self/fd/", folder.get(), "/", path.substr(slash + 1));
    if (name.size() >= sizeof address.sun_path) return Error(ENAMETOOLONG, "connect to ", path);
  }
  name.copy(address.sun_path, name.size());
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sys_error("connect to ", path);
  }
  return socket;
}

namespace {

Result<Ok> send_fd(const std::string& path, int fd, std::string name) {
  const Fd socket = TRY(connect_to(path, SOCK_STREAM));
  if (sys::send_with_descriptor(socket.get(), name.data(), name.size(), fd) < 0) return sys_error("send over ", path);
  return Ok{};
}

}  // namespace

Result<Ok> write_pid_file(const std::string& path, pid_t pid) {
  if (path.empty()) return Ok{};
  return sys::replace_file(path, std::to_string(pid)).context("write the pid file");
}

Result<Ok> send_terminal(const std::string& path, int master) {
  unsigned number = 0;
  if (::ioctl(master, TIOCGPTN, &number) != 0) return sys_error("ask for the terminal's name");
  return send_fd(path, master, cat("/dev/pts/", number)).context("give the terminal away");
}

Result<Ok> send_pidfd(const std::string& path, int pidfd) {
  if (path.empty()) return Ok{};
  return send_fd(path, pidfd, "pidfd").context("give the process away");
}

Result<Ok> check_console(bool terminal, bool attached, const std::string& console_socket) {
  if (terminal && !attached && console_socket.empty()) {
    return Error(0, "process.terminal: needs --console-socket, to give the terminal to");
  }
  if (!terminal && !console_socket.empty()) return Error(0, "--console-socket: process.terminal is not set");
  return Ok{};
}

Result<std::string> hold_preserved(uint32_t preserve) {
  if (preserve > 1u << 20) return Error(0, "--preserve-fds ", preserve, ": too many");
  std::vector<std::string> missing;
  for (uint32_t i = 0; i < preserve; ++i) {
    const int fd = static_cast<int>(3 + i);
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    Fd filler = TRY(sys::open_at(AT_FDCWD, "/", O_PATH).context("--preserve-fds ", preserve));
    if (filler.get() == fd) {
      (void)filler.release();
    } else if (::dup3(filler.get(), fd, O_CLOEXEC) < 0) {
      return sys_error("--preserve-fds ", preserve);
    }
    missing.push_back(std::to_string(fd));
  }
  return join(missing, ", ");
}

}  // namespace moss::runtime
