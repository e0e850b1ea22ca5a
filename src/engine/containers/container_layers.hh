// Which folders a container's root filesystem is made of.
#pragma once

#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "moss/oci/config.hh"

namespace moss::engine {

struct ContainerLayers {
  std::string upper;               ///< the writable one; empty: there is none
  std::vector<std::string> lower;  ///< topmost first; the last is moss's skeleton
  IdMap map;
  oci::Config config;
  bool is_overlay = false;  ///< else `lower` is the one folder of --rootfs

  /// All of it, as the container sees it.
  std::vector<std::string> all() const;
};

/// Reads the bundle in the container's folder. Errors: it is gone or damaged.
Result<ContainerLayers> container_layers(const Container& container);

}  // namespace moss::engine
