// Proving that the store is what it says, and repairing it where it is not.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/paths.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

struct CheckOptions {
  bool quick = false;              ///< documents, and whether things are there; no blob is hashed, no layer unpacked
  bool repair = false;             ///< drop what is broken, and what killed commands left
  int64_t max_age_s = 24L * 3600;  ///< what no image names is damage once it is older than this
  IdMap map;                       ///< the caller's usual one
  bool remove_containers = false;  ///< with `repair`: containers that are damaged themselves
  /// Asked before an image or its layer is taken away: why not, or nothing where it may go. It may remove containers.
  std::function<Result<std::string>(const std::string& image_id)> why_kept = {};
  std::function<void(const std::string& line)> say = {};  ///< hears what was found and what was done, line by line
};

struct CheckReport {
  size_t images = 0;
  size_t blobs = 0;
  size_t layers = 0;     ///< unpacked, each map's apart
  size_t damaged = 0;    ///< things found broken
  size_t repaired = 0;   ///< of those
  size_t left_over = 0;  ///< what killed or broken off commands left; the next one that adds an image takes it away
};

/// Looks at everything: index.json and what it names; every blob's size and digest; each unpacked layer against a fresh
/// unpacking of its blob (names, types, modes, owners, sizes, times, attributes, contents); what nobody names; staging
/// folders, locks and notes of dead commands. Nothing but staging/ is written to without `repair`.
///
/// Repair drops images with a broken blob or document, moves broken layers away (they are unpacked anew from their good
/// blobs at once), builds a damaged index.json anew from the manifests that are there, without their names, and
/// collects what is left over. It waits for whoever uses the store.
/// The caller must have no threads. Errors: the store cannot be read at all; with `repair`, it cannot be written to.
Result<CheckReport> check_store(const ImageStore& store, const CheckOptions& options);

/// Looks at every container: its record and bundle, the layers it is made of, and at the names. Counts only what is
/// wrong; a damaged container is repaired by its removal, where `remove_containers` allows it.
Result<CheckReport> check_containers(const Paths& paths, const CheckOptions& options);

}  // namespace moss::engine
