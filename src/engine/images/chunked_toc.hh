// The table of contents of a zstd:chunked layer: what its compressed bytes unpack to.
//
// Such a layer is a tar in many zstd frames: one for each file's content (or several, cut where a rolling checksum
// says) and one for what is between two contents, which is padding and headers. Behind them, in a frame that is
// skipped, is the table: JSON, compressed, an entry for each file with the digest and the place of its frames. Two
// annotations of the layer's descriptor say where it is and what its digest is.
//
// Two blobs of one tool have the same bytes where their frames unpack to the same. So a stretch of a blob is known by a
// key: for a content its digest, for what is between two contents all that the table says of the headers in it. That is
// a guess, and so is everything else here: a table says where bytes might be found, and the blob's own digest whether
// they were.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "moss/base/result.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

/// Where a layer's table is, as its annotations say it.
struct TocPlace {
  int64_t offset = 0;
  int64_t bytes = 0;
  std::string digest;  ///< "sha256:…" of the compressed bytes

  bool operator==(const TocPlace&) const = default;
};

/// Nothing where the layer has no such annotations, or they cannot be right: a table outside the blob, larger than
/// anybody reads, of another kind. Pure.
std::optional<TocPlace> toc_place(const oci::Descriptor& layer);

/// A part of a blob, known by what it unpacks to.
struct Stretch {
  uint64_t key = 0;
  int64_t offset = 0;
  int64_t bytes = 0;  ///< more than 0, less than 4 GiB

  bool operator==(const Stretch&) const = default;
};

/// What it is told of: a stretch. False where no more is wanted.
using OnStretch = std::function<bool(const Stretch& stretch)>;

/// Tells of every stretch that lies before the table, in the order of the table, which may be any: they may overlap.
/// `file` has the table's bytes at `offset`. Errors: what is there is no such table; what was told until then stays
/// told.
Result<Ok> read_toc(int file, int64_t offset, const TocPlace& place, const OnStretch& tell);

}  // namespace moss::engine
