// `images --filter`, for every verb that chooses images so.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/store.hh"

namespace moss::cli {

struct ImageFilters {
  std::vector<std::string> words;  ///< "dangling=true", "label!=a"; different keys narrow, as do labels
  std::vector<std::string> names;  ///< patterns of names, of which one has to fit: "reference" and an argument
  /// How many containers are made from an image; called only where a filter asks.
  std::function<Result<size_t>(const engine::ImageSummary&)> containers;

  /// Leaves the images that fit. Of an image chosen by its name only the names that fit are left.
  /// Errors: a filter that is none, or a value that fits none.
  Result<std::vector<engine::ImageSummary>> apply(const engine::ImageStore& store,
                                                  std::vector<engine::ImageSummary> images) const;
};

/// "docker.io/library/alpine" and "3" of a name; "<none>" for a part that is not there.
std::pair<std::string, std::string> repository_and_tag(const std::string& name);

}  // namespace moss::cli
