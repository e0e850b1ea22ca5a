// The words of -v, --mount and --tmpfs as mounts of a config.json.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moss/engine/container.hh"
#include "moss/oci/config.hh"

namespace moss::engine {

struct VolumeMounts {
  std::vector<oci::Mount> mounts;
  std::vector<std::string> folders;  ///< to be made first: upper and work folders of overlay volumes
};

/// In the order of their destinations, so that a mount inside another comes after it. `lasting` is the container's
/// folder for what -v …:O writes. Looks at the sources. Errors: a source that is not there; an unknown or unsupported
/// option; two mounts at one place; a destination that would replace /proc or the root.
Result<VolumeMounts> volume_mounts(const RunOptions& options, const std::string& lasting);

/// An absolute path without "//", "." and "..", as the words alone say it: the disk is not looked at. Pure.
std::string clean_path(std::string_view path);

/// "64m", "1g", "512k", "1000" (bytes; b, k, m, g and upper case) as bytes.
Result<uint64_t> parse_size(std::string_view text);

}  // namespace moss::engine
