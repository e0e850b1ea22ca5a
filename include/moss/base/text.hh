// Small text helpers that every layer uses. Pure.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moss {

namespace detail {
inline void append(std::string& out, std::string_view text) { out += text; }
inline void append(std::string& out, char c) { out += c; }
template <std::integral Number>
  requires(!std::same_as<Number, char> && !std::same_as<Number, bool>)
void append(std::string& out, Number number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}
}  // namespace detail

/// The parts written one after the other: text as it is, numbers in decimal.
template <typename... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

/// "a,b,,c" by ',' gives {"a", "b", "", "c"}; an empty text gives nothing.
std::vector<std::string_view> split(std::string_view text, char separator);

/// The text before the first separator and what follows it; no second part where there is no separator.
std::pair<std::string_view, std::optional<std::string_view>> cut(std::string_view text, char separator);

std::string join(std::span<const std::string> parts, std::string_view separator);

/// Without the spaces, tabs and newlines at both ends.
std::string_view trim(std::string_view text);

/// A whole decimal number that fits; nothing for "", "+1", " 1", "1x" or too large a value.
template <std::integral Number>
std::optional<Number> parse_number(std::string_view text, int base = 10) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

/// The decimal at the beginning of `text` ("1.5", "-2e3"), which it takes off; nothing where there is none. Not by
/// std::from_chars, which for a double would link libm to every start.
std::optional<double> take_decimal(std::string_view& text);

/// Text from an untrusted place made safe to print on one line of a terminal: control bytes become \xNN.
std::string printable(std::string_view text);

/// printable(), but of no more than the first `max_bytes`, followed by "..." where there was more. Never ends inside a
/// UTF-8 character.
std::string excerpt(std::string_view text, size_t max_bytes);

}  // namespace moss
