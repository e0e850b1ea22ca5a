// The words this program was started with, and how a copy of it forgets them.
#pragma once

namespace moss::sys {

/// Where the words lie, for forget_arguments(). Called once, by main().
void remember_arguments(int argc, char** argv);
/// What ps(1) and /proc/PID/cmdline show of this process becomes `name` alone; argv is gone. Writes memory and makes
/// one system call, so that a copy of the process may call it between clone and execve.
void forget_arguments(const char* name);

}  // namespace moss::sys
