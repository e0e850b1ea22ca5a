// gzip by ISA-L (2.5 times zlib's speed) where it is installed, else by zlib; zstd by libzstd.
#include "inflate.hh"

#include <zlib.h>
// For the header of a frame: libzstd is linked statically.
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "memory_share.hh"
#include "moss/sys/dynamic_library.hh"

#if __has_include(<isa-l/igzip_lib.h>)
#include <isa-l/igzip_lib.h>
#define MOSS_HAVE_ISAL 1
#endif

namespace moss::engine {

namespace {

using Input = std::span<const uint8_t>;
using Output = std::span<uint8_t>;

Error damaged(std::string_view of, std::string_view what, std::string_view reason) {
  return Error(0, "the ", of, "'s ", what, " data is damaged: ", reason);
}

// Both gzip libraries count in 32 bits.
uint32_t clamp32(size_t size) {
  return static_cast<uint32_t>(std::min<size_t>(size, std::numeric_limits<uint32_t>::max()));
}

class Copy final : public Inflater {
 public:
  Result<Ok> run(Input& in, Output& out) override {
    const size_t count = std::min(in.size(), out.size());
    std::memcpy(out.data(), in.data(), count);
    in = in.subspan(count);
    out = out.subspan(count);
    return Ok{};
  }
  bool may_end() const override { return true; }
};

class Zlib final : public Inflater {
 public:
  explicit Zlib(std::string_view of) : of_(of), ready_(::inflateInit2(&stream_, MAX_WBITS + 16) == Z_OK) {}
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;
  ~Zlib() override {
    if (ready_) ::inflateEnd(&stream_);
  }
  bool ready() const { return ready_; }

  Result<Ok> run(Input& in, Output& out) override {
    while (!out.empty()) {
      if (at_member_end_) {
        // A file may hold several members, one after the other; anything else behind a member is damage.
        if (in.empty()) return Ok{};
        if (in[0] != 0x1f) return damaged(of_, "gzip", "something else follows its end");
        ::inflateReset(&stream_);
        at_member_end_ = false;
      }
      stream_.next_in = const_cast<uint8_t*>(in.data());
      stream_.avail_in = clamp32(in.size());
      stream_.next_out = out.data();
      stream_.avail_out = clamp32(out.size());
      const int verdict = ::inflate(&stream_, Z_NO_FLUSH);
      in = in.subspan(static_cast<size_t>(stream_.next_in - in.data()));
      out = out.subspan(static_cast<size_t>(stream_.next_out - out.data()));
      if (verdict == Z_BUF_ERROR) return Ok{};
      if (verdict != Z_OK && verdict != Z_STREAM_END) {
        return damaged(of_, "gzip", stream_.msg != nullptr ? stream_.msg : "invalid stream");
      }
      at_member_end_ = verdict == Z_STREAM_END;
    }
    return Ok{};
  }
  bool may_end() const override { return at_member_end_; }

 private:
  std::string_view of_;
  z_stream stream_{};
  bool ready_;
  bool at_member_end_ = false;
};

#ifdef MOSS_HAVE_ISAL

struct Isal {
  void (*init)(inflate_state*);
  void (*reset)(inflate_state*);
  int (*inflate)(inflate_state*);
};

Result<Isal> load_isal() {
  const sys::DynamicLibrary library = TRY(sys::DynamicLibrary::open("libisal.so.2", "libisal2"));
  return Isal{.init = TRY(library.function<void(inflate_state*)>("isal_inflate_init")),
              .reset = TRY(library.function<void(inflate_state*)>("isal_inflate_reset")),
              .inflate = TRY(library.function<int(inflate_state*)>("isal_inflate"))};
}

class IsalGzip final : public Inflater {
 public:
  IsalGzip(const Isal& isal, std::string_view of) : isal_(isal), of_(of) {
    isal_.init(&state_);
    state_.crc_flag = ISAL_GZIP;
  }

  Result<Ok> run(Input& in, Output& out) override {
    while (!out.empty()) {
      if (may_end()) {
        if (in.empty()) return Ok{};
        if (in[0] != 0x1f) return damaged(of_, "gzip", "something else follows its end");
        isal_.reset(&state_);
        state_.crc_flag = ISAL_GZIP;
      }
      state_.next_in = const_cast<uint8_t*>(in.data());
      state_.avail_in = clamp32(in.size());
      state_.next_out = out.data();
      state_.avail_out = clamp32(out.size());
      const uint8_t* const in_end = in.data() + in.size();
      const auto state_before = state_.block_state;
      const int verdict = isal_.inflate(&state_);
      if (verdict == ISAL_INCORRECT_CHECKSUM) return damaged(of_, "gzip", "incorrect data check");
      if (verdict < 0) return damaged(of_, "gzip", cat("ISA-L error ", verdict));
      if (verdict > ISAL_OUT_OVERFLOW) return damaged(of_, "gzip", "invalid header");
      const bool used_nothing = state_.next_in == in.data() && state_.next_out == out.data();
      in = Input(state_.next_in, in_end);
      out = out.subspan(static_cast<size_t>(state_.next_out - out.data()));
      if (!may_end() && (in.empty() || (used_nothing && state_.block_state == state_before))) return Ok{};
    }
    return Ok{};
  }
  bool may_end() const override { return state_.block_state == ISAL_BLOCK_FINISH; }

