// Images from files: load and import.
#pragma once

#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

struct LoadOptions {
  IdMap map;
  std::optional<oci::Platform> platform;   ///< for archives that hold several
  int64_t max_archive_bytes = 64LL << 30;  ///< of the archive after decompression
  UnpackOptions unpack;
  ProgressCallback progress = {};
  std::string signature_policy = {};  ///< --signature-policy; see trust.hh
};

/// Loads every image of a source and gives them in its order:
///   FILE, or "-" for the standard input     docker-archive or oci-archive, possibly compressed
///   DIR                                     an OCI layout
///   https://…, http://…                     such an archive, downloaded first
///   docker-archive:FILE  oci-archive:FILE[:NAME]  oci:DIR[:NAME]  dir:DIR
///   docker-daemon:NAME          from Docker, through its socket
///   containers-storage:NAME     from Podman's store; the caller has no threads
/// Names inside are kept; an image without one is known by its id. Digests, sizes and diff ids are verified.
/// Errors: refused by policy.json.
Result<std::vector<Image>> load(ImageStore& store, const std::string& source, const LoadOptions& options);

struct ImportOptions {
  LoadOptions load;
  std::vector<std::string> changes;  ///< see apply_change(); in their order
  std::string message;               ///< for the image's history; empty: where it came from
};

/// Makes a one-layer image of a root filesystem's tar (any compression; "-" is the standard input, and a URL is
/// downloaded). `name` may be empty.
Result<Image> import_rootfs(ImageStore& store, const std::string& file, const std::string& name,
                            const ImportOptions& options);

}  // namespace moss::engine
