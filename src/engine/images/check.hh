// The parts of `moss system check`: what one found, another repairs.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "layout.hh"
#include "moss/engine/check.hh"

namespace moss::engine {

/// One entry of the index that is broken, or that holds something broken.
struct BrokenImage {
  std::string id;  ///< empty where the config cannot be read
  std::string manifest_digest;
  std::string called;  ///< as a message names it
};

/// An unpacked layer that is not what its blob says.
struct BrokenLayer {
  std::string folder;  ///< below layers/
  std::string diff_id;
  std::string fresh;  ///< the same unpacked anew, a folder in the check's staging folder; empty where there is none
};

struct Findings {
  bool index_unreadable = false;
  bool layout_missing = false;
  bool has_foreign = false;  ///< entries that moss does not understand: nothing can be told to be nobody's
  std::vector<Image> images;
  std::vector<BrokenImage> broken_images;
  std::vector<BrokenLayer> broken_layers;
  std::set<std::string> broken_blobs;                           ///< digests
  std::map<std::string, std::optional<uint64_t>> broken_sizes;  ///< of diff ids; what it should be, where that is known
  std::vector<std::string> unnamed;                             ///< too old; below the store
  bool summaries_wrong = false;
  bool left_over = false;
};

/// "docker.io/library/alpine:latest (1d34ffeaf190)".
std::string called(const Image& image);

/// Whether a blob is there, and is what its descriptor says. Nothing, or what is wrong.
Result<std::string> blob_fault(const std::string& store, const oci::Descriptor& blob, bool quick);

/// Does to the store what was found. `staging` holds the layers that were unpacked anew.
/// Gives how many of the broken things are gone.
Result<size_t> repair_store(const ImageStore& store, const CheckOptions& options, const Findings& findings,
                            const std::optional<Staging>& staging);

}  // namespace moss::engine
