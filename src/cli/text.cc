// Times and sizes in words. See the header.
#include "src/cli/text.hh"

#include <time.h>

#include <cstdio>

#include "moss/base/text.hh"
#include "moss/base/time.hh"

namespace moss::cli {

namespace {

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

}  // namespace

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
  if (!at) return printable(rfc3339);
  // Whole seconds between the two moments, as Go counts them, not between their whole seconds.
  std::string digits(fraction_of(rfc3339).substr(0, 9));
  digits.resize(9, '0');
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const bool is_short = now.tv_nsec < parse_number<int64_t>(digits).value_or(0);
  return duration_words(now.tv_sec - *at - (is_short ? 1 : 0)) + " ago";
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

std::string shortened(std::string text, size_t length) {
  if (text.size() <= length) return text;
  // Never inside a character.
  size_t end = length - 3;
  while (end > 0 && (text[end] & 0xc0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

}  // namespace moss::cli
