// See hook_process.hh.
#include "runtime/launch/hook_process.hh"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <climits>

namespace moss::runtime {

namespace {

int64_t now_ms() {
  timespec now{};
  ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return int64_t{1000} * now.tv_sec + now.tv_nsec / 1000000;
}

// `deadline` 0: for ever.
int poll_until(pollfd* fds, nfds_t count, int64_t deadline) {
  while (true) {
    const int64_t left = deadline == 0 ? -1 : deadline - now_ms();
    if (deadline != 0 && left <= 0) return ETIMEDOUT;
    const int ready = ::poll(fds, count, left > INT_MAX ? INT_MAX : static_cast<int>(left));
    if (ready > 0) return 0;
    if (ready == 0) return ETIMEDOUT;
    if (errno != EINTR) return errno;
  }
}

int wait_until(int fd, short events, int64_t deadline) {
  pollfd ready{.fd = fd, .events = events, .revents = 0};
  return poll_until(&ready, 1, deadline);
}

// Writes all of it to a pipe that does not block. EPIPE: the reader is gone.
int write_all(const char* data, size_t length, int pipe, int process, int64_t deadline) {
  while (length > 0) {
    const ssize_t put = ::write(pipe, data, length);
    if (put >= 0) {
      data += put;
      length -= static_cast<size_t>(put);
    } else if (errno == EAGAIN) {
      pollfd ready[2] = {{.fd = pipe, .events = POLLOUT, .revents = 0},
                         {.fd = process, .events = POLLIN, .revents = 0}};
      if (const int error = poll_until(ready, 2, deadline)) return error;
      if (ready[1].revents != 0) return EPIPE;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

int HookProcess::fork() {
  int state[2];
  if (::pipe2(state, O_CLOEXEC) != 0) return errno;
  reading_.reset(state[0]);
  writing_.reset(state[1]);
  // SIGCHLD may be ignored by whoever called us: then there would be nothing to wait for.
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  if (::sigaction(SIGCHLD, &standard, nullptr) != 0) return errno;
  int pidfd = -1;
  const long hook = ::syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0);
  if (hook < 0) return errno;
  pid_ = static_cast<pid_t>(hook);
  pidfd_.reset(pidfd);
  return 0;
}

void HookProcess::take_stdio(int null_fd) const {
  for (int fd = 0; fd < 3; ++fd) {
    if (::dup2(fd == 0 ? reading_.get() : null_fd, fd) < 0) ::_exit(126);
  }
}

void HookProcess::execute(const RunHook& step) {
  ::execve(step.path, const_cast<char* const*>(step.args.data()), const_cast<char* const*>(step.environment.data()));
  ::_exit(errno == ENOENT ? 127 : 126);
}

int HookProcess::feed(const RunHook& step, int64_t deadline) {
  char pid[12];
  const size_t length = write_number(pid, static_cast<unsigned>(::getpid()));
  // A hook may end without reading: then there is a broken pipe, and no harm in it.
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  struct sigaction before{};
  (void)::sigaction(SIGPIPE, &ignore, &before);
  (void)::fcntl(writing_.get(), F_SETFL, O_NONBLOCK);
  const iovec parts[3] = {{const_cast<char*>(step.state_before_pid), ::strlen(step.state_before_pid)},
                          {pid, length},
                          {const_cast<char*>(step.state_after_pid), ::strlen(step.state_after_pid)}};
  int error = 0;
  for (const iovec& part : parts) {
    error = write_all(static_cast<const char*>(part.iov_base), part.iov_len, writing_.get(), pidfd_.get(), deadline);
    if (error != 0) break;
  }
  (void)::sigaction(SIGPIPE, &before, nullptr);
  writing_.reset(-1);
  return error == EPIPE ? 0 : error;
}

int HookProcess::feed_and_wait(const RunHook& step) {
  const int64_t deadline = step.timeout_s > 0 ? now_ms() + int64_t{1000} * step.timeout_s : 0;
  int error = feed(step, deadline);
  if (error == 0) error = wait_until(pidfd_.get(), POLLIN, deadline);
  if (error != 0) (void)::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return errno;
  }
  if (error != 0) return error;
  if (WIFSIGNALED(status)) return kHookStatus + 128 + WTERMSIG(status);
  return WEXITSTATUS(status) == 0 ? 0 : kHookStatus + WEXITSTATUS(status);
}

}  // namespace moss::runtime
