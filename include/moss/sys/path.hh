// Paths below a folder that somebody else filled.
//
// A rootfs may hold any symlink. Nothing below it is ever reached by a string: it is opened from the root's descriptor
// with openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), and what was opened is what is used.
#pragma once

#include <string>
#include <string_view>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

/// openat2(2) below `root` as if it were "/". O_CLOEXEC is added.
Result<Fd> open_beneath(int root, const std::string& path, int flags, mode_t mode = 0);

/// A regular file below `root`, read whole. Errors: not a regular file, larger than `max_bytes`.
Result<std::string> read_file_beneath(int root, const std::string& path, size_t max_bytes);

/// A path of /proc/PID/mountinfo as it is: there spaces, tabs, newlines and backslashes stand as octal numbers. Pure.
std::string unescape_mount(std::string_view text);

}  // namespace moss::sys
