// Columns as Go's text/tabwriter aligns them, with the settings of Podman's tables.
#pragma once

#include <string>
#include <string_view>

namespace moss::cli::format {

/// Cells end with a tab. A column is what neighbouring lines have in common; it is as wide as its widest cell and two
/// spaces, and at least twelve. What follows a line's last tab belongs to no column.
std::string align_columns(std::string_view text);

}  // namespace moss::cli::format
