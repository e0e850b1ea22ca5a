// Which bytes of a blob to take from blobs that are here, and which to ask the registry for. Pure.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "chunked_toc.hh"

namespace moss::engine {

/// The registry, among the sources.
constexpr uint16_t kFromRegistry = std::numeric_limits<uint16_t>::max();

/// A run of a blob's bytes. A blob's pieces follow one another without gaps.
struct Piece {
  int64_t offset = 0;
  int64_t bytes = 0;
  uint16_t source = kFromRegistry;
  int64_t from = 0;  ///< where they are in the source

  bool operator==(const Piece&) const = default;
};

struct ReusePlan {
  std::vector<Piece> pieces;
  int64_t reused = 0;   ///< bytes that are not asked for
  size_t requests = 0;  ///< pieces of the registry's
};

struct ReuseLimits {
  /// What a request costs, in bytes that could have come instead: fewer bytes between two runs of the registry's are
  /// not worth a second request. 32 KiB are 3 ms at 10 MB/s; several requests are on their way at a time.
  int64_t request_bytes = 32 << 10;
  size_t max_requests = 256;
  /// How many stretches of a blob are looked at; what follows is asked for. 4 MiB of memory.
  size_t max_stretches = 128u << 10;
};

/// Collects what is known of one blob, source after source.
class ReusePlanner {
 public:
  ReusePlanner(int64_t blob_bytes, const ReuseLimits& limits) : blob_bytes_(blob_bytes), limits_(limits) {}

  /// A stretch of the blob. False where no more are taken.
  bool want(const Stretch& stretch);
  /// That stretch of the blob is there for certain: another source's bytes at `from`.
  void have(const Stretch& stretch, uint16_t source, int64_t from);

  /// From here on: a stretch of a source. One at a time, and each to its end.
  void begin_source(uint16_t source);
  void offer(const Stretch& stretch);
  /// Forgets the source where its bytes are another tool's: the same contents in other lengths. Whether anything is
  /// taken from it.
  bool end_source();
  /// Bytes of the blob that no source has so far.
  int64_t missing() const;

  /// The pieces of the whole blob. The planner is used up.
  ReusePlan finish();

 private:
  struct Wanted {
    uint64_t key;
    int64_t offset;
    int64_t from;
    uint32_t bytes;
    uint16_t source;
  };
  // How often a source's stretches had the length of the blob's, and how often another.
  struct Agreement {
    size_t same = 0;
    size_t other = 0;
    bool is_trusted() const;
  };
  static bool is_content(uint64_t key) { return (key & 1) != 0; }
  void sort_by_key();
  void forget(bool content);

  int64_t blob_bytes_;
  ReuseLimits limits_;
  std::vector<Wanted> wanted_;
  bool sorted_ = false;
  uint16_t source_ = kFromRegistry;
  Agreement contents_;
  Agreement headers_;
};

}  // namespace moss::engine
