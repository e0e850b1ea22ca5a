// The uncompressed bytes of a layer, in order, hashed on the way.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "inflated_input.hh"
#include "memory_share.hh"
#include "moss/base/result.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/event.hh"

namespace moss::engine {

/// Reads the compressed input, inflates it and hashes what comes out, in pieces of one buffer.
///
/// A layer that fits in the first buffer never sees a second thread. For a larger one the thread works ahead, at most
/// the ring of buffers, while the caller parses and writes. Hashing is done by whichever of the two would otherwise
/// wait for the other: which one that is depends on the compression and on the file system.
class LayerStream {
 public:
  static Result<std::unique_ptr<LayerStream>> open(int input_fd, const UnpackOptions& options,
                                                   GzipLibrary library = GzipLibrary::fastest);
  LayerStream(const LayerStream&) = delete;
  LayerStream& operator=(const LayerStream&) = delete;
  /// Stops the thread, even one that waits for a slow sender.
  ~LayerStream();

  /// The next piece, good until the next call; empty at the end. After an error every call gives that error.
  Result<std::span<const uint8_t>> next();

  /// After the end only: "sha256:…" and the sizes.
  std::string diff_id();
  uint64_t compressed_bytes() const { return input_.compressed_bytes(); }
  uint64_t bytes() const { return bytes_; }
  /// Of the budget of the options, for the stream and for whoever reads it.
  MemoryShare& share() { return share_; }

 private:
  LayerStream(const UnpackOptions& options, Digester digester);
  Result<size_t> fill(std::span<uint8_t> out);
  Result<Ok> check_limits() const;
  bool may_hash() const { return !hashing_ && hashed_ < produced_; }
  void hash_one(std::unique_lock<std::mutex>& lock);
  void work();

  const UnpackOptions options_;

  // Of the producing side: the thread's while it runs, else the caller's.
  InflatedInput input_{"layer"};
  uint64_t bytes_ = 0;

  struct Buffer {
    std::unique_ptr<uint8_t[]> data;
    size_t size = 0;
  };
  std::vector<Buffer> ring_;
  Digester digester_;  ///< of whoever set hashing_
  MemoryShare share_;
  sys::Event stop_event_;
  std::thread thread_;

  // Between the two.
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t produced_ = 0;  ///< buffers filled since the start
  uint64_t consumed_ = 0;  ///< buffers given back
  uint64_t hashed_ = 0;    ///< buffers in the digest
  bool hashing_ = false;   ///< somebody is at it
  bool ended_ = false;
  bool stop_ = false;
  std::optional<Error> error_;

  bool holds_buffer_ = false;  ///< the caller still looks at the last piece
};

}  // namespace moss::engine
