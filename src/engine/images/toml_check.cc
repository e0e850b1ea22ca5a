// TOML, before toml++ reads it. See the header.
#include "toml_check.hh"

#include <algorithm>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

bool begins_a_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-\"'").find(c) != std::string_view::npos;
}

void skip_blanks(std::string_view& text) { text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size())); }

Result<Ok> check_tables(std::string_view toml, const std::string& file) {
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

// What ends a text that begins here: one quote, or three.
std::string_view opening_quote(std::string_view text) {
  for (const std::string_view quote : {"\"\"\"", "'''", "\"", "'"}) {
    if (text.starts_with(quote)) return quote;
  }
  return {};
}

// Before three closing quotes two more may belong to the text.
size_t closing_size(std::string_view text, std::string_view quote) {
  if (quote.size() == 1) return 1;
  return std::min<size_t>(std::min(text.find_first_not_of(quote[0]), text.size()), 5);
}

bool is_beyond_ascii(std::string_view text) { return !text.empty() && static_cast<unsigned char>(text[0]) >= 0x80; }

Result<Ok> check_unquoted(std::string_view toml, const std::string& file) {
  if (toml.starts_with("\xef\xbb\xbf")) toml.remove_prefix(3);
  size_t number = 1;
  std::string_view quote;  // what ends the text that we are in
  while (!toml.empty()) {
    const char c = toml[0];
    size_t size = 1;
    if (c == '\n') {
      ++number;
      if (quote.size() == 1) quote = {};
    } else if (c == '\\' && quote.starts_with('"')) {
      // At the end of a line it takes all blanks away that follow; behind them toml++ looks for one more.
      if (quote.size() == 3) size = std::min(toml.find_first_not_of(" \t\r\n", 1), toml.size());
      if (is_beyond_ascii(toml.substr(size))) {
        return Error(0, file, ":", number, ": a letter that is not ASCII cannot follow a backslash");
      }
      number += static_cast<size_t>(std::count(toml.begin(), toml.begin() + static_cast<ptrdiff_t>(size), '\n'));
      if (size == 1 && !toml.substr(1).starts_with('\n')) size = 2;
    } else if (!quote.empty()) {
      if (toml.starts_with(quote)) {
        size = closing_size(toml, quote);
        quote = {};
      }
    } else if (c == '#') {
      size = toml.find('\n');
    } else if (is_beyond_ascii(toml)) {
      return Error(0, file, ":", number, ": a letter that is not ASCII belongs in quotes or in a comment");
    } else if (quote = opening_quote(toml); !quote.empty()) {
      size = quote.size();
    }
    toml.remove_prefix(std::min(size, toml.size()));
  }
  return Ok{};
}

}  // namespace

Result<Ok> check_toml(std::string_view toml, const std::string& file) {
  TRY(check_tables(toml, file));
  return check_unquoted(toml, file);
}

}  // namespace moss::engine