 private:
  Isal isal_;
  std::string_view of_;
  inflate_state state_;
};

#endif

constexpr int kMaxZstdWindowLog = 25;

class Zstd final : public Inflater {
 public:
  Zstd(MemoryShare* share, std::string_view of) : share_(share), of_(of) { start(); }
  bool ready() const { return stream_ != nullptr; }

  Result<Ok> run(Input& in, Output& out) override {
    while (!out.empty()) {
      if (may_end_ && in.empty()) return Ok{};
      if (may_end_ && !TRY(prepare_frame(in))) return Ok{};
      ZSTD_inBuffer source{in.data(), in.size(), 0};
      ZSTD_outBuffer target{out.data(), out.size(), 0};
      const size_t verdict = ::ZSTD_decompressStream(stream_.get(), &target, &source);
      if (::ZSTD_getErrorCode(verdict) == ZSTD_error_frameParameter_windowTooLarge) return window_too_large();
      if (::ZSTD_isError(verdict)) return damaged(of_, "zstd", ::ZSTD_getErrorName(verdict));
      in = in.subspan(source.pos);
      out = out.subspan(target.pos);
      may_end_ = verdict == 0;
      ended_one_ |= may_end_;
      if (source.pos == 0 && target.pos == 0) return Ok{};
    }
    return Ok{};
  }
  bool may_end() const override { return may_end_ && ended_one_; }

 private:
  void start() {
    stream_.reset(::ZSTD_createDCtx());
    // A frame may ask for gigabytes. What tools make of layers needs 8 MiB, the strongest of them 32.
    if (stream_) ::ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog);
  }

  // Sees to memory for the frame that begins at `in`. False: more of its header must come first.
  Result<bool> prepare_frame(Input in) {
    ZSTD_frameHeader header{};
    const size_t verdict = ::ZSTD_getFrameHeader(&header, in.data(), in.size());
    // What is wrong with a header decompressing says as well.
    if (::ZSTD_isError(verdict)) return true;
    if (verdict > 0) return false;
    if (header.frameType == ZSTD_skippableFrame) return true;
    if (header.windowSize > size_t{1} << kMaxZstdWindowLog) return window_too_large();
    const size_t bytes = ::ZSTD_decodingBufferSize_min(header.windowSize, header.frameContentSize);
    if (::ZSTD_isError(bytes) || share_ == nullptr || share_->covers(bytes)) return true;
    stream_.reset();
    TRY(share_->take(bytes));
    start();
    if (!ready()) return Error(ENOMEM, "start zstd");
    return true;
  }

  Error window_too_large() const {
    return Error(0, "the ", of_, "'s zstd data needs a window of more than ", 1 << (kMaxZstdWindowLog - 20),
                 " MiB; compress it again without --ultra and --long");
  }

  MemoryShare* share_;
  std::string_view of_;
  std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> stream_{nullptr, &::ZSTD_freeDCtx};
  bool may_end_ = true;  // between frames
  bool ended_one_ = false;
};

}  // namespace

Result<Compression> detect_compression(std::string_view start, std::string_view what) {
  if (start.empty()) return Error(0, "the layer is empty");
  if (start.starts_with("\x1f\x8b")) return Compression::gzip;
  if (start.starts_with("\x28\xb5\x2f\xfd")) return Compression::zstd;
  // A skippable frame, 0x184D2A50 to 0x184D2A5F, may come first.
  if (start.size() >= 4 && (start[0] & 0xf0) == 0x50 && start.substr(1, 3) == "\x2a\x4d\x18") return Compression::zstd;
  // A file in a plain archive may be called "BZh".
  if (start.size() >= 262 && start.substr(257, 5) == "ustar") return Compression::none;
  constexpr std::pair<std::string_view, std::string_view> kUnsupported[] = {{"BZh", "bzip2"},
                                                                            {{"\xfd"
                                                                              "7zXZ\0",
                                                                              6},
                                                                             "xz"},
                                                                            {"\x04\x22\x4d\x18", "lz4"},
                                                                            {{"\x5d\x00\x00", 3}, "lzma"}};
  for (const auto& [magic, name] : kUnsupported) {
    if (start.starts_with(magic)) {
      return Error(0, name, " ", what, " are not supported; make the image again with gzip or zstd");
    }
  }
  return Compression::none;
}

Result<std::unique_ptr<Inflater>> make_inflater(Compression compression, GzipLibrary library, MemoryShare* share,
                                                std::string_view what) {
  if (compression == Compression::none) return std::make_unique<Copy>();
  if (compression == Compression::zstd) {
    auto zstd = std::make_unique<Zstd>(share, what);
    if (!zstd->ready()) return Error(ENOMEM, "start zstd");
    return zstd;
  }
#ifdef MOSS_HAVE_ISAL
  if (library == GzipLibrary::fastest) {
    static const Result<Isal> isal = load_isal();
    if (isal.ok()) return std::make_unique<IsalGzip>(*isal, what);
  }
#endif
  auto zlib = std::make_unique<Zlib>(what);
  if (!zlib->ready()) return Error(ENOMEM, "start zlib");
  return zlib;
}

}  // namespace moss::engine
