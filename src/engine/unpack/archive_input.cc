// Archives' compressions. Layers have fewer (inflate.hh); xz and bzip2 are for files that users load or import.
//
// libarchive could do it too, but gives xz up to 1 GiB and zstd 128 MiB of memory, as the file asks, and unwraps
// compressions in compressions.
#include "moss/engine/archive_input.hh"

#include <bzlib.h>
#include <lzma.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "inflate.hh"
#include "layer_input.hh"
#include "moss/base/fd.hh"

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
  Decompressed(Fd stop_event, std::unique_ptr<LayerInput> input)
      : stop_event_(std::move(stop_event)), input_(std::move(input)), piece_(kPieceBytes) {}

  Result<Ok> start() {
    // A pipe may give its first bytes one by one.
    constexpr size_t kTellingBytes = 512;
    while (!input_ended_ && unread_.size() < kTellingBytes) TRY(refill());
    inflater_ = TRY(inflater_for({reinterpret_cast<const char*>(unread_.data()), unread_.size()}));
    return Ok{};
  }

  Result<std::string_view> next() override {
    Output rest(piece_);
    while (!rest.empty()) {
      // So that no input means to a decoder that there will be none.
      if (unread_.empty() && !input_ended_) TRY(refill());
      const size_t in_before = unread_.size();
      const size_t out_before = rest.size();
      TRY(inflater_->run(unread_, rest));
      if (unread_.size() != in_before || rest.size() != out_before) continue;
      if (input_ended_) {
        if (!inflater_->may_end() || !unread_.empty()) return Error(0, "the archive is cut off");
        break;
      }
      if (unread_.size() >= LayerInput::kEnough) return Error(0, "the archive's compressed data is damaged");
      TRY(refill());
    }
    return std::string_view(reinterpret_cast<const char*>(piece_.data()), piece_.size() - rest.size());
  }

  uint64_t compressed_bytes() const override { return compressed_bytes_; }

 private:
  Result<Ok> refill() {
    const size_t before = unread_.size();
    input_ended_ = !TRY(input_->add_to(unread_));
    compressed_bytes_ += unread_.size() - before;
    return Ok{};
  }

  Fd stop_event_;  // nobody stops it
  std::unique_ptr<LayerInput> input_;
  std::unique_ptr<Inflater> inflater_;
  Input unread_;
  bool input_ended_ = false;
  uint64_t compressed_bytes_ = 0;
  std::vector<uint8_t> piece_;
};

}  // namespace

Result<std::unique_ptr<ArchiveInput>> ArchiveInput::open(int fd) {
  Fd stop_event(::eventfd(0, EFD_CLOEXEC));
  if (!stop_event) return sys_error("make an event");
  std::unique_ptr<LayerInput> input = TRY(open_layer_input(fd, stop_event.get()));
  auto out = std::make_unique<Decompressed>(std::move(stop_event), std::move(input));
  TRY(out->start());
  return out;
}

}  // namespace moss::engine
