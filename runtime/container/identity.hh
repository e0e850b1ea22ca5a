// Which process a number means: numbers are used again, so a record holds more than that.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::runtime {

struct Identity {
  pid_t pid = 0;
  uint64_t start_time = 0;   ///< field 22 of /proc/PID/stat, in clock ticks since boot
  uint64_t pidfd_inode = 0;  ///< never given twice in one boot (Linux 6.9); 0 where pidfds have none of their own
  std::string boot_id;
};

/// Of a process that is surely alive or not yet reaped.
Result<Identity> identify(pid_t pid, int pidfd);

/// The process itself, if it still is that one and has not ended.
std::optional<Fd> open_process(const Identity& identity);

}  // namespace moss::runtime
