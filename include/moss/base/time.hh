// Moments and lengths of time as people and files write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss {

/// Now in UTC as RFC 3339 writes it, with `digits` (0 to 9) behind the seconds: "2026-11-23T01:02:03.123456789Z". The
/// last ones may be zero, so that such texts compare as their moments do.
std::string now_rfc3339(int digits = 9);

/// Milliseconds on a clock that nobody sets: only the difference of two means something.
int64_t now_ms();

/// Seconds since 1970 of "2026-11-23T01:02:03.5Z" (any offset; none is UTC); nothing for what is no such time. Pure.
std::optional<int64_t> epoch_of(std::string_view rfc3339);
/// "5" of "2026-11-23T01:02:03.500Z": what is behind its seconds, without zeros at the end. Pure.
std::string_view fraction_of(std::string_view rfc3339);

/// "1h30m", "2.5s", "500ms" as Go writes durations, and "2d", in milliseconds; nothing for what is none. Pure.
std::optional<int64_t> parse_duration_ms(std::string_view text);

/// A moment as --since, --until and filters take it: an RFC 3339 time or the beginning of one, seconds since 1970, or
/// how long ago ("10m", "1h30m", "2d"). Gives "2026-11-23T01:02:03" in UTC, with a fraction where there was one, to be
/// compared as text with what now_rfc3339() gave. Error: none of these.
Result<std::string> parse_moment(std::string_view text);
/// The same in seconds since 1970.
Result<int64_t> parse_epoch(std::string_view text);

}  // namespace moss
