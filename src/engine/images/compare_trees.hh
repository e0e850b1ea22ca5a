// Two folders that should hold the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// Which parts depend on the id map a layer was unpacked for.
enum class Owners : bool { ignore, compare };

/// What `found` has otherwise than `expected` (names, types, modes, owners, sizes, times, link counts and targets,
/// extended attributes, contents), one line each, the first `max_lines` of them. By directory descriptors, never
/// through a symlink. The caller may read both: root in their user namespace. What in `expected` was changed at
/// `made_at` or later (seconds since 1970) has no time of its own: a folder that the layer does not list.
Result<std::vector<std::string>> tree_differences(int expected, int found, Owners owners, int64_t made_at,
                                                  size_t max_lines);

}  // namespace moss::engine
