// The helper process: started, waited for, and never left behind.
//
// pasta is started inside the container's user namespace already. Left to join it itself it would gain capabilities on
// the way, and the kernel forgets the parent-death signal of a process that does (prctl(2), PR_SET_PDEATHSIG); joined
// before, the signal stays and moss needs no guard process. Nothing above fd 2 survives in newer versions, so the
// standard descriptors carry everything: 0 is the network namespace, 1 the pid file, 2 the complaints. In the
// foreground the pid file is written when all is set up, after the last thing that may fail.
//
// slirp4netns joins the namespace in a child of its own and has both ends for us: --ready-fd and --exit-fd.
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>

#include "moss/engine/network.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

// Both need milliseconds; a machine under heavy load a second.
constexpr int kReadyTimeoutMs = 20'000;
constexpr size_t kMaxAnswerBytes = 4096;
// How the kernel calls an id that a user namespace does not map, user_namespaces(7).
constexpr uid_t kUnmappedId = 65534;

// For the helper's stderr: nobody reads it while the container runs, and a full pipe must not stop the network.
Result<sys::Pipe> make_complaint_pipe() {
  sys::Pipe pipe = TRY(sys::make_pipe());
  for (const int fd : {pipe.reading.get(), pipe.writing.get()}) {
    if (::fcntl(fd, F_SETFL, O_NONBLOCK) != 0) return sys_error("make a pipe non-blocking");
  }
  return pipe;
}

// Everything pasta's process needs between fork and execve.
struct PastaStart {
  const char* const* argv;
  int user_namespace;
  int network_namespace;
  int ready;
  int complaint;
  pid_t parent;
  bool parent_is_root;
};

// System calls only: the caller may have had threads.
bool keep_capabilities_across_exec() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2];
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  for (auto& half : data) half.inheritable = half.permitted;
  if (::syscall(SYS_capset, &header, data) != 0) return false;
  for (const int capability : {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_BIND_SERVICE}) {
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) return false;
  }
  return true;
}

// What failed, or it does not return.
const char* become_pasta(const PastaStart& start) {
  // Out of the way first, so that one dup2 cannot overwrite the source of the next.
  int standard[] = {start.network_namespace, start.ready, start.complaint};
  for (int& fd : standard) {
    if (fd < 3 && (fd = ::fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) return "set up the standard descriptors";
  }
  for (int to = 0; to < 3; ++to) {
    if (::dup2(standard[to], to) < 0) return "set up the standard descriptors";
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // The 2023 version takes an inherited SIG_IGN for an error of signal(2).
  for (const int signal : {SIGPIPE, SIGCHLD, SIGTERM, SIGQUIT}) ::signal(signal, SIG_DFL);
  // Out of reach of the terminal's signals, which are the container's to handle.
  ::setsid();
  if (::setns(start.user_namespace, CLONE_NEWUSER) != 0) return "join the container's user namespace";
  // Real root is not mapped in there, and pasta insists on being somebody.
  if (start.parent_is_root && ::geteuid() == kUnmappedId) {
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, 0, 0, 0) != 0 ||
        ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
      return "become root of the container's user namespace";
    }
  }
  // With --userns=keep-id we are not its root, and execve would take the capabilities that setns gave.
  if (!keep_capabilities_across_exec()) return "keep capabilities";
  // The last change of credentials was above: from here on the signal stays.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return "ask to die with moss";
  if (::getppid() != start.parent) return "find moss alive";
  static const char* const kEnvironment[] = {"PATH=/usr/bin:/bin", nullptr};
  ::execve(start.argv[0], const_cast<char* const*>(start.argv), const_cast<char* const*>(kEnvironment));
  return "execute it";
}

int run_pasta(const PastaStart& start) {
  const char* what = become_pasta(start);
  const char* why = ::strerrordesc_np(errno);
  for (const char* text : {what, ": ", why != nullptr ? why : "unknown error", "\n"}) {
    (void)!::write(start.complaint, text, ::strlen(text));
  }
  return 127;
}

Result<Fd> open_namespace(pid_t init, const char* kind) {
  return sys::open_at(AT_FDCWD, cat("/proc/", init, "/ns/", std::string_view(kind)), O_RDONLY)
      .context("connect the container's network");
}

Result<std::string> program_of(NetworkTool tool, const NetworkOptions& options) {
  if (!options.program.empty()) return options.program;
  const std::optional<std::string> found = sys::find_program(to_string(tool));
  if (found) return *found;
  return Error(0, to_string(tool), " is not installed; sudo apt install ",
               tool == NetworkTool::pasta ? "passt" : "slirp4netns");
}

