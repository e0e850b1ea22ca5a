// A short hash, and numbers as the names of files. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moss {

/// FNV-1a. Only ever narrows a search or finds damage: whoever needs equality compares the whole.
constexpr uint64_t fnv1a(std::string_view text, uint64_t basis = 0xcbf29ce484222325) {
  for (const char c : text) basis = (basis ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return basis;
}

/// Always 16 hexadecimal digits.
inline std::string hex_digits(uint64_t number) {
  std::string digits(16, '0');
  for (size_t i = digits.size(); i-- > 0; number >>= 4) digits[i] = "0123456789abcdef"[number & 15];
  return digits;
}

}  // namespace moss
