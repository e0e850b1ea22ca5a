// What lists show of each image, in one file: `images` of five hundred would otherwise read a thousand documents.
//
// An entry stands under the digest of the manifest it was taken from, and says nothing that could change: so it is
// never stale, only missing, and whoever lists images adds what he had to read. Nothing else is believed because of it:
// an image that is used is read from its own documents. Without the file, or where it is torn (nobody syncs it),
// everything is read from there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

constexpr std::string_view kSummariesFile = "summaries";

struct Summary {
  std::string id;
  std::string created;
  std::string architecture;
  std::string os;
  std::map<std::string, std::string> labels;
  /// Of its unpacked layers. Unknown until all of them have been unpacked; then `layers` is empty.
  std::optional<int64_t> bytes;
  struct Layer {
    std::string diff_id;
    int64_t blob_bytes = 0;
    bool operator==(const Layer&) const = default;
  };
  std::vector<Layer> layers;
  bool operator==(const Summary&) const = default;
};
using Summaries = std::map<std::string, Summary, std::less<>>;  ///< by the digests of manifests

/// How many bytes a layer has unpacked, where that is known.
using SizeOfLayer = std::function<std::optional<int64_t>(const std::string& diff_id)>;
Summary summary_of(const Image& image, const SizeOfLayer& size_of);
/// Whether the size was not known, and is now.
bool complete(Summary& summary, const SizeOfLayer& size_of);

/// Empty where there is no such file, or none that is whole.
Summaries read_summaries(const std::string& store);
/// Whether there is such a file and it is not whole.
bool summaries_are_torn(const std::string& store);
/// Replaces the file, unless somebody is changing the store at this moment or it cannot be written to: then the next
/// one does.
void write_summaries(const std::string& store, const Summaries& summaries);

}  // namespace moss::engine
