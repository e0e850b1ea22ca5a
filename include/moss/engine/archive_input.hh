// The bytes of an archive that a user gives: tar, perhaps in gzip, zstd, xz or bzip2, told by its first bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Decompresses piece by piece, in at most 40 MiB: a stream that asks for more is refused, whatever it would unpack to.
class ArchiveInput {
 public:
  /// `fd` is borrowed and need not be seekable; it is read from where it stands to its end.
  /// Errors: nothing in it can be read; a compression that moss does not know.
  static Result<std::unique_ptr<ArchiveInput>> open(int fd);
  virtual ~ArchiveInput() = default;

  /// The next bytes, valid until the next call; none at the end. Errors: damaged; needs more memory, with the remedy.
  virtual Result<std::string_view> next() = 0;
  /// Read from `fd` so far.
  virtual uint64_t compressed_bytes() const = 0;
};

}  // namespace moss::engine
