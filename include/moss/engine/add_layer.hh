// One more layer on top of an image's.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

struct AddLayerOptions {
  std::vector<ImageLayer> below;  ///< lowest first; the store has them
  oci::ImageConfig config;        ///< its diff ids are filled in
  std::string name;               ///< may be empty
  bool docker_format = false;     ///< Docker's media types instead of OCI's
  IdMap map;                      ///< the new layer is unpacked for it at once
  int64_t max_layer_bytes = 64LL << 30;
};

/// Reads the layer, a plain tar, from a descriptor to its end.
using ReadLayer = std::function<Result<Ok>(int in)>;

/// Makes the image. `write` brings the layer: it calls `read` with where the tar comes from, and once.
/// All or nothing, as a pull. The caller must have no threads, and holds the store (ImageStore::hold) since it looked
/// the layers up. Errors: those of `write`; a layer that is gone; a full disk.
Result<Image> add_layer(ImageStore& store, const AddLayerOptions& options,
                        const std::function<Result<Ok>(const ReadLayer& read)>& write);

}  // namespace moss::engine
