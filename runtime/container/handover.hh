// What a runtime gives to its caller beside an exit code: the pid file, the terminal's master, a pidfd.
#pragma once

#include <sys/types.h>

#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::runtime {

/// A socket connected to `path`, which may be longer than an address. `type`: SOCK_STREAM, …
Result<Fd> connect_to(const std::string& path, int type);

/// The number in decimal and no newline, which clients take literally; renamed into place. An empty path: nothing.
Result<Ok> write_pid_file(const std::string& path, pid_t pid);

/// Sends the master of a terminal, with its name as the payload, over the socket at `path`.
Result<Ok> send_terminal(const std::string& path, int master);

/// Sends the process, over the socket at `path`. An empty path: nothing.
Result<Ok> send_pidfd(const std::string& path, int pidfd);

/// Whether --console-socket fits a process: who detaches from a terminal needs somebody to give it to, and there is
/// none to give without a terminal.
Result<Ok> check_console(bool terminal, bool attached, const std::string& console_socket);

}  // namespace moss::runtime
