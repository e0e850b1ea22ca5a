// Facts about a process that the kernel tells by its number.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace moss::sys {

/// Field 22 of /proc/PID/stat, in clock ticks since boot: numbers are given away again, a pair of both is not. Nothing
/// where there is no such process.
std::optional<uint64_t> start_time_of(int64_t pid);

}  // namespace moss::sys