// pasta's form: [address/]port:port
std::string pasta_spec(const PublishedPort& port) {
  return cat(port.host_ip, port.host_ip.empty() ? "" : "/", port.host_port, ':', port.container_port);
}

// One line of what the helper said, without what nobody can act on.
std::string read_complaint(int fd) {
  std::string text;
  char buffer[4096];
  ssize_t got;
  while (text.size() < 16 * sizeof buffer && (got = ::read(fd, buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(got));
  }
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view words = trim(line);
    // pasta's log may have no syslog to go to; slirp4netns tells every request and what it did.
    if (words.empty() || words.ends_with("bytes to syslog") || words.starts_with("api") ||
        words.starts_with("WARNING: Support for") || words.starts_with("sent tapfd") ||
        words.starts_with("received tapfd") || words.starts_with("starting slirp")) {
      continue;
    }
    if (!out.empty()) out += "; ";
    out += printable(words);
  }
  return out;
}

}  // namespace

Result<NetworkHelper> NetworkHelper::start(pid_t init, const std::vector<PublishedPort>& ports, NetworkTool tool,
                                           const NetworkOptions& options) {
  NetworkHelper helper(tool, ports);
  if (tool == NetworkTool::pasta) {
    TRY(helper.start_pasta(init, options));
  } else {
    TRY(helper.start_slirp4netns(init, options));
  }
  return helper;
}

Result<Ok> NetworkHelper::start_pasta(pid_t init, const NetworkOptions& options) {
  const std::string program = TRY(program_of(tool_, options));
  const Fd user_namespace = TRY(open_namespace(init, "user"));
  const Fd network_namespace = TRY(open_namespace(init, "net"));
  sys::Pipe ready = TRY(sys::make_pipe());
  sys::Pipe complaint = TRY(make_complaint_pipe());

  std::vector<std::string> words = {program,         "--foreground",      "--quiet", "--config-net",
                                    "--netns-only",  "--no-netns-quit",   "--netns", "/proc/self/fd/0",
                                    "--pid",         "/proc/self/fd/1",   "--mtu",   std::to_string(options.mtu),
                                    "--dns-forward", kForwardedNameserver};
  const auto add = [&](std::initializer_list<std::string> more) { words.insert(words.end(), more); };
  if (!options.ipv6) add({"--ipv4-only"});
  if (!options.host_loopback) add({"--no-map-gw"});
  // Its defaults would forward every port that anybody listens on, in both directions.
  add({"--tcp-ns", "none", "--udp-ns", "none"});
  for (const auto& [option, protocol] :
       {std::pair{"--tcp-ports", PublishedPort::tcp}, {"--udp-ports", PublishedPort::udp}}) {
    bool any = false;
    for (const PublishedPort& port : ports_) {
      if (port.protocol != protocol) continue;
      add({option, pasta_spec(port)});
      any = true;
    }
    if (!any) add({option, "none"});
  }
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  argv.push_back(nullptr);

  const bool is_root = ::geteuid() == 0;
  // pasta opens its stdout anew by its path in /proc, then as another user.
  if (is_root && ::fchmod(ready.writing.get(), 0666) != 0) return sys_error("open a pipe to pasta");
  const PastaStart start{argv.data(),
                         user_namespace.get(),
                         network_namespace.get(),
                         ready.writing.get(),
                         complaint.writing.get(),
                         ::getpid(),
                         is_root};
  child_ = TRY(sys::fork_child([&] { return run_pasta(start); }).context("start pasta"));
  ready_ = std::move(ready.reading);
  complaint_ = std::move(complaint.reading);
  return Ok{};
}

