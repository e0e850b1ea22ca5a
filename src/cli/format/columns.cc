// text/tabwriter's algorithm: a column block is a run of lines that have a cell of that number, and within it the next
// column's blocks are looked for.
#include "moss/cli/columns.hh"

#include <algorithm>
#include <vector>

#include "moss/base/text.hh"

namespace moss::cli::format {

namespace {

constexpr size_t kMinWidth = 12;
constexpr size_t kPadding = 2;

size_t width_of(std::string_view cell) {
  return static_cast<size_t>(std::count_if(cell.begin(), cell.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string align_columns(std::string_view text) {
  const bool ends_in_newline = text.ends_with('\n');
  if (ends_in_newline) text.remove_suffix(1);
  std::vector<std::vector<std::string_view>> lines;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::vector<std::string_view> cells;
    for (size_t cell = at; cell <= end;) {
      const size_t tab = std::min(text.find('\t', cell), end);
      cells.push_back(text.substr(cell, tab - cell));
      cell = tab + 1;
    }
    lines.push_back(std::move(cells));
    at = end + 1;
  }
  // The width of each cell that a tab ends, column by column: a block's cells have one width.
  std::vector<std::vector<size_t>> widths(lines.size());
  size_t columns = 0;
  for (const auto& cells : lines) columns = std::max(columns, cells.size());
  for (size_t column = 0; column < columns; ++column) {
    const auto has_cell = [&](size_t line) { return lines[line].size() > column + 1; };
    for (size_t first = 0; first < lines.size();) {
      if (!has_cell(first)) {
        ++first;
        continue;
      }
      size_t last = first;
      size_t width = 0;
      for (; last < lines.size() && has_cell(last); ++last) width = std::max(width, width_of(lines[last][column]));
      // A column of nothing takes no room.
      width = width == 0 ? kMinWidth : std::max(kMinWidth, width + kPadding);
      for (; first < last; ++first) widths[first].push_back(width);
    }
  }
  std::string out;
  for (size_t line = 0; line < lines.size(); ++line) {
    for (size_t i = 0; i < lines[line].size(); ++i) {
      out += lines[line][i];
      if (i < widths[line].size()) out.append(widths[line][i] - width_of(lines[line][i]), ' ');
    }
    if (line + 1 < lines.size() || ends_in_newline) out += '\n';
  }
  return out;
}

}  // namespace moss::cli::format
