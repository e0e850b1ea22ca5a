// Podman's storage.conf: where its images are, and which other stores it reads. See containers-storage.conf(5).
//
// A user's own file counts instead of the system's ($XDG_CONFIG_HOME/containers/storage.conf, ~/.config/…), and the one
// that CONTAINERS_STORAGE_CONF names instead of both. Of the system's file a user is given rootless_storage_path and
// additionalimagestores, and not graphroot, which is root's.
#pragma once

#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

struct PodmanPlace {
  std::string root;    ///< absolute
  std::string driver;  ///< "overlay", "vfs"; empty: not said
};

/// Where the caller's Podman keeps images. Errors: a damaged file; a path that is not absolute; neither HOME nor
/// XDG_DATA_HOME.
Result<PodmanPlace> podman_place();

/// additionalimagestores of the file that counts, whatever they are. Errors: a damaged file; paths that are not
/// absolute.
Result<std::vector<std::string>> stores_in_storage_conf();

}  // namespace moss::engine
