// Running a hook of the host's.
#include "moss/runtime/hooks.hh"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <optional>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"

namespace moss::runtime {

namespace {

using Clock = std::chrono::steady_clock;
using Deadline = std::optional<Clock::time_point>;

// A hook may end without having read its state.
class NoBrokenPipe {
 public:
  NoBrokenPipe() : before_(::signal(SIGPIPE, SIG_IGN)) {}
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;
  ~NoBrokenPipe() { ::signal(SIGPIPE, before_); }

 private:
  void (*before_)(int);
};

int milliseconds_until(const Deadline& deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
}

// Writes the state and waits for the end, whichever the hook lets us have first. False: too late.
Result<bool> feed_and_wait(Fd state_pipe, std::string_view state, int pidfd, const Deadline& deadline) {
  while (true) {
    pollfd fds[2] = {{.fd = pidfd, .events = POLLIN, .revents = 0},
                     {.fd = state_pipe.get(), .events = POLLOUT, .revents = 0}};
    const int ready = ::poll(fds, 2, milliseconds_until(deadline));
    if (ready < 0 && errno != EINTR) return sys_error("wait");
    if (ready == 0) return false;
    if (fds[0].revents != 0) return true;
    if (fds[1].revents == 0) continue;
    const ssize_t put = ::write(state_pipe.get(), state.data(), state.size());
    if (put < 0 && errno != EAGAIN && errno != EINTR) state = {};  // it closed its input: it need not read
    if (put > 0) state.remove_prefix(static_cast<size_t>(put));
    if (state.empty()) state_pipe.reset();
  }
}

// What a person needs of it: the first line, in short.
std::string complaint(int stderr_file) {
  char text[300];
  const ssize_t got = ::pread(stderr_file, text, sizeof text, 0);
  if (got <= 0) return {};
  const std::string_view first = cut(trim({text, static_cast<size_t>(got)}), '\n').first;
  return first.empty() ? std::string() : cat(": ", printable(first));
}

}  // namespace

Result<Ok> run_hook(const char* kind, const oci::Hook& hook, const std::string& state, const std::string& bundle) {
  const std::string name = cat(kind, " hook ", printable(hook.path));
  if (::access(hook.path.c_str(), X_OK) != 0) return sys_error("run the ", name);
  // A pipe and no socket: some hooks open /dev/stdin.
  auto [theirs, ours] = TRY(sys::make_pipe().context("run the ", name));
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return sys_error("run the ", name);
  const NoBrokenPipe no_broken_pipe;
  const Fd errors(::memfd_create("stderr", MFD_CLOEXEC));
  if (!errors) return sys_error("run the ", name);
  const Deadline deadline = hook.timeout ? Deadline(Clock::now() + std::chrono::seconds(*hook.timeout)) : std::nullopt;
  sys::Child child = TRY(sys::spawn(hook.args.empty() ? std::vector<std::string>{hook.path} : hook.args,
                                    {
                                        .stdin_fd = theirs.get(),
                                        .stderr_fd = errors.get(),
                                        .environment = hook.env.value_or(std::vector<std::string>()),
                                        .program = hook.path,
                                        .empty_environment = hook.env.has_value(),
                                        .working_dir = bundle,
                                    })
                             .context("run the ", name));
  theirs.reset();
  const Fd pidfd = TRY(sys::open_pidfd(child.pid()).context("run the ", name));
  const bool in_time = TRY(feed_and_wait(std::move(ours), state, pidfd.get(), deadline).context("run the ", name));
  if (!in_time) return Error(ETIMEDOUT, "run the ", name, " in ", *hook.timeout, " s");
  const sys::Exit exit = TRY(child.wait());
  if (exit.ok()) return Ok{};
  const std::string how = exit.signal != 0 ? cat("killed by signal ", exit.signal) : cat("exit status ", exit.code);
  return Error(0, "run the ", name, ": ", how, complaint(errors.get()));
}

Result<Ok> run_hooks(const char* kind, const std::vector<oci::Hook>& hooks, const std::string& state,
                     const std::string& bundle) {
  for (const oci::Hook& hook : hooks) TRY(run_hook(kind, hook, state, bundle));
  return Ok{};
}

}  // namespace moss::runtime
