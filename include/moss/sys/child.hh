// Child processes that cannot be forgotten.
#pragma once

#include <sys/types.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

/// How a process ended.
struct Exit {
  int code = 0;    ///< exit status, where it exited
  int signal = 0;  ///< signal number, where it was killed; else 0
  bool ok() const { return code == 0 && signal == 0; }
  /// A shell's way of saying it: the code, or 128 + signal.
  int shell_code() const { return signal != 0 ? 128 + signal : code; }
};

/// An owned child: killed with SIGKILL and reaped at the end of its scope unless waited for or released.
class Child {
 public:
  Child() = default;
  explicit Child(pid_t pid, Fd pidfd = {}) : pid_(pid), pidfd_(std::move(pidfd)) {}
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child() { kill_and_reap(); }

  pid_t pid() const { return pid_; }
  /// -1 where it was started without one.
  int pidfd() const { return pidfd_.get(); }
  explicit operator bool() const { return pid_ > 0; }

  /// Waits for the end.
  Result<Exit> wait();
  /// Gives the child away: nobody kills or reaps it here any more.
  pid_t release();
  void kill_and_reap();

 private:
  pid_t pid_ = 0;
  Fd pidfd_;
};

/// Starts `argv[0]` (an absolute path) with `argv`, the caller's environment, and /dev/null where a stdio number is -1.
/// The parent goes on at once; the helper's failure to start shows as exit code 127.
struct SpawnOptions {
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  std::vector<int> inherit;              ///< further descriptors kept open, under the same numbers
  std::vector<std::string> environment;  ///< empty: the caller's own
  bool new_session = false;              ///< setsid(2): out of reach of the terminal's signals
  std::string program;                   ///< what is executed, where it is not argv[0]
  bool empty_environment = false;        ///< `environment` holds all there is, also when that is nothing
  std::string working_dir;               ///< empty: the caller's
};
Result<Child> spawn(const std::vector<std::string>& argv, const SpawnOptions& options);

/// fork(2) and run `body` in the child, which ends with its return value. For work that needs other credentials or
/// namespaces than the caller's; the child may allocate, so the caller must have no threads.
Result<Child> fork_child(const std::function<int()>& body);

/// Runs `body` in a process that is nobody's child to wait for, in a session of its own, with no descriptor of the
/// caller's but `keep`: whoever reads the caller's output does not wait for it, and no lock is kept by it. Signals that
/// a shutdown sends first are ignored. `body` may allocate only where the caller has no threads. Returns once it is on
/// its way; false where none could be made.
bool run_in_background(std::initializer_list<int> keep, const std::function<void()>& body);

/// The program `name` in the system's own folders (never the caller's PATH), or nothing.
std::optional<std::string> find_program(const std::string& name);

/// pidfd_open(2). Absence (ESRCH) is an error here.
Result<Fd> open_pidfd(pid_t pid);
/// pidfd_send_signal(2).
Result<Ok> send_signal(int pidfd, int signal);

}  // namespace moss::sys
