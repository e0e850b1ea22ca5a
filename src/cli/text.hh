// Times and sizes as people read them, in Podman's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moss::cli {

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

/// `text` cut to `length` characters, the last three of them "...".
std::string shortened(std::string text, size_t length);

}  // namespace moss::cli
