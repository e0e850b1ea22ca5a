// A ring, a thread, a file and a pipe. See the header.
#include "blob_stream.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>

namespace moss::engine {

namespace {

// What O_DIRECT may ask of memory, offsets and lengths on any disk in use.
constexpr size_t kAlignment = 4096;

}  // namespace

void BlobStream::FreeRing::operator()(char* ring) const { std::free(ring); }

BlobStream::BlobStream(Fd file, Fd pipe, Digester digester)
    : file_(std::move(file)), pipe_(std::move(pipe)), digester_(std::move(digester)) {}

Result<std::unique_ptr<BlobStream>> BlobStream::start(Fd file, Fd pipe, std::string_view algorithm) {
  Digester digester = TRY(Digester::create(algorithm));
  std::unique_ptr<BlobStream> stream(new BlobStream(std::move(file), std::move(pipe), std::move(digester)));
  stream->event_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  stream->stop_event_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!stream->event_ || !stream->stop_event_) return sys_error("make an event");
  stream->ring_.reset(static_cast<char*>(std::aligned_alloc(kAlignment, kRingBytes)));
  if (!stream->ring_) return Error(ENOMEM, "make room for a layer's bytes");
  // A filesystem that cannot do it (tmpfs, some network ones) says so here or at the first write.
  stream->direct_ = ::fcntl(stream->file_.get(), F_SETFL, O_DIRECT) == 0;
  // The thread must not be stopped by a reader that has enough: it goes on to hash and to write.
  if (::fcntl(stream->pipe_.get(), F_SETFL, O_NONBLOCK) != 0) return sys_error("prepare a pipe");
  stream->thread_ = std::thread([raw = stream.get()] { raw->work(); });
  return stream;
}

BlobStream::~BlobStream() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  const uint64_t one = 1;
  // An event counter takes a single 1 at all times.
  [[maybe_unused]] const ssize_t written = ::write(stop_event_.get(), &one, sizeof one);
  thread_.join();
}

void BlobStream::notify() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
}

void BlobStream::clear_event() {
  uint64_t count;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
}

bool BlobStream::offer(std::string_view bytes) {
  assert(bytes.size() <= kMaxOffer);
  size_t start;
  {
    const std::lock_guard lock(mutex_);
    // After an error nobody makes room any more; result() tells.
    refused_ = kRingBytes - (offered_ - taken_) < bytes.size();
    if (refused_) return false;
    start = offered_ % kRingBytes;
  }
  // Nobody else touches the free part of the ring.
  const size_t head = std::min(bytes.size(), kRingBytes - start);
  std::memcpy(ring_.get() + start, bytes.data(), head);
  std::memcpy(ring_.get(), bytes.data() + head, bytes.size() - head);
  {
    const std::lock_guard lock(mutex_);
    offered_ += bytes.size();
    if (offered_ - taken_ < kPieceBytes) return true;
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

void BlobStream::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || closed_ || offered_ - taken_ >= kPieceBytes; });
    if (stop_) return;
    const uint64_t offset = taken_;
    // Whole pieces, but for the last: so every piece begins at a multiple of its size, in the ring and in the file.
    const std::string_view piece(ring_.get() + offset % kRingBytes, std::min<size_t>(offered_ - taken_, kPieceBytes));
    if (piece.empty()) break;
    lock.unlock();
    digester_.update(piece);
    Result<Ok> written = write_piece(piece, offset);
    if (written.ok()) pass_on(piece);
    lock.lock();
    if (!written.ok()) {
      result_ = std::move(written).error();
      return notify();
    }
    taken_ += piece.size();
    if (std::exchange(refused_, false)) notify();
  }
  result_ = digester_.finish();
  notify();
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

// As fast as the reader reads. One that is gone gets no more.
void BlobStream::pass_on(std::string_view piece) {
  while (!piece.empty() && pipe_) {
    const ssize_t put = ::write(pipe_.get(), piece.data(), piece.size());
    if (put > 0) {
      piece.remove_prefix(static_cast<size_t>(put));
    } else if (put < 0 && errno == EAGAIN) {
      pollfd polled[] = {{.fd = pipe_.get(), .events = POLLOUT}, {.fd = stop_event_.get(), .events = POLLIN}};
      (void)::poll(polled, 2, -1);
      if (polled[1].revents != 0) return;
    } else if (put < 0 && errno != EINTR) {
      pipe_.reset();
    }
  }
}

}  // namespace moss::engine
