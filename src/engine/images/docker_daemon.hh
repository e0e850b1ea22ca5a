// Images from and to a Docker daemon on this machine, through its socket: docker-daemon:NAME.
// See Docker's API, "Export several images" and "Import images".
#pragma once

#include <string>

#include "moss/base/result.hh"

namespace moss::engine {

/// The daemon's socket: $DOCKER_HOST where it is unix://…, a rootless daemon's, or the system's.
/// Errors: there is none; the caller may not use it.
Result<std::string> find_docker_socket();

/// The archive of one image, written to `file`. Errors: Docker has no such image; larger than `max_bytes`.
Result<Ok> export_from_docker(const std::string& socket, const std::string& name, int file, int64_t max_bytes);

/// Gives Docker the archive in `file`, of `bytes`.
Result<Ok> import_into_docker(const std::string& socket, int file, int64_t bytes);

}  // namespace moss::engine
