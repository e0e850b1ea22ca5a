// Archives' compressions. Layers have fewer (inflate.hh); xz and bzip2 are for files that users load or import.
//
// libarchive could do it too, but gives xz up to 1 GiB and zstd 128 MiB of memory, as the file asks, and unwraps
// compressions in compressions.
#include "moss/engine/archive_input.hh"

#include <bzlib.h>
#include <lzma.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "inflated_input.hh"
#include "moss/sys/event.hh"

namespace moss::engine {

namespace {

using Input = std::span<const uint8_t>;
using Output = std::span<uint8_t>;

constexpr size_t kPieceBytes = 256u << 10;
// xz -8 and below: a dictionary of 32 MiB, and a little.
constexpr uint64_t kMaxXzBytes = 40u << 20;

class Xz final : public Inflater {
 public:
  // Several streams, one after the other, are one file, as xz(1) has it.
  Xz() : ready_(::lzma_stream_decoder(&stream_, kMaxXzBytes, LZMA_CONCATENATED) == LZMA_OK) {}
  Xz(const Xz&) = delete;
  Xz& operator=(const Xz&) = delete;
  ~Xz() override { ::lzma_end(&stream_); }
  bool ready() const { return ready_; }

  Result<Ok> run(Input& in, Output& out) override {
    stream_.next_in = in.data();
    stream_.avail_in = in.size();
    stream_.next_out = out.data();
    stream_.avail_out = out.size();
    // Only the end of the input, which is none here, says that no further stream follows.
    const lzma_ret verdict = ::lzma_code(&stream_, in.empty() ? LZMA_FINISH : LZMA_RUN);
    in = in.subspan(in.size() - stream_.avail_in);
    out = out.subspan(out.size() - stream_.avail_out);
    may_end_ = verdict == LZMA_STREAM_END;
    if (verdict == LZMA_OK || verdict == LZMA_STREAM_END || verdict == LZMA_BUF_ERROR) return Ok{};
    if (verdict == LZMA_MEMLIMIT_ERROR) {
      return Error(0, "the archive's xz data needs ", (::lzma_memusage(&stream_) >> 20) + 1,
                   " MiB of memory, and moss takes at most ", kMaxXzBytes >> 20,
                   "; decompress it first (xz -dc), or compress it with -8 or less");
    }
    return Error(0, "the archive's xz data is damaged");
  }
  bool may_end() const override { return may_end_; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ready_;
  bool may_end_ = false;
};

class Bzip2 final : public Inflater {
 public:
  Bzip2() : ready_(::BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK) {}
  Bzip2(const Bzip2&) = delete;
  Bzip2& operator=(const Bzip2&) = delete;
  ~Bzip2() override {
    if (ready_) ::BZ2_bzDecompressEnd(&stream_);
  }
  bool ready() const { return ready_; }

  Result<Ok> run(Input& in, Output& out) override {
    while (!out.empty()) {
      if (at_stream_end_) {
        if (in.empty()) return Ok{};
        ::BZ2_bzDecompressEnd(&stream_);
        ready_ = ::BZ2_bzDecompressInit(&stream_, 0, 0) == BZ_OK;
        if (!ready_) return Error(ENOMEM, "start bzip2");
        at_stream_end_ = false;
      }
      const auto limit = std::numeric_limits<unsigned>::max();
      stream_.next_in = const_cast<char*>(reinterpret_cast<const char*>(in.data()));
      stream_.avail_in = static_cast<unsigned>(std::min<size_t>(in.size(), limit));
      stream_.next_out = reinterpret_cast<char*>(out.data());
      stream_.avail_out = static_cast<unsigned>(std::min<size_t>(out.size(), limit));
      const size_t in_before = in.size();
      const size_t out_before = out.size();
      const int verdict = ::BZ2_bzDecompress(&stream_);
      in = in.subspan(static_cast<size_t>(reinterpret_cast<const uint8_t*>(stream_.next_in) - in.data()));
      out = out.subspan(static_cast<size_t>(reinterpret_cast<uint8_t*>(stream_.next_out) - out.data()));
      if (verdict != BZ_OK && verdict != BZ_STREAM_END) return Error(0, "the archive's bzip2 data is damaged");
      at_stream_end_ = verdict == BZ_STREAM_END;
      if (in.size() == in_before && out.size() == out_before) return Ok{};
    }
    return Ok{};
  }
  bool may_end() const override { return at_stream_end_; }

 private:
  bz_stream stream_{};
  bool ready_;
  bool at_stream_end_ = false;
};

template <typename Decoder>
Result<std::unique_ptr<Inflater>> made(std::string_view name) {
  auto decoder = std::make_unique<Decoder>();
  if (!decoder->ready()) return Error(ENOMEM, "start ", name);
  return decoder;
}

Result<std::unique_ptr<Inflater>> inflater_for(std::string_view start) {
  if (start.starts_with(std::string_view("\xfd\x37zXZ\0", 6))) return made<Xz>("xz");
  if (start.starts_with("BZh")) return made<Bzip2>("bzip2");
  // Of nothing at all the reader of archives has words.
  const Compression compression = start.empty() ? Compression::none : TRY(detect_compression(start, "archives"));
  return make_inflater(compression, GzipLibrary::fastest, nullptr, "archive");
}

class Decompressed final : public ArchiveInput {
 public:
  Result<Ok> open_input(int fd) {
    stop_event_ = TRY(sys::Event::create());
    const std::string_view start = TRY(input_.start(fd, stop_event_.fd()));
    input_.inflate_with(TRY(inflater_for(start)));
    return Ok{};
  }

  Result<std::string_view> next() override {
    const size_t size = TRY(input_.fill(piece_));
    return std::string_view(reinterpret_cast<const char*>(piece_.data()), size);
  }

  uint64_t compressed_bytes() const override { return input_.compressed_bytes(); }

 private:
  sys::Event stop_event_;  // nobody stops it
  InflatedInput input_{"archive"};
  std::vector<uint8_t> piece_ = std::vector<uint8_t>(kPieceBytes);
};

}  // namespace

Result<std::unique_ptr<ArchiveInput>> ArchiveInput::open(int fd) {
  auto out = std::make_unique<Decompressed>();
  TRY(out->open_input(fd));
  return out;
}

}  // namespace moss::engine
