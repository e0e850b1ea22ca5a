// A ring of bytes that one process fills and another reads where they lie: a pipe without its two copies.
//
// The bytes are in a memfd that only the writer can write to (F_SEAL_FUTURE_WRITE, fcntl(2)): a reader that is taken
// over by what it reads cannot change what the writer hashes and stores. The counts go over a socket whose end is the
// end of the bytes, as with a pipe: each message says how many bytes were added, or let go, since the one before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// Memory of its own, unmapped at the end.
class Mapping {
 public:
  Mapping() = default;
  Mapping(uint8_t* data, size_t size) : data_(data), size_(size) {}
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();
  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// The filling end. Of one thread at a time.
class RingWriter {
 public:
  /// `size` is in bytes and a multiple of a page's. Errors: no memory, no descriptors.
  static Result<RingWriter> create(size_t size);

  /// The reading end, to be handed to another process: what RingReader takes. Once; whoever keeps it open keeps the
  /// writer from seeing that the reader is gone.
  Fd take_reader() { return std::move(reader_); }

  /// The memory: byte n since the start is at n % size, page-aligned at its beginning.
  uint8_t* data() const { return memory_.data(); }
  size_t size() const { return memory_.size(); }
  /// `count` more bytes are in the memory. Does not wait unless hundreds of counts lie unread; a reader that is gone is
  /// told by released().
  void add(size_t count);
  /// How many bytes since the start the reader does not need any more; all that ever come, once it is gone.
  uint64_t released();
  /// Waits until that changes, or until `stop_event` is readable.
  void wait_for_release(int stop_event) const;

 private:
  Mapping memory_;
  Fd socket_;
  Fd reader_;
  uint64_t added_ = 0;
  uint64_t released_ = 0;
};

/// The reading end, in the other process.
class RingReader {
 public:
  /// Takes the memory from `socket`, which the caller keeps open for as long as this value. Errors: it is not a
  /// RingWriter's; no memory.
  static Result<RingReader> open(int socket);

  /// Bytes that stay readable before those that are not released yet.
  static constexpr size_t kHeadroom = 16;
  /// After the caller has seen the socket readable: adds what has come to `unread`, the bytes that came before and are
  /// not read, and lets go of all before them but the headroom. `unread` may move. False at the end.
  Result<bool> take(std::span<const uint8_t>& unread);

 private:
  RingReader(int socket, Mapping memory, size_t size);

  int socket_;
  Mapping memory_;  ///< the ring three times in a row: no piece of it has a seam, nor has its headroom
  size_t size_;
  uint64_t came_ = 0;
  uint64_t released_ = 0;
};

}  // namespace moss::engine
