// The running program's own file, out of reach of what it starts (CVE-2019-5736).
//
// A container can come by the file of whoever starts it: a command "#!/proc/self/exe" is that very program, and from
// then on /proc/PID/exe, followed from inside, is its file on the host. Where root inside is also the file's owner, it
// could be overwritten once nobody runs it any more. So a program that its caller may write runs from a place that
// nobody can.
#pragma once

#include "moss/base/result.hh"

namespace moss::sys {

/// Executes the program again, with the same arguments and environment, from a place that cannot be written: a
/// read-only copy of its mount where the caller may make one, else a sealed copy of the file in memory. Returns where
/// the file is beyond the caller's reach as it is (two system calls; the usual case: installed by root, run by a user).
/// To be called before anything is opened or begun. Errors: neither can be had.
Result<Ok> protect_own_binary(char** argv);

}  // namespace moss::sys
