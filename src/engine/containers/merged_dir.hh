// Layers looked through as overlayfs would, without mounting anything: a folder of the merged view is one descriptor
// for each layer that has it.
//
// overlayfs's rules (Documentation/filesystems/overlayfs.rst): a whiteout hides what is below it, an opaque folder ends
// the merge, anything that is not a folder hides everything below. No link is ever followed.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// Topmost first.
using MergedDir = std::vector<Fd>;

struct MergedEntry {
  MergedDir dir;            ///< where it is a folder
  Fd parent;                ///< where it is something else: its folder in the layer that has it
  struct stat status = {};  ///< of the topmost one
};

bool is_whiteout(int dir, const std::string& name, const struct stat& status);
bool is_opaque(int dir);

/// Nothing where no layer has it, or one hides it.
std::optional<MergedEntry> look_up(const MergedDir& dir, const std::string& name);

/// The names in one folder of one layer, whiteouts too, sorted.
Result<std::vector<std::string>> names_in(int dir);
/// Those of the merged view, sorted.
Result<std::vector<std::string>> names_in(const MergedDir& dir);

}  // namespace moss::engine
