// What Debian 12's toml++ 3.3 forgets to check before it relies on it: that a table's name begins as a name may.
#pragma once

#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Every line that begins a table ("[a]", "[[a]]") begins its name with a letter, digit, "_", "-" or a quote. For files
/// without lists in lists or texts of several lines, where a line may begin otherwise. Pure. Errors name `file` and the
/// line.
Result<Ok> check_toml_headers(std::string_view toml, const std::string& file);

}  // namespace moss::engine
