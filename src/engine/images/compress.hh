// Compressors with one shape: pieces in, a file out, and the file's digest and size.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/push.hh"

namespace moss::engine {

class Compressor {
 public:
  virtual ~Compressor() = default;
  /// Takes a piece. Errors: the file cannot be written.
  virtual Result<Ok> put(std::string_view piece) = 0;
  /// Ends the stream. Once, after the last piece.
  virtual Result<Ok> finish() = 0;

  /// After finish().
  std::string digest() { return digester_.finish(); }
  int64_t bytes() const { return bytes_; }

 protected:
  Compressor(int file, Digester digester) : file_(file), digester_(std::move(digester)) {}
  Result<Ok> write(std::string_view piece);

 private:
  int file_;
  Digester digester_;
  int64_t bytes_ = 0;
};

/// Errors: a level that the compression has not.
Result<Ok> check_level(LayerCompression compression, std::optional<int> level);

/// Writes to `file`, which is borrowed. The same input and level give the same bytes.
/// Errors: as check_level; no memory.
Result<std::unique_ptr<Compressor>> make_compressor(LayerCompression compression, std::optional<int> level, int file);

}  // namespace moss::engine
