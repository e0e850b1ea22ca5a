// Sums of sizes that others wrote down. Pure.
#pragma once

#include <cstdint>
#include <limits>

namespace moss {

/// The sum of two sizes in bytes, both 0 or more, or the largest there is. A manifest may say 2^63-1 of each of its
/// layers, and a sparse file be as large: no reason for a negative sum.
constexpr int64_t add_sizes(int64_t one, int64_t other) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  return one > kMost - other ? kMost : one + other;
}

}  // namespace moss
