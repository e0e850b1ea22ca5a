// Starting, waiting for and ending children.
#include "moss/sys/child.hh"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moss/sys/file.hh"

namespace moss::sys {

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill_and_reap();
    pid_ = std::exchange(other.pid_, 0);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Result<Exit> Child::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) {
      const int code = errno;
      pid_ = 0;
      return Error(code, "wait for a child process");
    }
  }
  pid_ = 0;
  if (WIFSIGNALED(status)) return Exit{.signal = WTERMSIG(status)};
  return Exit{.code = WEXITSTATUS(status)};
}

pid_t Child::release() { return std::exchange(pid_, 0); }

void Child::kill_and_reap() {
  if (pid_ <= 0) return;
  const int saved = errno;
  ::kill(pid_, SIGKILL);
  (void)wait();
  errno = saved;
}

namespace {

// Everything the new process needs between clone and execve. It shares the parent's memory until then.
struct SpawnArguments {
  const char* program;
  const char* working_dir;
  const char* const* argv;
  const char* const* environment;
  int stdio[3];
  const int* inherit;
  size_t inherit_count;
  bool new_session;
};

// Runs in the parent's memory: system calls only, no allocation, and nothing of the parent's is written.
int spawned(void* raw) {
  const auto& arguments = *static_cast<const SpawnArguments*>(raw);
  // The caller may have blocked or ignored signals that a helper must see.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGCHLD, SIG_DFL);
  if (arguments.new_session) ::setsid();
  int null_fd = -1;
  int wanted[3];
  for (int i = 0; i < 3; ++i) {
    wanted[i] = arguments.stdio[i];
    if (wanted[i] < 0) {
      if (null_fd < 0) null_fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
      wanted[i] = null_fd;
    }
    // Out of the way of 0..2, so that one dup2 cannot overwrite the source of the next.
    if (wanted[i] < 3) wanted[i] = ::fcntl(wanted[i], F_DUPFD_CLOEXEC, 3);
  }
  for (int i = 0; i < 3; ++i) {
    if (::dup2(wanted[i], i) < 0) ::_exit(127);
  }
  // libcurl opens its sockets without O_CLOEXEC, and our own caller may have left us anything. Linux 5.11 has the flag.
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  for (size_t i = 0; i < arguments.inherit_count; ++i) ::fcntl(arguments.inherit[i], F_SETFD, 0);
  if (arguments.working_dir != nullptr && ::chdir(arguments.working_dir) != 0) ::_exit(127);
  ::execve(arguments.program, const_cast<char* const*>(arguments.argv),
           const_cast<char* const*>(arguments.environment));
  ::_exit(127);
}

}  // namespace

Result<Child> spawn(const std::vector<std::string>& argv, const SpawnOptions& options) {
  std::vector<const char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(argument.c_str());
  arguments.push_back(nullptr);
  std::vector<const char*> environment;
  for (const std::string& variable : options.environment) environment.push_back(variable.c_str());
  environment.push_back(nullptr);
  const bool own_environment = options.environment.empty() && !options.empty_environment;
  SpawnArguments spawn_arguments{
      .program = options.program.empty() ? argv[0].c_str() : options.program.c_str(),
      .working_dir = options.working_dir.empty() ? nullptr : options.working_dir.c_str(),
      .argv = arguments.data(),
      .environment = own_environment ? const_cast<const char* const*>(environ) : environment.data(),
      .stdio = {options.stdin_fd, options.stdout_fd, options.stderr_fd},
      .inherit = options.inherit.data(),
      .inherit_count = options.inherit.size(),
      .new_session = options.new_session,
  };
  alignas(16) static char stack[32 * 1024];
  const pid_t pid = ::clone(spawned, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, &spawn_arguments);
  if (pid < 0) return sys_error("start ", argv[0]);
  return Child(pid);
}

Result<Child> fork_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) return sys_error("fork");
  if (pid == 0) ::_exit(body());
  return Child(pid);
}

bool run_in_background(std::initializer_list<int> keep, const std::function<void()>& body) {
  // Ascending, so that what lies between can be closed. At most a handful.
  int kept[8];
  size_t count = 0;
  for (const int fd : keep) {
    size_t at = count++;
    for (; at > 0 && kept[at - 1] > fd; --at) kept[at] = kept[at - 1];
    kept[at] = fd;
  }
  // Twice, so that it is nobody's to wait for.
  const pid_t between = ::fork();
  if (between == 0) {
    unsigned next = 0;
    for (size_t i = 0; i < count; ++i) {
      const auto fd = static_cast<unsigned>(kept[i]);
      if (fd > next) ::close_range(next, fd - 1, 0);
      next = fd + 1;
    }
    ::close_range(next, ~0U, 0);
    const pid_t pid = ::fork();
    if (pid != 0) ::_exit(pid > 0 ? 0 : 1);
    ::setsid();
    for (const int signal : {SIGTERM, SIGHUP, SIGINT}) ::signal(signal, SIG_IGN);
    body();
    ::_exit(0);
  }
  int status = 1;
  while (between > 0 && ::waitpid(between, &status, 0) < 0 && errno == EINTR) {
  }
  return between > 0 && status == 0;
}

std::optional<std::string> find_program(const std::string& name) {
  for (const char* folder : {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/", "/usr/local/bin/", "/usr/local/sbin/",
                             "/run/wrappers/bin/", "/usr/libexec/podman/", "/usr/lib/podman/"}) {
    std::string path = folder + name;
    struct stat status;
    // What others than root may write, others than root may have replaced.
    if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0 &&
        status.st_uid == 0 && (status.st_mode & 0022) == 0) {
      return path;
    }
  }
  return std::nullopt;
}

Result<Fd> open_pidfd(pid_t pid) {
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!fd) return sys_error("open process ", pid);
  return fd;
}

Result<Ok> send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) return sys_error("send signal ", signal);
  return Ok{};
}

}  // namespace moss::sys
