// Writing a tar. See the header.
#include "src/engine/containers/tar_writer.hh"

#include <algorithm>
#include <array>
#include <cstring>

#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kBlock = 512;
constexpr size_t kBufferBytes = 256u << 10;

// One 512-byte header, as ustar has it.
class Header {
 public:
  Header() {
    block_.fill('\0');
    text(257, "ustar");
    text(263, "00");
  }
  void text(size_t at, std::string_view value) { std::memcpy(block_.data() + at, value.data(), value.size()); }
  // Octal digits and a NUL, `width` bytes together. False where it does not fit; then 0 is written.
  bool number(size_t at, size_t width, uint64_t value) {
    const bool fits = value < uint64_t{1} << (3 * (width - 1));
    uint64_t rest = fits ? value : 0;
    for (size_t i = width - 1; i-- > 0; rest /= 8) block_[at + i] = static_cast<char>('0' + rest % 8);
    return fits;
  }
  std::string_view finish() {
    std::fill(block_.begin() + 148, block_.begin() + 156, ' ');
    uint64_t sum = 0;
    for (const char c : block_) sum += static_cast<unsigned char>(c);
    number(148, 7, sum);
    block_[155] = ' ';
    return {block_.data(), block_.size()};
  }

 private:
  std::array<char, kBlock> block_;
};

// "LENGTH KEY=VALUE\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (std::to_string(length).size() + rest != length) length = std::to_string(length).size() + rest;
  return cat(length, " ", key, "=", value, "\n");
}

bool is_plain(std::string_view text, size_t width) {
  return text.size() <= width && std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

std::string_view padding_of(size_t size) {
  static constexpr std::array<char, kBlock> kZeros{};
  return {kZeros.data(), (kBlock - size % kBlock) % kBlock};
}

}  // namespace

Result<Ok> TarWriter::write(std::string_view bytes) {
  buffer_ += bytes;
  return buffer_.size() < kBufferBytes ? Ok{} : flush();
}

Result<Ok> TarWriter::flush() {
  TRY(sys::write_all(out_, buffer_, "the archive"));
  buffer_.clear();
  return Ok{};
}

Result<Ok> TarWriter::header(const TarEntry& entry) {
  std::string records;
  Header header;
  const auto text = [&](size_t at, size_t width, std::string_view value, const char* key) {
    if (!is_plain(value, width)) records += pax_record(key, value);
    header.text(at, value.substr(0, width));
  };
  const auto number = [&](size_t at, size_t width, uint64_t value, const char* key) {
    if (!header.number(at, width, value)) records += pax_record(key, cat(value));
  };
  text(0, 100, entry.path, "path");
  header.number(100, 8, entry.mode & 07777);
  number(108, 8, entry.uid, "uid");
  number(116, 8, entry.gid, "gid");
  number(124, 12, static_cast<uint64_t>(entry.size), "size");
  if (entry.mtime >= 0) {
    number(136, 12, static_cast<uint64_t>(entry.mtime), "mtime");
  } else {
    header.number(136, 12, 0);
    records += pax_record("mtime", cat(entry.mtime));
  }
  header.text(156, std::string_view(&entry.type, 1));
  text(157, 100, entry.link, "linkpath");
  header.number(329, 8, entry.major);
  header.number(337, 8, entry.minor);
  for (const auto& [name, value] : entry.xattrs) records += pax_record("SCHILY.xattr." + name, value);
  if (!records.empty()) {
    Header extended;
    extended.text(0, "PaxHeaders.0");
    extended.number(100, 8, 0644);
    extended.number(108, 8, 0);
    extended.number(116, 8, 0);
    extended.number(124, 12, records.size());
    extended.number(136, 12, 0);
    extended.text(156, "x");
    TRY(write(extended.finish()));
    TRY(write(records));
    TRY(write(padding_of(records.size())));
  }
  TRY(write(header.finish()));
  left_ = entry.size;
  padding_ = static_cast<int64_t>(padding_of(static_cast<size_t>(entry.size)).size());
  return Ok{};
}

Result<Ok> TarWriter::data(std::string_view piece) {
  piece = piece.substr(0, std::min(piece.size(), static_cast<size_t>(left_)));
  left_ -= static_cast<int64_t>(piece.size());
  return write(piece);
}

Result<Ok> TarWriter::end_of_data() {
  const std::string zeros(64u << 10, '\0');
  for (left_ += padding_; left_ > 0;) {
    const size_t count = std::min(zeros.size(), static_cast<size_t>(left_));
    TRY(write(std::string_view(zeros).substr(0, count)));
    left_ -= static_cast<int64_t>(count);
  }
  padding_ = 0;
  return Ok{};
}

Result<Ok> TarWriter::finish() {
  TRY(write(std::string(2 * kBlock, '\0')));
  return flush();
}

}  // namespace moss::engine
