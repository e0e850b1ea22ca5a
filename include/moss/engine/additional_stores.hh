// Read-only stores beside the caller's own: images of a site or a build machine, found and run from where they are.
//
// Which: the folders in MOSS_ADDITIONAL_STORES (with ":" between them), then those that storage.conf names as
// additionalimagestores. storage.conf is the file in CONTAINERS_STORAGE_CONF, or the first there is of
// ~/.config/containers/, /etc/containers/ and /usr/share/containers/. A folder of Podman's own format is left out: moss
// cannot read it. Spec: containers-storage.conf(5).
#pragma once

#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// The stores, in the order in which they are searched; absolute paths.
/// Errors: a path that is not absolute; storage.conf is not TOML; MOSS_ADDITIONAL_STORES names a folder that is no
/// store.
Result<std::vector<std::string>> additional_stores();

}  // namespace moss::engine
