// Where moss keeps things.
#pragma once

#include <string>

#include "moss/base/result.hh"

namespace moss::engine {

/// The caller's folders; absolute, without a slash at the end. None of them need exist yet.
struct Paths {
  std::string data;  ///< lasting: $XDG_DATA_HOME/moss, or ~/.local/share/moss; /var/lib/moss for root
  std::string run;   ///< until the next boot: $XDG_RUNTIME_DIR/moss, or /run/user/UID/moss; /run/moss for root

  std::string lasting_containers() const { return data + "/containers"; }
  std::string live_containers() const { return run + "/containers"; }
  std::string names() const { return data + "/names"; }
};

/// Reads the environment. Without XDG_RUNTIME_DIR and /run/user/UID a folder under /tmp serves, if it is (or can be
/// made) the caller's own and closed to others. Errors: XDG_RUNTIME_DIR names no folder; no home; the folder under /tmp
/// belongs to somebody else.
Result<Paths> find_paths();

}  // namespace moss::engine
