// Pulling an image from a registry into the store.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/registry_access.hh"
#include "moss/engine/store.hh"
#include "moss/engine/unpack.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

/// What is being done, told often and by one thread. The engine itself prints nothing.
struct Progress {
  enum class Phase {
    trying,       ///< `name` is the full name about to be asked for
    config,       ///< `digest` is the config's
    exists,       ///< the layer was here already
    waiting,      ///< another moss is fetching the layer
    downloading,  ///< `done` of `total` bytes; unpacking goes on beside it
    unpacking,    ///< all bytes are here, not all files
    done,         ///< the layer is unpacked
    compressing,  ///< a layer is compressed anew before it goes out
    sending,      ///< `done` of `total` bytes to a registry
    sent,         ///< the registry has it
    mounted,      ///< the registry had it elsewhere
    unchanged,    ///< the registry has what is here; nothing was fetched
    storing,      ///< the last sync before the image is there
    warning,      ///< `name` says what of a layer could not be kept (devices, file capabilities)
  };
  Phase phase = Phase::trying;
  std::string name;
  std::string digest;  ///< of the blob
  int64_t done = 0;
  int64_t total = 0;
  int64_t reused = 0;  ///< of `done`, what came from layers that are here and not from the registry
};
using ProgressCallback = std::function<void(const Progress&)>;

/// When a registry is asked about an image.
enum class PullPolicy {
  always,   ///< even where the image is here; what is unchanged is not fetched again
  missing,  ///< where it is not here
  newer,    ///< as always; where the registry has nothing to say, the one that is here will do
  never,
};
/// "always", "missing", "newer", "never". Pure. Errors: another word.
Result<PullPolicy> parse_pull_policy(std::string_view text);

struct PullOptions {
  IdMap map;                              ///< the containers' usual one; layers are unpacked for it at once
  std::optional<oci::Platform> platform;  ///< empty: the host's; see parse_platform
  RegistryAccess access = {};
  std::string signature_policy = {};  ///< --signature-policy; see trust.hh
  PullPolicy policy = PullPolicy::always;
  int retries = 3;
  int retry_delay_ms = 300;  ///< before the first try; three times that before the next. Retry-After overrides it
  int connections = 4;
  UnpackOptions unpack;
  ProgressCallback progress = {};
};

/// Pulls `name` (short, full, or by digest; "docker://" in front is allowed) and gives the image. All or nothing.
/// An image that is here and unchanged costs one request.
/// Errors: one line that names the image, the registry and what to do.
Result<Image> pull(ImageStore& store, const std::string& name, const PullOptions& options);

/// This machine's platform in Go's names.
oci::Platform host_platform();
/// "linux/arm64/v8", "arm64" (of linux). Pure. Errors: not of that form.
Result<oci::Platform> parse_platform(std::string_view text);

}  // namespace moss::engine
