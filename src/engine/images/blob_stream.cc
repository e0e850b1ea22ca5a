// A ring, a thread and a file. See the header.
#include "blob_stream.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

#include "moss/sys/thread.hh"

namespace moss::engine {

namespace {

// What O_DIRECT may ask of memory, offsets and lengths on any disk in use.
constexpr size_t kAlignment = 4096;

}  // namespace

BlobStream::BlobStream(Fd file, RingWriter ring, Digester digester)
    : file_(std::move(file)), ring_(std::move(ring)), digester_(std::move(digester)) {}

Result<std::unique_ptr<BlobStream>> BlobStream::start(Fd file, RingWriter ring, std::string_view algorithm) {
  Digester digester = TRY(Digester::create(algorithm));
  std::unique_ptr<BlobStream> stream(new BlobStream(std::move(file), std::move(ring), std::move(digester)));
  stream->event_ = TRY(sys::Event::create());
  stream->stop_event_ = TRY(sys::Event::create());
  // A filesystem that cannot do it (tmpfs, some network ones) says so here or at the first write.
  stream->direct_ = ::fcntl(stream->file_.get(), F_SETFL, O_DIRECT) == 0;
  stream->thread_ = TRY(sys::start_thread([raw = stream.get()] { raw->work(); }));
  return stream;
}

BlobStream::~BlobStream() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  stop_event_.set();
  thread_.join();
}

bool BlobStream::offer(std::string_view bytes) {
  assert(bytes.size() <= kMaxOffer);
  size_t start;
  bool has_room;
  {
    const std::lock_guard lock(mutex_);
    has_room = ring_.size() - (offered_ - freed()) >= bytes.size();
    // After an error nobody makes room any more; result() tells.
    refused_ = !has_room;
    start = offered_ % ring_.size();
  }
  if (!has_room) {
    changed_.notify_one();
    return false;
  }
  // Nobody else touches the free part of the ring.
  const size_t head = std::min(bytes.size(), ring_.size() - start);
  std::memcpy(ring_.data() + start, bytes.data(), head);
  std::memcpy(ring_.data(), bytes.data() + head, bytes.size() - head);
  {
    const std::lock_guard lock(mutex_);
    offered_ += bytes.size();
    if (offered_ - taken_ < piece_bytes()) return true;
  }
  changed_.notify_one();
  return true;
}

void BlobStream::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

std::optional<Result<std::string>> BlobStream::result() {
  const std::lock_guard lock(mutex_);
  return result_;
}

void BlobStream::tell_of_room(uint64_t freed_before) {
  if (freed() > freed_before && std::exchange(refused_, false)) event_.set();
}

void BlobStream::work() {
  std::unique_lock lock(mutex_);
  const auto has_piece = [&] { return closed_ || offered_ - taken_ >= piece_bytes(); };
  // All is in the file, and only the unpacker can make room.
  const auto waits_for_unpacker = [&] { return refused_ && released_ < taken_; };
  while (true) {
    changed_.wait(lock, [&] { return stop_ || has_piece() || waits_for_unpacker(); });
    if (stop_) return;
    const uint64_t freed_before = freed();
    if (!has_piece()) {
      lock.unlock();
      ring_.wait_for_release(stop_event_.fd());
      lock.lock();
      released_ = ring_.released();
      tell_of_room(freed_before);
      continue;
    }
    const uint64_t offset = taken_;
    // Whole pieces, but for the last: so every piece begins at a multiple of its size, in the ring and in the file.
    const std::string_view piece(reinterpret_cast<const char*>(ring_.data()) + offset % ring_.size(),
                                 std::min<size_t>(offered_ - taken_, piece_bytes()));
    if (piece.empty()) break;
    lock.unlock();
    // The unpacker need not wait: nothing that it makes is kept before the digest is known.
    ring_.add(piece.size());
    digester_.update(piece);
    Result<Ok> written = write_piece(piece, offset);
    lock.lock();
    if (!written.ok()) {
      result_ = std::move(written).error();
      return event_.set();
    }
    taken_ += piece.size();
    released_ = ring_.released();
    tell_of_room(freed_before);
  }
  result_ = digester_.finish();
  event_.set();
}

// Through the page cache from here on.
Result<Ok> BlobStream::stop_direct() {
  direct_ = false;
  return ::fcntl(file_.get(), F_SETFL, 0) == 0 ? Result<Ok>(Ok{}) : sys_error("write a layer");
}

Result<Ok> BlobStream::write_piece(std::string_view piece, uint64_t offset) {
  while (!piece.empty()) {
    const size_t blocks = piece.size() / kAlignment * kAlignment;
    // The last bytes of a blob fill no block, and a disk that is nearly full may have taken a part of one.
    if (direct_ && (blocks == 0 || offset % kAlignment != 0)) TRY(stop_direct());
    const ssize_t put =
        ::pwrite(file_.get(), piece.data(), direct_ ? blocks : piece.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINVAL && direct_) {
      TRY(stop_direct());
    } else if (put < 0 && errno != EINTR) {
      return sys_error("write a layer");
    } else if (put > 0) {
      piece.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
  }
  return Ok{};
}

}  // namespace moss::engine
