// Tables of words and what they stand for. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace moss {

/// One row: a constexpr array of them is a table.
template <typename Value>
struct Named {
  std::string_view name;
  Value value;
};

/// Nothing where the table has no such word.
template <typename Value, size_t count>
std::optional<Value> find_named(const Named<Value> (&table)[count], std::string_view name) {
  for (const Named<Value>& row : table) {
    if (row.name == name) return row.value;
  }
  return std::nullopt;
}

}  // namespace moss
