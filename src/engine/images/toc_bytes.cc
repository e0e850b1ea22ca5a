// A table of contents, byte by byte. See the header.
#include "toc_bytes.hh"

#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace moss::engine {

namespace {

// What skopeo asks for, whatever the size of the text.
constexpr int kMaxWindowLog = 25;

}  // namespace

TocBytes::TocBytes(int file, int64_t offset, int64_t bytes, Decoder decoder)
    : file_(file),
      offset_(offset),
      left_(bytes),
      decoder_(std::move(decoder)),
      buffers_(std::make_unique<Buffers>()),
      text_(buffers_->text.data()) {}

Result<TocBytes> TocBytes::open(int file, int64_t offset, int64_t bytes) {
  Decoder decoder(::ZSTD_createDCtx(), &::ZSTD_freeDCtx);
  if (!decoder) return Error(ENOMEM, "start zstd");
  ::ZSTD_DCtx_setParameter(decoder.get(), ZSTD_d_windowLogMax, kMaxWindowLog);
  return TocBytes(file, offset, bytes, std::move(decoder));
}

int TocBytes::fail(std::string_view why) {
  failure_ = why;
  left_ = 0;
  at_ = end_ = 0;
  packed_at_ = packed_end_ = 0;
  complete_ = true;
  return -1;
}

bool TocBytes::refill() {
  cut_ = read_ >= kMaxTocText;
  while (!complete_ && !cut_) {
    if (packed_at_ == packed_end_ && left_ > 0) {
      const size_t wanted = static_cast<size_t>(std::min<int64_t>(left_, kBufferBytes));
      const ssize_t got = ::pread(file_, buffers_->packed.data(), wanted, static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return fail(got < 0 ? std::strerror(errno) : "the file ends before it") >= 0;
      offset_ += got;
      left_ -= got;
      packed_at_ = 0;
      packed_end_ = static_cast<size_t>(got);
    }
    ZSTD_inBuffer source{buffers_->packed.data(), packed_end_, packed_at_};
    ZSTD_outBuffer target{buffers_->text.data(), kBufferBytes, 0};
    const size_t verdict = ::ZSTD_decompressStream(decoder_.get(), &target, &source);
    if (::ZSTD_isError(verdict)) return fail(::ZSTD_getErrorName(verdict)) >= 0;
    const bool stuck = target.pos == 0 && source.pos == packed_at_ && left_ == 0;
    packed_at_ = source.pos;
    complete_ = verdict == 0;
    if (stuck && !complete_) return fail("its zstd frame is cut off") >= 0;
    if (target.pos == 0) continue;
    read_ += static_cast<int64_t>(target.pos);
    at_ = 0;
    end_ = target.pos;
    return true;
  }
  return false;
}

}  // namespace moss::engine
