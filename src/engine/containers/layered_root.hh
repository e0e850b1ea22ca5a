// Reading a file of an image before anything is mounted: its layers looked through as overlayfs would.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// Folders of a rootfs, topmost first; a plain rootfs is one folder.
class LayeredRoot {
 public:
  explicit LayeredRoot(std::vector<std::string> layers) : layers_(std::move(layers)) {}

  /// The regular file at `path`, symlinks followed inside the root only. Nothing where there is none that the caller
  /// may read. Errors: larger than `max_bytes`; too many symlinks. Never waits (a FIFO is not read) and never leaves
  /// the root.
  Result<std::optional<std::string>> read(const std::string& path, size_t max_bytes) const;

 private:
  std::vector<std::string> layers_;
};

}  // namespace moss::engine
