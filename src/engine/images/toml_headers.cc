// The names of tables. See the header.
#include "toml_headers.hh"

#include <algorithm>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

bool begins_a_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-\"'").find(c) != std::string_view::npos;
}

void skip_blanks(std::string_view& text) { text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size())); }

}  // namespace

Result<Ok> check_toml_headers(std::string_view toml, const std::string& file) {
  // What some editors begin a file with.
  if (toml.starts_with("\xef\xbb\xbf")) toml.remove_prefix(3);
  size_t number = 0;
  for (std::string_view line : split(toml, '\n')) {
    ++number;
    skip_blanks(line);
    if (!line.starts_with('[')) continue;
    line.remove_prefix(line.starts_with("[[") ? 2 : 1);
    skip_blanks(line);
    if (line.empty() || !begins_a_name(line[0]))
      return Error(0, file, ":", number, ": expected a table's name after [");
  }
  return Ok{};
}

}  // namespace moss::engine
