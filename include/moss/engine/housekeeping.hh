// What takes space, and getting rid of it: moss system df, prune and reset.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "moss/engine/container.hh"
#include "moss/engine/paths.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

/// Bytes of unpacked layers and of the blobs they came in.
struct ImageUsage {
  Image image;
  int64_t size = 0;
  int64_t shared = 0;     ///< of layers that other images have too
  int64_t unique = 0;     ///< what its removal would free
  size_t containers = 0;  ///< made from it
};

struct ContainerUsage {
  Container container;
  int64_t size = 0;  ///< of its writable layer
};

struct DiskUsage {
  std::vector<ImageUsage> images;
  int64_t image_bytes = 0;              ///< each layer once
  int64_t reclaimable_image_bytes = 0;  ///< of layers that no container's image has
  std::vector<ContainerUsage> containers;
};

/// `map`: the caller's usual one; writable layers are read as its root. The caller must have no threads.
Result<DiskUsage> disk_usage(const Paths& paths, const IdMap& map);

/// --filter of the prune verbs. All must hold.
struct PruneFilter {
  std::optional<int64_t> until;                                                ///< made before, in seconds since 1970
  std::vector<std::pair<std::string, std::optional<std::string>>> labels;      ///< has it, with that value
  std::vector<std::pair<std::string, std::optional<std::string>>> not_labels;  ///< does not
  bool matches(const std::string& created, const std::map<std::string, std::string>& its_labels) const;
};
/// "until=24h", "label=a", "label=a=b", "label!=a". Errors: anything else, by name.
Result<PruneFilter> parse_prune_filter(std::span<const std::string> words);

struct Pruned {
  std::vector<std::string> ids;
  int64_t bytes = 0;          ///< freed
  std::vector<Error> errors;  ///< of those that could not be removed
};
/// Removes the images that no container is made from: those without a name, or with `all` any.
Result<Pruned> prune_images(const Paths& paths, bool all, const PruneFilter& filter, const IdMap& map);
/// Removes the containers that do not run.
Result<Pruned> prune_containers(const Paths& paths, const PruneFilter& filter, const IdMap& map);

/// Stops and removes every container, then everything moss keeps for this user: paths.data and paths.run are gone.
/// Waits for other commands at work with images. The caller must have no threads.
/// Errors: files of ids that are no longer this user's.
Result<Ok> reset(const Paths& paths, const IdMap& map);

}  // namespace moss::engine
