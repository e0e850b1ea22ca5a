// What every fuzz target does: read; if that works, write and read again, and the two must be the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace moss {

inline void must(bool holds, const char* promise) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

/// Whatever came in, its error fits into a line of a terminal and steers nothing there.
template <typename R>
void must_be_short_and_printable(const R& result) {
  if (result.ok()) return;
  const std::string error = result.error().to_string();
  must(error.size() < 2000, "errors stay short");
  for (const char c : error) must(static_cast<unsigned char>(c) >= 0x20, "errors are printable");
}

template <typename Decode, typename Encode>
void round_trip(std::string_view input, Decode decode, Encode encode) {
  const auto first = decode(input);
  must_be_short_and_printable(first);
  if (!first.ok()) return;
  const std::string written = encode(*first);
  const auto second = decode(written);
  must(second.ok(), "what was written can be read");
  must(*second == *first, "what was written is what was read");
  must(encode(*second) == written, "the same value gives the same bytes");
}

}  // namespace moss
