// One compressed layer becomes one folder that overlayfs can use as a lower layer.
// Spec: image-spec layer.md; kernel: filesystems/overlayfs ("userxattr", "whiteouts and opaque directories").
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::engine {

struct UnpackOptions {
  /// The user namespace has one id only: every file is the caller's, owners in the layer are ignored.
  bool single_id = false;
  /// Of the tar stream, and of the files' sizes taken together (a sparse file counts with its holes).
  uint64_t max_unpacked_bytes = 20'000'000'000;
  /// Above `ratio_free_bytes` of tar, at most this many bytes of tar from one compressed byte. 0: any number.
  uint64_t max_ratio = 200;
  uint64_t ratio_free_bytes = 256u << 20;
  uint64_t max_entries = 10'000'000;
  /// Of what must be kept in mind until the layer's end: its folders, whiteouts and devices. 300,000 folders at least.
  uint64_t max_kept_bytes = 32u << 20;
  /// Of make_memory_budget(): those who have the same file wait for each other where memory is short. Borrowed. -1:
  /// each takes what it needs.
  int memory_budget = -1;
};

struct UnpackedLayer {
  std::string diff_id;  ///< "sha256:…" of the whole uncompressed stream, whatever follows the archive's end too
  uint64_t compressed_bytes = 0;  ///< read from the input
  uint64_t bytes = 0;             ///< of the uncompressed stream
  uint64_t entries = 0;           ///< in the archive, whiteouts too
  /// The layer hides everything below it (an opaque whiteout in "/"). overlayfs does not look for that mark in a lower
  /// layer's root: the caller must leave the lower layers out of the mount.
  bool opaque_root = false;
  /// What could not be kept (devices, file capabilities): one line each, to be shown once.
  std::vector<std::string> warnings;
};

/// Reads a layer (tar, or tar in gzip or zstd, told by its first bytes) from `input_fd` to its end, and writes it into
/// `destination`, an existing empty folder that nobody else writes to.
///
/// The caller is root in the user namespace that the files belong to (sys::start_in_user_namespace); an ordinary user
/// without one may call it too with `single_id`, as long as the layer has no folders closed to their owner.
/// Sets the process's umask to 0 while it runs, and may use one more thread. Syncs nothing: call syncfs(2) once.
///
/// What a layer may do, and what is refused, is listed in src/engine/unpack/README.md. Nothing outside `destination` is
/// ever written. After an error it holds a part of the layer: the caller removes it.
///
/// Errors: not a layer, damaged, hostile, or larger than allowed; an owner beyond the namespace's ids; a full disk.
Result<UnpackedLayer> unpack_layer(int input_fd, const std::string& destination, const UnpackOptions& options);

/// Loads the libraries that layers need, which unpack_layer() does otherwise: for a process that waits anyway, and
/// whose children unpack. One that is missing is theirs to tell.
void load_unpack_libraries();

/// Memory for processes that unpack at once, as many as there may be; to be made before they are forked.
Result<Fd> make_memory_budget();

/// A layer's uncompressed bytes, given to `sink` in pieces; the caller sees to what they are. May use one more thread.
/// Errors: damaged, or larger than allowed; what the sink says.
struct LayerContent {
  std::string diff_id;
  uint64_t bytes = 0;
};
Result<LayerContent> read_layer(int input_fd, const UnpackOptions& options,
                                const std::function<Result<Ok>(std::string_view)>& sink);

}  // namespace moss::engine
