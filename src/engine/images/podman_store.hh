// Reading the store of Podman, Buildah and CRI-O (containers/storage): containers-storage:NAME.
//
// A store has no blobs: a layer is a folder of files beside the headers of the tar it came in (tar-split). Put together
// they give the very bytes of the tar, which its diff id proves. Nothing is ever written there.
#pragma once

#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"

namespace moss::engine {

struct PodmanLayer {
  std::string id;
  std::string diff_id;  ///< of the tar, not compressed
};

struct PodmanImage {
  std::string root;    ///< the store
  std::string driver;  ///< "overlay" or "vfs"
  std::string config_text;
  std::vector<std::string> names;
  std::vector<PodmanLayer> layers;  ///< lowest first
};

/// `text` is what stands behind "containers-storage:": a name or an id, perhaps with "[DRIVER@ROOT]" or "[ROOT]" before
/// it; else the caller's own store, where Podman has it by default.
/// Errors: no such store, no such image; a store that is damaged, or kept in a way that moss does not read.
Result<PodmanImage> find_podman_image(const std::string& text);

/// Writes a layer's tar to `output`. To be called by the owner of its files: root of a user namespace with the caller's
/// map. Errors: a file that is missing; the output is closed.
Result<Ok> write_podman_layer(const PodmanImage& image, const PodmanLayer& layer, int output);

}  // namespace moss::engine
