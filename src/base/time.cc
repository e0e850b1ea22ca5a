// Reading and writing times. See the header.
#include "moss/base/time.hh"

#include <time.h>

#include <algorithm>
#include <chrono>

#include "moss/base/text.hh"

namespace moss {

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

// "2026-11-23T01:02:03" of a moment in the years 0 to 9999.
std::string utc_text(std::chrono::sys_seconds at) {
  using namespace std::chrono;
  const auto day = floor<days>(at);
  const year_month_day date(day);
  const hh_mm_ss time(at - day);
  std::string out;
  const auto put = [&](auto value, size_t width, std::string_view behind) {
    const std::string digits = cat(static_cast<int64_t>(value));
    out.append(width - std::min(width, digits.size()), '0').append(digits).append(behind);
  };
  put(int(date.year()), 4, "-");
  put(unsigned(date.month()), 2, "-");
  put(unsigned(date.day()), 2, "T");
  put(time.hours().count(), 2, ":");
  put(time.minutes().count(), 2, ":");
  put(time.seconds().count(), 2, "");
  return out;
}

}  // namespace

std::string now_rfc3339(int digits) {
  using namespace std::chrono;
  const auto now = time_point_cast<nanoseconds>(system_clock::now());
  const auto second = floor<seconds>(now);
  // A one in front keeps the zeros.
  const std::string fraction = cat(1'000'000'000 + (now - second).count());
  return cat(utc_text(second), digits > 0 ? "." : "", std::string_view(fraction).substr(1, static_cast<size_t>(digits)),
             "Z");
}

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

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

std::string_view fraction_of(std::string_view rfc3339) {
  if (rfc3339.size() < 20 || rfc3339[19] != '.') return {};
  std::string_view digits = rfc3339.substr(20);
  digits = digits.substr(0, std::min(digits.find_first_not_of("0123456789"), digits.size()));
  while (digits.ends_with('0')) digits.remove_suffix(1);
  return digits;
}

std::optional<int64_t> parse_duration_ms(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  constexpr double kMost = 1e18;  // well inside an int64_t
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::optional<double> count = take_decimal(rest);
    const auto* unit = std::find_if(std::begin(kUnits), std::end(kUnits),
                                    [&](const auto& one) { return rest.starts_with(one.first); });
    if (!count || *count < 0 || unit == std::end(kUnits)) return std::nullopt;
    total += *count * static_cast<double>(unit->second);
    if (!(total <= kMost)) return std::nullopt;
    rest.remove_prefix(unit->first.size());
  }
  if (text.empty()) return std::nullopt;
  // Rounded: 0.29 s may be a little less than 290 ms in binary. Not by lround(3), which is libm's.
  const double up = total + 0.5;
  return static_cast<int64_t>(up);
}

Result<std::string> parse_moment(std::string_view text) {
  using namespace std::chrono;
  const auto no_time = [&] {
    return Error(0, text.empty() ? "an empty text" : printable(text),
                 " is no time; give 2026-11-23T01:02:03Z, seconds since 1970, or how long ago: 10m, 2h");
  };
  std::optional<int64_t> at = parse_number<int64_t>(text);
  std::string_view fraction;
  if (!at && text.size() >= 10 && text[4] == '-' && text[7] == '-') {
    std::string whole(text);
    if (whole.size() == 10) whole += "T00:00:00";
    if (whole.size() == 16) whole += ":00";
    at = epoch_of(whole);
    fraction = fraction_of(text);
  } else if (!at) {
    const std::optional<int64_t> ago = parse_duration_ms(text);
    if (ago) at = floor<seconds>(system_clock::now()).time_since_epoch().count() - *ago / 1000;
  }
  constexpr int64_t kYear0 = -62'167'219'200;
  constexpr int64_t kYear10000 = 253'402'300'800;
  if (!at || *at < kYear0 || *at >= kYear10000) return no_time();
  return cat(utc_text(sys_seconds(seconds(*at))), fraction.empty() ? "" : ".", fraction);
}

Result<int64_t> parse_epoch(std::string_view text) { return epoch_of(TRY(parse_moment(text))).value_or(0); }

}  // namespace moss
