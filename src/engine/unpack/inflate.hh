// Decompressors with one shape: some input in, some output out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Bytes that a decompressor may look back at before its input: ISA-L hands back up to 8 it has taken too many, even
/// where they came with the call before. Whoever refills the input keeps the last ones in front of it.
constexpr size_t kInputHeadroom = 16;

class MemoryShare;

class Inflater {
 public:
  virtual ~Inflater() = default;
  /// Takes from the front of `in` and fills the front of `out`; both are moved past what was used. Stops when one of
  /// them is used up. Error: the data is damaged.
  virtual Result<Ok> run(std::span<const uint8_t>& in, std::span<uint8_t>& out) = 0;
  /// The input may end here: the last member (frame) is complete and its checksum was right.
  virtual bool may_end() const = 0;
};

enum class Compression { none, gzip, zstd };

/// What the first bytes (as many as 512 where there are so many) say. Errors: none at all; a compression that layers
/// may not use. `what` is what may not, for messages.
Result<Compression> detect_compression(std::string_view start, std::string_view what = "layers");

/// For tests and measurements: `zlib` even where ISA-L is on the machine.
enum class GzipLibrary { fastest, zlib };

/// `share`, which is borrowed, covers zstd's windows. `what` is what the bytes are of, for messages.
/// Error: out of memory.
Result<std::unique_ptr<Inflater>> make_inflater(Compression compression, GzipLibrary library = GzipLibrary::fastest,
                                                MemoryShare* share = nullptr, std::string_view what = "layer");

}  // namespace moss::engine
