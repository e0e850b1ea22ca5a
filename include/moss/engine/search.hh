// Asking registries what they have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/registry_access.hh"

namespace moss::engine {

/// One repository that a search found.
struct Found {
  std::string index;  ///< the registry: "docker.io"
  std::string name;   ///< "docker.io/library/alpine"
  std::string description;
  int64_t stars = 0;
  bool official = false;
  bool automated = false;
};

/// Repositories whose name has `term` in it ("alpine", "quay.io/alpine"): of its registry, or of all that
/// registries.conf searches; of each at most `limit`. Docker's hub and others that know the old search interface answer
/// by their own ranking; of the others the list of all repositories is looked through.
/// Errors: no registry could be asked. One that fails beside others that answer is told in `complaints`.
Result<std::vector<Found>> search(const std::string& term, size_t limit, const RegistryAccess& access,
                                  std::vector<Error>& complaints);

/// The registries that registries.conf searches, in their order; docker.io where it names none.
Result<std::vector<std::string>> search_registries();

struct TagList {
  std::string repository;  ///< "docker.io/library/alpine"
  std::vector<std::string> tags;
};
/// The tags of a repository; a short name is looked for as in a pull. Errors: a tag or digest behind the name; no such
/// repository.
Result<TagList> list_tags(const std::string& name, const RegistryAccess& access);

/// The same as names to pull: "docker.io/library/alpine:3.20".
Result<std::vector<std::string>> list_tagged_names(const std::string& name, const RegistryAccess& access);

}  // namespace moss::engine
