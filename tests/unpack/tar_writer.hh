// Layers byte by byte, also those that no honest tool would write.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "moss/base/text.hh"

namespace moss::test {

/// One header's fields, as they should stand there.
struct TarHeader {
  std::string name;
  char type = '0';
  std::string link;
  unsigned mode = 0644;
  uint64_t uid = 0;
  uint64_t gid = 0;
  uint64_t size = 0;
  int64_t mtime = 1'600'000'000;
  unsigned major = 0;
  unsigned minor = 0;
  bool gnu = false;
};

class TarWriter {
 public:
  TarWriter& header(const TarHeader& h) {
    tar_ += block(h);
    return *this;
  }
  /// Raw bytes, padded to a whole block.
  TarWriter& body(std::string_view data) {
    tar_ += data;
    tar_.append((512 - data.size() % 512) % 512, '\0');
    return *this;
  }
  TarWriter& file(const std::string& name, std::string_view content = "", unsigned mode = 0644) {
    return file_as({.name = name, .mode = mode}, content);
  }
  TarWriter& file_as(TarHeader h, std::string_view content) {
    h.size = content.size();
    return header(h).body(content);
  }
  TarWriter& folder(const std::string& name, unsigned mode = 0755) {
    return header({.name = name, .type = '5', .mode = mode});
  }
  TarWriter& symlink(const std::string& name, const std::string& target) {
    return header({.name = name, .type = '2', .link = target, .mode = 0777});
  }
  TarWriter& hard_link(const std::string& name, const std::string& target) {
    return header({.name = name, .type = '1', .link = target});
  }
  /// An extended header for the next entry: `records` made by record().
  TarWriter& pax(std::string_view records, char type = 'x') {
    return file_as({.name = "PaxHeaders/x", .type = type}, records);
  }
  /// "21 path=…\n", the length counting itself.
  static std::string record(std::string_view key, std::string_view value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (cat(length).size() + rest != length) ++length;
    return cat(length, ' ', key, '=', value, '\n');
  }
  /// GNU's way of a name longer than 100 bytes; `type` 'L' for the name, 'K' for the link.
  TarWriter& long_name(std::string_view name, char type = 'L') {
    return file_as({.name = "././@LongLink", .type = type, .gnu = true}, std::string(name) + '\0');
  }
  TarWriter& raw(std::string_view bytes) {
    tar_ += bytes;
    return *this;
  }

  /// With the two empty blocks that end an archive.
  std::string finish() const { return tar_ + std::string(1024, '\0'); }
  std::string without_end() const { return tar_; }

  // A field of a header ends without a NUL where it is full.
  // NOLINTBEGIN(bugprone-not-null-terminated-result)
  static std::string block(const TarHeader& h) {
    char b[512] = {};
    std::memcpy(b, h.name.data(), std::min<size_t>(h.name.size(), 100));
    number(b + 100, 8, h.mode);
    number(b + 108, 8, h.uid);
    number(b + 116, 8, h.gid);
    number(b + 124, 12, h.size);
    number(b + 136, 12, static_cast<uint64_t>(h.mtime));
    b[156] = h.type;
    std::memcpy(b + 157, h.link.data(), std::min<size_t>(h.link.size(), 100));
    std::memcpy(b + 257, h.gnu ? "ustar  \0" : "ustar\00000", 8);
    number(b + 329, 8, h.major);
    number(b + 337, 8, h.minor);
    return with_checksum(std::string(b, sizeof b));
  }
  static std::string with_checksum(std::string b) {
    b.replace(148, 8, 8, ' ');
    unsigned sum = 0;
    for (const char c : b) sum += static_cast<unsigned char>(c);
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    b.replace(148, 7, text, 7);
    return b;
  }

 private:
  // Octal, or base-256 where octal has too few digits.
  static void number(char* at, size_t width, uint64_t value) {
    if (value >> (3 * (width - 1)) == 0) {
      std::string digits(width - 1, '0');
      for (size_t i = width - 1; value != 0; value >>= 3) digits[--i] = static_cast<char>('0' + (value & 7));
      std::memcpy(at, digits.data(), digits.size());
      return;
    }
    // Sign-extended, as mtime may be negative.
    const bool negative = static_cast<int64_t>(value) < 0;
    for (size_t i = width; i-- > 0;) {
      const size_t byte = width - 1 - i;
      at[i] = static_cast<char>(byte < 8 ? value >> (8 * byte) : (negative ? 0xff : 0));
    }
    at[0] = static_cast<char>(at[0] | 0x80);
  }

  std::string tar_;
  // NOLINTEND(bugprone-not-null-terminated-result)
};

inline std::string gzip(std::string_view data) {
  z_stream stream{};
  ::deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

inline std::string zstd(std::string_view data) {
  std::string out(::ZSTD_compressBound(data.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
  return out;
}

}  // namespace moss::test
