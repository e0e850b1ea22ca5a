// The table of contents of a zstd:chunked layer. See the header.
#include "chunked_toc.hh"

#include <limits>
#include <nlohmann/json.hpp>

#include "moss/base/text.hh"
#include "toc_bytes.hh"

namespace moss::engine {

namespace {

constexpr int64_t kCrfs = 1;  // the kind of table: that of Google's CRFS
// {"entries": [{"xattrs": {…}}]} is 4.
constexpr size_t kMaxDepth = 6;
constexpr int64_t kTarBlock = 512;
// In front of the table: a skippable frame's magic and size.
constexpr int64_t kFrameHeader = 8;

// FNV-1a. Whoever makes two keys equal on purpose gains a download that is begun twice.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) mix(static_cast<unsigned char>(c));
    mix(0x100);  // no byte: "a", "b" is not "ab"
  }
  void add(int64_t number) { add(std::to_string(number)); }
  uint64_t value() const { return value_; }

 private:
  void mix(uint64_t bits) { value_ = (value_ ^ bits) * 0x100000001b3; }
  uint64_t value_ = 0xcbf29ce484222325;
};

// The two kinds of keys never meet.
uint64_t content_key(std::string_view digest) {
  if (!digest.starts_with("sha256:") || digest.size() < 7 + 16) return 0;
  const std::optional<uint64_t> number = parse_number<uint64_t>(digest.substr(7, 16), 16);
  return number ? *number | 1 : 0;
}
uint64_t header_key(uint64_t hash) { return hash & ~uint64_t{1}; }

// Takes the parser's events.
class TocReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  TocReader(int64_t limit, const OnStretch& tell) : limit_(limit), tell_(tell) {}

  bool start_object(size_t) override {
    if (++depth_ > kMaxDepth) return stop("it is nested too deep");
    if (is_entry()) entry_ = {};
    return true;
  }
  bool key(std::string& text) override {
    if (depth_ == 1) in_entries_ = text == "entries";
    if (depth_ >= 3) member_ = text;
    // Of an attribute its name counts, too.
    if (depth_ > 3) entry_.metadata.add(text);
    return true;
  }
  bool end_object() override {
    const bool ends_entry = is_entry();
    --depth_;
    return !ends_entry || take(entry_);
  }
  bool start_array(size_t) override { return ++depth_ <= kMaxDepth || stop("it is nested too deep"); }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool string(std::string& text) override {
    if (!is_entry()) return other(text);
    if (member_ == "digest") {
      entry_.digest = content_key(text);
    } else if (member_ == "chunkDigest") {
      entry_.chunk_digest = content_key(text);
    } else {
      if (member_ == "type") entry_.is_chunk = text == "chunk";
      return other(text);
    }
    return true;
  }
  bool number_integer(int64_t number) override {
    if (!is_entry()) return other(std::to_string(number));
    if (member_ == "offset") {
      entry_.offset = number;
    } else if (member_ == "endOffset") {
      entry_.end = number;
    } else {
      if (member_ == "size") entry_.size = number;
      return other(std::to_string(number));
    }
    return true;
  }
  bool number_unsigned(uint64_t number) override {
    constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
    return number_integer(number > kMost ? -1 : static_cast<int64_t>(number));
  }
  bool number_float(double, const std::string& text) override { return other(text); }
  bool boolean(bool value) override { return other(value ? "true" : "false"); }
  bool null() override { return other("null"); }
  bool binary(nlohmann::json::binary_t&) override { return true; }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return stop("it is not JSON");
  }

  // Behind the last entry.
  bool finish() { return close_content(content_end_); }
  const std::string& failure() const { return failure_; }

 private:
  struct Entry {
    bool is_chunk = false;  ///< the next part of the content before
    int64_t size = 0;
    int64_t offset = 0;
    int64_t end = 0;
    uint64_t digest = 0;
    uint64_t chunk_digest = 0;
    Hash metadata;
  };

  bool is_entry() const { return in_entries_ && depth_ == 3; }
  bool stop(const char* why) {
    failure_ = why;
    return false;
  }

  // What a file's header may be made of: all but where its content is and how it was cut.
  bool other(std::string_view value) {
    if (!in_entries_ || depth_ < 3) return true;
    if (depth_ == 3 && member_.starts_with("chunk")) return true;
    entry_.metadata.add(member_);
    entry_.metadata.add(value);
    return true;
  }

  bool take(const Entry& entry) {
    if (entry.is_chunk) {
      if (!close_content(entry.offset)) return false;
      open_ = content_end_ > 0 ? entry.chunk_digest : 0;
      open_offset_ = entry.offset;
      return true;
    }
    if (!close_content(content_end_)) return false;
    headers_.add(static_cast<int64_t>(entry.metadata.value()));
    if (entry.offset <= 0 || entry.end <= entry.offset || entry.end > limit_) return true;
    if (!tell(header_key(headers_.value()), content_end_, entry.offset)) return false;
    open_ = entry.chunk_digest != 0 ? entry.chunk_digest : entry.digest;
    open_offset_ = entry.offset;
    content_end_ = entry.end;
    headers_ = {};
    // Behind a content its last block is filled up.
    headers_.add(entry.size % kTarBlock);
    return true;
  }

  // A content, or a part of it, ends where what follows begins.
  bool close_content(int64_t end) {
    const uint64_t key = std::exchange(open_, 0);
    return key == 0 || tell(key, open_offset_, end);
  }

  bool tell(uint64_t key, int64_t begin, int64_t end) {
    if (begin < 0 || end <= begin || end > limit_) return true;
    if (end - begin > std::numeric_limits<uint32_t>::max()) return true;
    return tell_({key, begin, end - begin});
  }

  int64_t limit_;
  const OnStretch& tell_;
  size_t depth_ = 0;
  bool in_entries_ = false;
  std::string member_;
  Entry entry_;
  Hash headers_;             ///< of what comes behind the last content
  int64_t content_end_ = 0;  ///< of the last content; 0 before the first
  uint64_t open_ = 0;        ///< the key of a content that began and did not end
  int64_t open_offset_ = 0;
  std::string failure_;
};

