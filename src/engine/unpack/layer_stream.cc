// Inflating and hashing on one thread, parsing and writing on the other.
#include "layer_stream.hh"

#include <algorithm>

#include "moss/sys/thread.hh"

namespace moss::engine {

namespace {

// Large enough that handing over costs nothing, small enough that the ring stays in the second-level cache.
constexpr size_t kBufferBytes = 256u << 10;
constexpr size_t kBuffers = 8;

}  // namespace

LayerStream::LayerStream(const UnpackOptions& options, Digester digester)
    : options_(options), digester_(std::move(digester)), share_(options.memory_budget) {}

Result<std::unique_ptr<LayerStream>> LayerStream::open(int input_fd, const UnpackOptions& options,
                                                       GzipLibrary library) {
  Digester digester = TRY(Digester::create("sha256"));
  std::unique_ptr<LayerStream> stream(new LayerStream(options, std::move(digester)));
  stream->stop_event_ = TRY(sys::Event::create());
  const std::string_view start = TRY(stream->input_.start(input_fd, stream->stop_event_.fd()));
  const Compression compression = TRY(detect_compression(start));
  stream->input_.inflate_with(TRY(make_inflater(compression, library, &stream->share_)));

  stream->ring_.resize(kBuffers);
  Buffer& first = stream->ring_[0];
  first.data.reset(new uint8_t[kBufferBytes]);
  first.size = TRY(stream->fill({first.data.get(), kBufferBytes}));
  stream->produced_ = first.size > 0 ? 1 : 0;
  stream->ended_ = first.size < kBufferBytes;
  if (stream->ended_) return stream;

  // With zstd the decoder has seen to it.
  if (compression != Compression::zstd) TRY(stream->share_.take(0));
  for (size_t i = 1; i < kBuffers; ++i) stream->ring_[i].data.reset(new uint8_t[kBufferBytes]);
  stream->thread_ = TRY(sys::start_thread([raw = stream.get()] { raw->work(); }));
  return stream;
}

LayerStream::~LayerStream() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  stop_event_.set();
  thread_.join();
}

// Less than asked for only at the end of the layer.
Result<size_t> LayerStream::fill(std::span<uint8_t> out) {
  const size_t filled = TRY(input_.fill(out));
  bytes_ += filled;
  TRY(check_limits());
  return filled;
}

Result<Ok> LayerStream::check_limits() const {
  if (bytes_ > options_.max_unpacked_bytes) {
    return Error(EFBIG, "the layer is larger than the limit of ", options_.max_unpacked_bytes, " bytes unpacked");
  }
  if (options_.max_ratio != 0 && bytes_ > options_.ratio_free_bytes &&
      bytes_ / options_.max_ratio > compressed_bytes()) {
    return Error(EFBIG, "the layer unpacks to more than ", options_.max_ratio,
                 " times its compressed size; refusing what looks like a decompression bomb");
  }
  return Ok{};
}

// Hashes the oldest piece that is not hashed yet, without the lock meanwhile.
void LayerStream::hash_one(std::unique_lock<std::mutex>& lock) {
  const Buffer& buffer = ring_[hashed_ % kBuffers];
  hashing_ = true;
  lock.unlock();
  digester_.update(buffer.data.get(), buffer.size);
  lock.lock();
  hashing_ = false;
  ++hashed_;
  changed_.notify_all();
}

void LayerStream::work() {
  std::unique_lock lock(mutex_);
  while (!stop_ && !ended_) {
    if (produced_ - std::min(consumed_, hashed_) < kBuffers) {
      Buffer& buffer = ring_[produced_ % kBuffers];
      lock.unlock();
      Result<size_t> filled = fill({buffer.data.get(), kBufferBytes});
      lock.lock();
      if (filled.ok()) {
        buffer.size = *filled;
        if (*filled > 0) ++produced_;
        ended_ = *filled < kBufferBytes;
      } else {
        error_ = std::move(filled).error();
        ended_ = true;
      }
      changed_.notify_all();
    } else if (may_hash()) {
      hash_one(lock);
    } else {
      changed_.wait(lock);
    }
  }
}

Result<std::span<const uint8_t>> LayerStream::next() {
  std::unique_lock lock(mutex_);
  if (holds_buffer_) {
    holds_buffer_ = false;
    ++consumed_;
    changed_.notify_all();
  }
  while (true) {
    if (consumed_ < produced_) {
      holds_buffer_ = true;
      const Buffer& buffer = ring_[consumed_ % kBuffers];
      return std::span<const uint8_t>(buffer.data.get(), buffer.size);
    }
    if (error_) return *error_;
    if (may_hash()) {
      hash_one(lock);
    } else if (ended_ && hashed_ == produced_) {
      return std::span<const uint8_t>();
    } else {
      changed_.wait(lock);
    }
  }
}

std::string LayerStream::diff_id() { return digester_.finish(); }

}  // namespace moss::engine
