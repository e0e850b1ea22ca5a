// Stopping a container's processes. See the header.
#include "src/engine/containers/pause.hh"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>
#include <vector>

#include "moss/sys/file.hh"
#include "src/engine/containers/insider.hh"

namespace moss::engine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxRounds = 200;
constexpr auto kPatience = std::chrono::seconds(10);

long trace(__ptrace_request request, pid_t thread, long data = 0) {
  return ::ptrace(request, thread, nullptr, reinterpret_cast<void*>(data));
}

ino_t inode_of(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

Result<Fd> pid_namespace_of(pid_t pid) { return sys::open_at(AT_FDCWD, cat("/proc/", pid, "/ns/pid"), O_RDONLY); }

// In the namespace, or in one below it. Whose namespaces we may not see is not in a container of ours.
bool is_within(pid_t pid, ino_t ns) {
  Result<Fd> of_process = pid_namespace_of(pid);
  if (!of_process.ok()) return false;
  Fd at = std::move(of_process).value();
  while (at && inode_of(at.get()) != ns) at = Fd(::ioctl(at.get(), NS_GET_PARENT));
  return static_cast<bool>(at);
}

// Field 3 of /proc/PID/stat; nothing where the thread is gone.
std::optional<char> state_of(pid_t thread) {
  const Result<std::string> text = sys::read_kernel_file(cat("/proc/", thread, "/stat"));
  if (!text.ok()) return std::nullopt;
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return std::nullopt;
  return (*text)[name_end + 2];
}

// It runs no more and only waits for its parent.
bool has_ended(pid_t thread) {
  const std::optional<char> state = state_of(thread);
  return !state || *state == 'Z' || *state == 'X';
}

Result<std::vector<pid_t>> threads_within(ino_t ns) {
  std::vector<pid_t> threads;
  for (const std::string& name : TRY(sys::list_dir("/proc"))) {
    const auto pid = parse_number<pid_t>(name);
    if (!pid || !is_within(*pid, ns)) continue;
    const Result<std::vector<std::string>> tasks = sys::list_dir(cat("/proc/", name, "/task"));
    if (!tasks.ok()) continue;  // it ended meanwhile
    for (const std::string& task : *tasks) {
      if (const auto thread = parse_number<pid_t>(task)) threads.push_back(*thread);
    }
  }
  return threads;
}

}  // namespace

Result<Paused> Paused::pause(const Container& container) {
  const Insider insider = TRY(find_insider(container));
  const Fd own = TRY(pid_namespace_of(::getpid()));
  const Fd inside = TRY(pid_namespace_of(insider.pid).context("pause container ", container.record.name));
  const ino_t ns = inode_of(inside.get());
  if (ns == inode_of(own.get())) {
    return Error(0, "container ", container.record.name,
                 " shares the host's process ids (--pid host), so its processes cannot be told from others to be "
                 "paused; commit it without --pause, or stop it first");
  }
  Paused paused;
  for (int round = 0; round < kMaxRounds; ++round) {
    // Whoever is not stopped yet may fork, so they are looked for until all are.
    bool all_stand = true;
    for (const pid_t thread : TRY(threads_within(ns))) {
      const bool asked = TRY(paused.stop(thread).context("pause container ", container.record.name));
      if (asked) all_stand = false;
    }
    if (all_stand) return paused;
    TRY(paused.wait_for_stops().context("pause container ", container.record.name));
  }
  return Error(0, "pause container ", container.record.name, ": it makes processes faster than they can be paused");
}

// Whether it had to be asked; false: it stands, or is no more.
Result<bool> Paused::stop(pid_t thread) {
  const std::optional<char> state = state_of(thread);
  if (!state || *state == 'Z' || *state == 'X') return false;
  const bool ours = threads_.contains(thread);
  if (ours && *state == 't') return false;
  // A thread that executes a program takes over the number of the first one, so ours may be running again.
  if (!ours && trace(PTRACE_SEIZE, thread) != 0) {
    Error error = sys_error("stop process ", thread);
    if (has_ended(thread)) return false;
    if (*state == 't') return Error(0, "process ", thread, " is in the hands of a debugger");
    return error;
  }
  threads_.insert(thread);
  if (trace(PTRACE_INTERRUPT, thread) != 0) {
    if (errno == ESRCH) return false;
    return sys_error("stop process ", thread);
  }
  stopping_.insert(thread);
  return true;
}

Result<Ok> Paused::wait_for_stops() {
  const Clock::time_point deadline = Clock::now() + kPatience;
  while (true) {
    std::erase_if(stopping_, [&](pid_t thread) {
      int status = 0;
      const pid_t heard = ::waitpid(thread, &status, __WALL | WNOHANG);
      if (heard == 0) return false;
      if (heard < 0 || !WIFSTOPPED(status)) {
        threads_.erase(thread);  // it ended
        return true;
      }
      if (status >> 16 == PTRACE_EVENT_STOP) return true;
      // On its way to a signal: it shall have it, and stops behind it.
      trace(PTRACE_CONT, thread, WSTOPSIG(status));
      return false;
    });
    if (stopping_.empty()) return Ok{};
    if (Clock::now() > deadline) return Error(ETIMEDOUT, "stop process ", *stopping_.begin());
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

// One that was not heard of is let go by the kernel, when moss ends.
Paused::~Paused() {
  for (const pid_t thread : threads_) {
    if (trace(PTRACE_DETACH, thread) != 0) (void)::waitpid(thread, nullptr, __WALL | WNOHANG);
  }
}

}  // namespace moss::engine
