// zstd:chunked layers, also those whose table of contents lies.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "image_fixture.hh"

namespace moss::test {

struct ChunkedLayer {
  std::string tar;
  std::string blob;
  std::string toc;  ///< as text
  std::map<std::string, std::string> annotations;
};

/// A layer of regular files, as skopeo makes them: a frame for each content and one for what is between two, the table,
/// a footer. Contents above 64 KiB are cut into chunks of that. `edit` may spoil the table before it is compressed.
using EditToc = std::function<std::string(std::string toc)>;
ChunkedLayer chunked_layer(const std::vector<std::pair<std::string, std::string>>& files, const EditToc& edit = {},
                           int level = 3);

/// The same around a table alone: where only that is read.
ChunkedLayer around_toc(const std::string& toc);

/// The image of such layers, in a layout that is complete with it. Gives the layers' descriptors.
std::vector<oci::Descriptor> add_chunked(LayoutWriter& layout, const std::string& name,
                                         const std::vector<ChunkedLayer>& layers);

/// Text that is always the same for `seed`, and does not compress.
std::string noise(uint64_t seed, size_t bytes);

}  // namespace moss::test
