// Which of the two tools can work on this machine.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "moss/engine/network.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

constexpr const char* kTun = "/dev/net/tun";

std::string describe_tun_problem(int code) {
  if (code != EACCES && code != EPERM) {
    return cat("open ", kTun, ": ", std::string_view(::strerror(code)), "; load the driver: sudo modprobe tun");
  }
  struct stat status;
  if (::stat(kTun, &status) != 0) return cat("open ", kTun, ": permission denied");
  const unsigned mode = status.st_mode & 0777;
  const char octal[] = {static_cast<char>('0' + (mode >> 6)), static_cast<char>('0' + (mode >> 3 & 7)),
                        static_cast<char>('0' + (mode & 7)), '\0'};
  return cat(kTun, " is closed to this user (mode ", std::string_view(octal), ", owner ", status.st_uid, ", group ",
             status.st_gid, "); open it: sudo chmod 666 ", kTun);
}

// The table has a line a route, the destination in its second column.
bool probe_default_route() {
  const Result<std::string> table = sys::read_kernel_file("/proc/net/route");
  if (table.ok()) {
    for (const std::string_view line : split(*table, '\n')) {
      const std::vector<std::string_view> columns = split(line, '\t');
      if (columns.size() > 7 && columns[1] == "00000000" && columns[7] == "00000000") return true;
    }
  }
  // Destination, its length, ...; the last column is the interface, and lo holds the kernel's own "unreachable".
  const Result<std::string> table6 = sys::read_kernel_file("/proc/net/ipv6_route");
  if (!table6.ok()) return false;
  for (const std::string_view line : split(*table6, '\n')) {
    if (line.starts_with("00000000000000000000000000000000 00 ") && !line.ends_with(" lo")) return true;
  }
  return false;
}

}  // namespace

const char* to_string(NetworkTool tool) { return tool == NetworkTool::pasta ? "pasta" : "slirp4netns"; }

NetworkTools probe_network_tools() {
  NetworkTools tools{.pasta = sys::find_program("pasta"),
                     .slirp4netns = sys::find_program("slirp4netns"),
                     .has_default_route = probe_default_route()};
  // Tried rather than looked at: a device cgroup or a security module may say no where the mode says yes.
  const Result<Fd> tun = sys::open_at(AT_FDCWD, kTun, O_RDWR);
  if (!tun.ok()) tools.tun_problem = describe_tun_problem(tun.error().code());
  return tools;
}

Result<NetworkTool> choose_network_tool(const NetworkTools& tools) {
  if (!tools.pasta && !tools.slirp4netns) {
    return Error(0, "no user-mode network: neither pasta nor slirp4netns is installed; sudo apt install passt, ",
                 "or use --network none");
  }
  if (!tools.tun_problem.empty()) {
    return Error(0, "no user-mode network: ", tools.tun_problem, ", or use --network none");
  }
  const bool pasta_is_better = tools.has_default_route && !tools.pasta_keeps_silent;
  return tools.pasta && (pasta_is_better || !tools.slirp4netns) ? NetworkTool::pasta : NetworkTool::slirp4netns;
}

bool keeps_silent(std::string_view version_line) {
  // The date of the commit it was built from, in one of many forms: 0.0~git20250503.587980c-2, 2024_03_26.4988e2b.
  for (size_t at = version_line.find("20"); at != std::string_view::npos; at = version_line.find("20", at + 1)) {
    std::string date;
    for (const char c : version_line.substr(at)) {
      if (c != '_' && c != '-' && (c < '0' || c > '9')) break;
      if (c != '_' && c != '-' && date.size() < 8) date += c;
    }
    if (date.size() == 8) return date < "20240326";
  }
  return true;
}

bool pasta_keeps_silent(const std::string& program) {
  Result<sys::Pipe> pipe = sys::make_pipe();
  if (!pipe.ok()) return true;
  Result<sys::Child> child = sys::spawn({program, "--version"}, {.stdout_fd = pipe->writing.get()});
  pipe->writing.reset();
  if (!child.ok()) return true;
  char text[256];
  const ssize_t got = ::read(pipe->reading.get(), text, sizeof text);
  (void)child->wait();
  const std::string_view said(text, got > 0 ? static_cast<size_t>(got) : 0);
  return keeps_silent(said.substr(0, said.find('\n')));
}

}  // namespace moss::engine