Result<Ok> NetworkHelper::start_slirp4netns(pid_t init, const NetworkOptions& options) {
  const std::string program = TRY(program_of(tool_, options));
  sys::Pipe ready = TRY(sys::make_pipe());
  sys::Pipe alive = TRY(sys::make_pipe());
  sys::Pipe complaint = TRY(make_complaint_pipe());

  std::vector<std::string> words = {program,
                                    "--configure",
                                    "--enable-sandbox",
                                    "--enable-seccomp",
                                    cat("--mtu=", options.mtu),
                                    cat("--ready-fd=", ready.writing.get()),
                                    cat("--exit-fd=", alive.reading.get())};
  if (options.ipv6) words.emplace_back("--enable-ipv6");
  if (!options.host_loopback) words.emplace_back("--disable-host-loopback");
  if (!ports_.empty()) {
    api_folder_ = std::make_unique<sys::TemporaryDir>(TRY(
        sys::TemporaryDir::create(options.runtime_folder, "network-").context("make slirp4netns's control folder")));
    words.push_back(cat("--api-socket=", api_folder_->path(), "/s"));
  }
  words.insert(words.end(), {std::to_string(init), "tap0"});

  // Its sandbox pivots away and lets go of every mount. An ordinary user's does so in a user namespace of its own, but
  // real root's would take the host's mounts along where they are shared, as systemd has them.
  if (::geteuid() == 0) {
    const std::optional<std::string> unshare = sys::find_program("unshare");
    if (!unshare) return Error(0, "start slirp4netns: unshare is not installed; sudo apt install util-linux");
    words.insert(words.begin(), {*unshare, "--mount", "--propagation", "slave", "--"});
  }

  sys::SpawnOptions spawn_options{.stderr_fd = complaint.writing.get(),
                                  .inherit = {ready.writing.get(), alive.reading.get()},
                                  .environment = {"PATH=/usr/bin:/bin"},
                                  .new_session = true};
  child_ = TRY(sys::spawn(words, spawn_options));
  ready_ = std::move(ready.reading);
  complaint_ = std::move(complaint.reading);
  exit_ = std::move(alive.writing);
  return Ok{};
}

Result<Ok> NetworkHelper::wait_ready() {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(kReadyTimeoutMs);
  pollfd watched{.fd = ready_.get(), .events = POLLIN, .revents = 0};
  int came = 0;
  do {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    came = ::poll(&watched, 1, left > 0 ? static_cast<int>(left) : 0);
  } while (came < 0 && errno == EINTR);
  if (came < 0) return sys_error("wait for ", to_string(tool_));
  if (came == 0) {
    child_.kill_and_reap();
    return Error(0, to_string(tool_), " was not ready after ", kReadyTimeoutMs / 1000, " s");
  }
  // Its word, or the end of file that its end brings.
  char word[32];
  if (::read(ready_.get(), word, sizeof word) <= 0) return failure();
  ready_.reset();
  if (tool_ == NetworkTool::slirp4netns) {
    for (const PublishedPort& port : ports_) TRY(publish_by_api(port));
    api_folder_.reset();
  }
  return Ok{};
}

Result<std::vector<int>> NetworkHelper::keep_across_exec() const {
  std::vector<int> kept;
  for (const int fd : {complaint_.get(), exit_.get()}) {
    if (fd < 0) continue;
    if (::fcntl(fd, F_SETFD, 0) != 0) return sys_error("keep the network helper's descriptor ", fd);
    kept.push_back(fd);
  }
  return kept;
}

// One connection a request: {"execute": ..., "arguments": {...}}, answered by {"return": ...} or {"error": {"desc":
// ...}}.
Result<Ok> NetworkHelper::publish_by_api(const PublishedPort& port) {
  const nlohmann::json request = {
      {"execute", "add_hostfwd"},
      {"arguments",
       {{"proto", port.protocol == PublishedPort::udp ? "udp" : "tcp"},
        {"host_addr", port.host_ip.empty() ? "0.0.0.0" : port.host_ip},
        {"host_port", port.host_port},
        {"guest_port", port.container_port}}},
  };
  const std::string path = api_folder_->path() + "/s";
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) return Error(ENAMETOOLONG, "connect to slirp4netns at ", path);
  ::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{.tv_sec = kReadyTimeoutMs / 1000};
  if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0 ||
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sys_error("connect to slirp4netns at ", path);
  }
  TRY(sys::write_all(fd.get(), request.dump(), "to slirp4netns"));
  ::shutdown(fd.get(), SHUT_WR);
  std::string answer;
  char buffer[512];
  ssize_t got = 0;
  while (answer.size() < kMaxAnswerBytes && (got = ::read(fd.get(), buffer, sizeof buffer)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read slirp4netns's answer");
    answer.append(buffer, static_cast<size_t>(got));
  }
  const nlohmann::json parsed = nlohmann::json::parse(answer, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_object() && parsed.contains("return")) return Ok{};
  TRY(choose_host_ports({port}, tool_));
  return Error(0, "publish ", to_string(port), ": slirp4netns answered ", printable(trim(answer)));
}

Error NetworkHelper::failure() {
  const Result<sys::Exit> exit = child_.wait();
  // A port taken since it was looked at has better words than the helper's.
  const Result<std::vector<PublishedPort>> ports = choose_host_ports(ports_, tool_);
  if (!ports.ok()) return ports.error();
  std::string complaint = read_complaint(complaint_.get());
  if (complaint.empty()) complaint = cat("it ended with code ", exit.ok() ? exit->shell_code() : -1);
  return Error(0, "connect the container's network: ", to_string(tool_), ": ", complaint);
}

}  // namespace moss::engine