std::string annotation(const oci::Descriptor& layer, std::string_view name) {
  // Before 2022 the names began otherwise.
  for (const char* prefix : {"io.github.containers.zstd-chunked.", "io.containers.zstd-chunked."}) {
    const auto found = layer.annotations.find(cat(prefix, name));
    if (found != layer.annotations.end()) return found->second;
  }
  return {};
}

}  // namespace

std::optional<TocPlace> toc_place(const oci::Descriptor& layer) {
  if (layer.annotations.empty()) return std::nullopt;
  TocPlace place;
  const std::string position = annotation(layer, "manifest-position");
  const std::vector<std::string_view> parts = split(position, ':');
  if (parts.size() != 4) return std::nullopt;
  int64_t numbers[4];
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::optional<int64_t> number = parse_number<int64_t>(parts[i]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  place.offset = numbers[0];
  place.bytes = numbers[1];
  place.digest = annotation(layer, "manifest-checksum");
  if (numbers[3] != kCrfs || place.offset < kFrameHeader || place.bytes <= 0 || place.bytes > kMaxTocBytes ||
      place.bytes > layer.size || place.offset > layer.size - place.bytes) {
    return std::nullopt;
  }
  const Result<oci::Digest> digest = oci::Digest::parse(place.digest);
  if (!digest.ok() || digest->algorithm() != "sha256") return std::nullopt;
  return place;
}

Result<Ok> read_toc(int file, int64_t offset, const TocPlace& place, const OnStretch& tell) {
  TocBytes bytes = TRY(TocBytes::open(file, offset, place.bytes));
  bool enough = false;
  const OnStretch watch = [&](const Stretch& stretch) {
    enough = !tell(stretch);
    return !enough;
  };
  TocReader reader(place.offset - kFrameHeader, watch);
  const bool read = nlohmann::json::sax_parse(bytes.begin(), TocBytes::end(), &reader);
  if (enough || bytes.is_cut()) return Ok{};
  for (const std::string& why : {bytes.failure(), reader.failure()}) {
    if (!why.empty()) return Error(0, "the layer's table of contents: ", why);
  }
  if (!read) return Error(0, "the layer's table of contents: it is not JSON");
  (void)reader.finish();
  return Ok{};
}

}  // namespace moss::engine
