// The text of a zstd:chunked layer's table of contents, byte by byte, within bounds.
//
// It is as hostile as the rest of a layer, but read by moss itself and not in the container's namespace. So nothing of
// it is kept: it comes through buffers of 64 KiB and zstd's window, which is no larger than what came so far, and no
// more than the beginning of it is read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>

#include "moss/base/result.hh"

struct ZSTD_DCtx_s;

namespace moss::engine {

/// What a table may take. Skopeo's have 80 bytes for each chunk of 8 KiB, 230 as text.
constexpr int64_t kMaxTocBytes = 12 << 20;
/// How much of its text is read: about 100,000 entries. What comes behind that has to be fetched.
constexpr int64_t kMaxTocText = 24 << 20;
/// What a JSON text may have between two quotation marks: no path or attribute of a file is longer.
constexpr size_t kMaxTocWord = 128u << 10;

class TocBytes {
 public:
  /// `bytes` of the file at `offset` are zstd. The file is borrowed. Errors: out of memory.
  static Result<TocBytes> open(int file, int64_t offset, int64_t bytes);

  /// The next byte, or -1 at the end and where it goes no further: failure() says why.
  int next() {
    if (at_ == end_ && !refill()) return -1;
    const char c = text_[at_++];
    // A mark behind a backslash is in the middle of a word.
    if (c == '"' && !escaped_) word_ = 0;
    escaped_ = c == '\\' && !escaped_;
    if (++word_ > kMaxTocWord) return fail("a word of it is too long");
    return static_cast<unsigned char>(c);
  }
  /// It ended because kMaxTocText of it were read.
  bool is_cut() const { return cut_; }
  /// Why it ended early otherwise; empty where it did not.
  const std::string& failure() const { return failure_; }

  /// For nlohmann::json::sax_parse.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = char;

    Iterator() = default;
    explicit Iterator(TocBytes& bytes) : bytes_(&bytes) { ++*this; }
    char operator*() const { return static_cast<char>(byte_); }
    Iterator& operator++() {
      byte_ = bytes_->next();
      return *this;
    }
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    /// All ends are equal, and nothing else is asked.
    bool operator==(const Iterator& other) const { return byte_ < 0 && other.byte_ < 0; }

   private:
    TocBytes* bytes_ = nullptr;
    int byte_ = -1;
  };
  Iterator begin() { return Iterator(*this); }
  static Iterator end() { return {}; }

 private:
  static constexpr size_t kBufferBytes = 64u << 10;
  struct Buffers {
    std::array<char, kBufferBytes> packed;
    std::array<char, kBufferBytes> text;
  };
  using Decoder = std::unique_ptr<ZSTD_DCtx_s, size_t (*)(ZSTD_DCtx_s*)>;
  TocBytes(int file, int64_t offset, int64_t bytes, Decoder decoder);
  bool refill();
  int fail(std::string_view why);

  int file_;
  int64_t offset_;
  int64_t left_;      ///< bytes of the file that were not read yet
  int64_t read_ = 0;  ///< bytes of text
  Decoder decoder_;
  std::unique_ptr<Buffers> buffers_;
  const char* text_;
  size_t packed_at_ = 0;
  size_t packed_end_ = 0;
  size_t at_ = 0;
  size_t end_ = 0;
  size_t word_ = 0;
  bool escaped_ = false;
  bool complete_ = false;  ///< the frame is
  bool cut_ = false;
  std::string failure_;
};

}  // namespace moss::engine
