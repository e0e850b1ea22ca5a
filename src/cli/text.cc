// Times and sizes in words. See the header.
#include "src/cli/text.hh"

#include <time.h>

#include <algorithm>
#include <cstdio>

namespace moss::cli {

namespace {

// "+02:00", "Z" or nothing, in seconds.
std::optional<int64_t> offset_of(std::string_view zone) {
  if (zone.empty() || zone == "Z" || zone == "z") return 0;
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':') return std::nullopt;
  const auto hours = parse_number<int64_t>(zone.substr(1, 2));
  const auto minutes = parse_number<int64_t>(zone.substr(4, 2));
  if (!hours || !minutes) return std::nullopt;
  return (*hours * 3600 + *minutes * 60) * (zone[0] == '-' ? -1 : 1);
}

std::string format_utc(int64_t epoch, const char* format) {
  const time_t at = epoch;
  tm parts{};
  if (::gmtime_r(&at, &parts) == nullptr) return {};
  char text[80];
  std::string out(text, ::strftime(text, sizeof text, format, &parts));
  // Years of less than four digits: Go's time zero is in year 1.
  if (std::string_view(format).starts_with("%Y")) out.insert(0, 4 - std::min<size_t>(4, out.find('-')), '0');
  return out;
}

// The digits behind the seconds, without zeros at their end.
std::string_view fraction_of(std::string_view rfc3339) {
  if (rfc3339.size() < 20 || rfc3339[19] != '.') return {};
  std::string_view digits = rfc3339.substr(20);
  digits = digits.substr(0, std::min(digits.find_first_not_of("0123456789"), digits.size()));
  while (digits.ends_with('0')) digits.remove_suffix(1);
  return digits;
}

}  // namespace

std::optional<int64_t> epoch_of(std::string_view rfc3339) {
  tm parts{};
  const std::string text(rfc3339);
  const char* end = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) return std::nullopt;
  std::string_view rest(end);
  if (rest.starts_with('.')) rest = rest.substr(std::min(rest.find_first_not_of("0123456789", 1), rest.size()));
  const std::optional<int64_t> offset = offset_of(rest);
  if (!offset) return std::nullopt;
  return ::timegm(&parts) - *offset;
}

std::string duration_words(int64_t seconds) {
  const auto some = [](int64_t count, const char* unit) { return cat(count, " ", std::string_view(unit)); };
  if (seconds < 1) return "Less than a second";
  if (seconds == 1) return "1 second";
  if (seconds < 60) return some(seconds, "seconds");
  const int64_t minutes = seconds / 60;
  if (minutes == 1) return "About a minute";
  if (minutes < 60) return some(minutes, "minutes");
  const int64_t hours = (seconds + 1800) / 3600;
  if (hours == 1) return "About an hour";
  if (hours < 48) return some(hours, "hours");
  if (hours < 24L * 7 * 2) return some(hours / 24, "days");
  if (hours < 24L * 30 * 2) return some(hours / 24 / 7, "weeks");
  if (hours < 24L * 365 * 2) return some(hours / 24 / 30, "months");
  return some(seconds / 3600 / 24 / 365, "years");
}

std::string ago(const std::string& rfc3339) {
  const std::optional<int64_t> at = epoch_of(rfc3339);
  return at ? duration_words(::time(nullptr) - *at) + " ago" : printable(rfc3339);
}

std::string go_time(const std::string& rfc3339, bool fraction) {
  const std::optional<int64_t> at = epoch_of(rfc3339);
  if (!at) return printable(rfc3339);
  const std::string_view digits = fraction ? fraction_of(rfc3339) : std::string_view();
  return cat(format_utc(*at, "%Y-%m-%d %H:%M:%S"), digits.empty() ? "" : ".", digits, " +0000 UTC");
}

std::string whole_seconds(const std::string& rfc3339) {
  const std::optional<int64_t> at = epoch_of(rfc3339);
  return at ? format_utc(*at, "%Y-%m-%dT%H:%M:%SZ") : printable(rfc3339);
}

std::string human_size(int64_t bytes, std::string_view space, int digits) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  ::snprintf(text, sizeof text, "%.*g", digits, value);
  return cat(std::string_view(text), space, std::string_view(kUnits[unit]));
}

Result<int64_t> parse_moment(std::string_view text) {
  const auto no_time = [&] {
    return Error(0, printable(text),
                 " is no time; give 2026-11-23T01:02:03Z, seconds since 1970, or how long ago: 10m, 2h");
  };
  if (const auto epoch = parse_number<int64_t>(text)) return *epoch;
  if (text.size() >= 10 && text[4] == '-' && text[7] == '-') {
    std::string whole(text);
    if (whole.size() == 10) whole += "T00:00:00";
    if (whole.size() == 16) whole += ":00";
    const std::optional<int64_t> at = epoch_of(whole);
    if (!at) return no_time();
    return *at;
  }
  double seconds_ago = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const double count = take_decimal(rest).value_or(-1);
    const bool milliseconds = rest.starts_with("ms");
    const char unit = rest.empty() ? '\0' : rest.front();
    const double factor = milliseconds  ? 0.001
                          : unit == 's' ? 1
                          : unit == 'm' ? 60
                          : unit == 'h' ? 3600
                          : unit == 'd' ? 86400
                                        : 0;
    if (factor == 0 || !(count >= 0 && count < 1e12)) return no_time();
    seconds_ago += count * factor;
    rest.remove_prefix(milliseconds ? 2 : 1);
  }
  if (text.empty() || seconds_ago > 1e15) return no_time();
  return ::time(nullptr) - static_cast<int64_t>(seconds_ago);
}

std::string shortened(std::string text, size_t length) {
  if (text.size() <= length) return text;
  // Never inside a character.
  size_t end = length - 3;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace moss::cli
