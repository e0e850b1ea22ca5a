// Times and sizes as people read them, in Podman's words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::cli {

/// Seconds since 1970 of "2026-11-23T01:02:03.5Z" (any offset); nothing for what is no such time.
std::optional<int64_t> epoch_of(std::string_view rfc3339);
/// "3 minutes", "About an hour", "2 weeks".
std::string duration_words(int64_t seconds);
/// "3 minutes ago" of an RFC 3339 time; the text itself where it is none.
std::string ago(const std::string& rfc3339);
/// "2026-11-23 01:02:03 +0000 UTC", as Go prints a time; with the fraction of a second where `fraction`.
std::string go_time(const std::string& rfc3339, bool fraction);
/// "2026-11-23T01:02:03Z" of an RFC 3339 time, without its fraction.
std::string whole_seconds(const std::string& rfc3339);
/// "5.2 MB" of bytes; `space` may be empty and `digits` another number.
std::string human_size(int64_t bytes, std::string_view space = " ", int digits = 3);

/// What --filter until=… and the like take: an RFC 3339 time or the beginning of one, seconds since 1970, or how long
/// ago ("10m", "1h30m", "2d"). Seconds since 1970. Error: none of these.
Result<int64_t> parse_moment(std::string_view text);

/// `text` cut to `length` characters, the last three of them "...".
std::string shortened(std::string text, size_t length);

}  // namespace moss::cli
