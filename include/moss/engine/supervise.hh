// Looking after a running container: its output, its terminal, the signals for it, its end.
#pragma once

#include <signal.h>
#include <termios.h>

#include <optional>
#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "moss/sys/child.hh"

namespace moss::engine {

/// What is looked after. Descriptors are owned; empty ones are not there.
struct Supervision {
  sys::Child init;  ///< with its pidfd
  Fd terminal;      ///< master of the container's terminal
  Fd stdout_pipe;   ///< reading ends
  Fd stderr_pipe;
  Fd log;                    ///< opened for appending
  bool to_caller = true;     ///< output goes to our stdout and stderr as well
  bool from_caller = false;  ///< our stdin goes to the terminal
  bool proxy_signals = true;
  bool long_wait = false;  ///< memory that is not needed to wait is given back first
};

/// Blocks the signals that supervise() reads; to be called before the launch, so that none is lost in between.
Result<Ok> block_signals();

/// Runs until the container has ended and its output is drained. `notice` may be empty.
Result<sys::Exit> supervise(Supervision supervision, const Notice& notice);

/// The caller's terminal in raw mode; restored at the end of the scope, whatever happens in between but SIGKILL.
class RawTerminal {
 public:
  /// Nothing to do (and no error) where `fd` is no terminal.
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  std::optional<termios> saved_;
};

}  // namespace moss::engine
