// One blob on its way from the network: hashed, written to its file and passed on to whoever unpacks it.
//
// Its bytes lie in a small ring that the unpacker reads from as well (shared_ring.hh). A thread of its own takes pieces
// from it. The file is written past the page cache (O_DIRECT) where the
// filesystem can: a blob is not read again until somebody pushes it, and its pages would cost more than its bytes and
// push out of memory what the user works with. When the ring is full the network waits: nothing queues up in memory,
// however large a layer and however slow a disk.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/shared_ring.hh"
#include "moss/sys/event.hh"

namespace moss::engine {

class BlobStream {
 public:
  /// `file` is empty and open for writing; `ring` is of kRingBytes or kSmallRingBytes, and its reader, the unpacker,
  /// may go at any time: that is the unpacker's to tell. Error: an unknown digest algorithm.
  static Result<std::unique_ptr<BlobStream>> start(Fd file, RingWriter ring, std::string_view algorithm);
  BlobStream(const BlobStream&) = delete;
  BlobStream& operator=(const BlobStream&) = delete;
  /// Stops, wherever it is. Only now does the unpacker see the end: keep the stream until what it says of the
  /// digest is right.
  ~BlobStream();

  /// Takes all of `bytes`, or nothing where the ring has no room for them; event() tells when it may have.
  /// At most kMaxOffer bytes at a time.
  bool offer(std::string_view bytes);
  /// There is no more to come.
  void close();

  /// Becomes readable when there is room again, and when the stream has ended. Borrowed.
  int event() const { return event_.fd(); }
  void clear_event() { event_.clear(); }
  /// Once all that came before close() is in the file and within the unpacker's reach: its digest. At any time: why the
  /// file could not be written. Nothing while it works.
  std::optional<Result<std::string>> result();

  static constexpr size_t kRingBytes = 4u << 20;
  /// For those that are beside others, and share the processors anyway.
  static constexpr size_t kSmallRingBytes = kRingBytes / 2;
  /// A piece goes to the file and to the unpacker at once. Four fit into the ring: the unpacker may still hold one
  /// while it waits for the next, and that one may not be whole; what is offered then must have room.
  static constexpr size_t kPieces = 4;
  static constexpr size_t kMaxOffer = kSmallRingBytes / kPieces;

 private:
  BlobStream(Fd file, RingWriter ring, Digester digester);
  size_t piece_bytes() const { return ring_.size() / kPieces; }
  uint64_t freed() const { return std::min(taken_, released_); }
  void tell_of_room(uint64_t freed_before);
  void work();
  Result<Ok> stop_direct();
  Result<Ok> write_piece(std::string_view piece, uint64_t offset);

  Fd file_;
  RingWriter ring_;  ///< its memory is of whoever offers, the rest of the thread
  Digester digester_;
  sys::Event event_;
  sys::Event stop_event_;
  bool direct_ = false;
  std::thread thread_;

  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t offered_ = 0;   ///< bytes put into the ring since the start
  uint64_t taken_ = 0;     ///< bytes that are hashed and in the file
  uint64_t released_ = 0;  ///< bytes that the unpacker does not need any more
  bool refused_ = false;   ///< somebody waits for room
  bool closed_ = false;
  bool stop_ = false;
  std::optional<Result<std::string>> result_;
};

}  // namespace moss::engine
