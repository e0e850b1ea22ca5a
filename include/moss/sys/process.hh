// Facts about processes: others by their number, and the own environment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace moss::sys {

/// Field 22 of /proc/PID/stat, in clock ticks since boot: numbers are given away again, a pair of both is not. Nothing
/// where there is no such process.
std::optional<uint64_t> start_time_of(int64_t pid);

/// An environment variable; empty where it is not set.
std::string variable(const char* name);

}  // namespace moss::sys
