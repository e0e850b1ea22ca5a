// gzip by zlib and zstd by its own library. See the header.
#include "compress.hh"

#include <zlib.h>
#include <zstd.h>

#include <vector>

#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kOutputBytes = 256u << 10;
constexpr int kZstdWorkers = 2;
constexpr int kGzipLevel = 6;
constexpr int kZstdLevel = 3;

class PlainWriter : public Compressor {
 public:
  PlainWriter(int file, Digester digester) : Compressor(file, std::move(digester)) {}
  Result<Ok> put(std::string_view piece) override { return write(piece); }
  Result<Ok> finish() override { return Ok{}; }
};

class GzipWriter : public Compressor {
 public:
  GzipWriter(int file, Digester digester) : Compressor(file, std::move(digester)) {}
  ~GzipWriter() override { ::deflateEnd(&stream_); }
  GzipWriter(const GzipWriter&) = delete;
  GzipWriter& operator=(const GzipWriter&) = delete;

  Result<Ok> open(int level) {
    // 16 more window bits: a gzip header, without a name or a time in it.
    constexpr int kGzip = 16 + MAX_WBITS;
    if (::deflateInit2(&stream_, level, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      return Error(ENOMEM, "compress a layer");
    }
    return Ok{};
  }
  Result<Ok> put(std::string_view piece) override { return run(piece, Z_NO_FLUSH); }
  Result<Ok> finish() override { return run({}, Z_FINISH); }

 private:
  Result<Ok> run(std::string_view piece, int flush) {
    // zlib takes 32-bit lengths; pieces are far smaller.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
    stream_.avail_in = static_cast<uInt>(piece.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      (void)::deflate(&stream_, flush);
      TRY(write({out_.data(), out_.size() - stream_.avail_out}));
    } while (stream_.avail_out == 0);
    return Ok{};
  }

  z_stream stream_{};
  std::vector<char> out_ = std::vector<char>(kOutputBytes);
};

class ZstdWriter : public Compressor {
 public:
  ZstdWriter(int file, Digester digester) : Compressor(file, std::move(digester)) {}
  ~ZstdWriter() override { ::ZSTD_freeCCtx(context_); }
  ZstdWriter(const ZstdWriter&) = delete;
  ZstdWriter& operator=(const ZstdWriter&) = delete;

  Result<Ok> open(int level) {
    context_ = ::ZSTD_createCCtx();
    if (context_ == nullptr) return Error(ENOMEM, "compress a layer");
    ::ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
    ::ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
    // A library without threads says no, and does it alone.
    ::ZSTD_CCtx_setParameter(context_, ZSTD_c_nbWorkers, kZstdWorkers);
    return Ok{};
  }
  Result<Ok> put(std::string_view piece) override { return run(piece, ZSTD_e_continue); }
  Result<Ok> finish() override { return run({}, ZSTD_e_end); }

 private:
  Result<Ok> run(std::string_view piece, ZSTD_EndDirective how) {
    ZSTD_inBuffer in{piece.data(), piece.size(), 0};
    while (true) {
      ZSTD_outBuffer out{out_.data(), out_.size(), 0};
      const size_t left = ::ZSTD_compressStream2(context_, &out, &in, how);
      if (::ZSTD_isError(left) != 0) return Error(0, "compress a layer: ", ::ZSTD_getErrorName(left));
      TRY(write({out_.data(), out.pos}));
      const bool done = how == ZSTD_e_end ? left == 0 : in.pos == in.size;
      if (done) return Ok{};
    }
  }

  ZSTD_CCtx* context_ = nullptr;
  std::vector<char> out_ = std::vector<char>(kOutputBytes);
};

}  // namespace

Result<Ok> Compressor::write(std::string_view piece) {
  digester_.update(piece);
  bytes_ += static_cast<int64_t>(piece.size());
  return sys::write_all(file_, piece, "a layer");
}

Result<Ok> check_level(LayerCompression compression, std::optional<int> level) {
  const bool gzip = compression == LayerCompression::gzip;
  const int highest = gzip ? 9 : 20;
  if (!level || compression == LayerCompression::none || (*level >= 1 && *level <= highest)) return Ok{};
  return Error(0, "compression level ", *level, ": ", gzip ? "gzip" : "zstd", " has 1 to ", highest);
}

Result<std::unique_ptr<Compressor>> make_compressor(LayerCompression compression, std::optional<int> level, int file) {
  Digester digester = TRY(Digester::create());
  if (compression == LayerCompression::none) {
    return std::unique_ptr<Compressor>(std::make_unique<PlainWriter>(file, std::move(digester)));
  }
  TRY(check_level(compression, level));
  if (compression == LayerCompression::gzip) {
    auto writer = std::make_unique<GzipWriter>(file, std::move(digester));
    TRY(writer->open(level.value_or(kGzipLevel)));
    return std::unique_ptr<Compressor>(std::move(writer));
  }
  auto writer = std::make_unique<ZstdWriter>(file, std::move(digester));
  TRY(writer->open(level.value_or(kZstdLevel)));
  return std::unique_ptr<Compressor>(std::move(writer));
}

}  // namespace moss::engine
