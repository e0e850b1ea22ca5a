// The file "summaries": a line with a checksum of what follows, then texts and numbers, each text behind its length.
#include "summaries.hh"

#include <unistd.h>

#include <algorithm>

#include "layout.hh"
#include "locks.hh"
#include "moss/base/hash.hh"
#include "moss/base/sizes.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kTitle = "moss summaries 1 ";
constexpr size_t kMaxBytes = 64u << 20;
constexpr size_t kDigits = 16;

// FNV-1a over words of eight bytes. It tells a torn file from a whole one; nothing is trusted because of it.
std::string checksum(std::string_view text) {
  uint64_t hash = 14695981039346656037ULL ^ text.size();
  for (; !text.empty(); text.remove_prefix(std::min<size_t>(8, text.size()))) {
    uint64_t word = 0;
    for (size_t i = 0; i < std::min<size_t>(8, text.size()); ++i) {
      word |= uint64_t{static_cast<unsigned char>(text[i])} << (8 * i);
    }
    hash = (hash ^ word) * 1099511628211ULL;
    hash ^= hash >> 32;
  }
  return hex_digits(hash);
}

void put(std::string& out, int64_t number) {
  const auto bits = static_cast<uint64_t>(number);
  for (unsigned i = 0; i < 8; ++i) out += static_cast<char>(bits >> (8 * i) & 255);
}

void put(std::string& out, std::string_view text) {
  put(out, static_cast<int64_t>(text.size()));
  out += text;
}

// Takes one after another. What is not there is empty, and the reader has failed.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool at_end() const { return rest_.empty(); }
  bool failed() const { return failed_; }

  int64_t number() {
    const std::string_view bytes = take(8);
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes.size(); ++i) bits |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
    return static_cast<int64_t>(bits);
  }
  std::string text() { return std::string(take(static_cast<uint64_t>(number()))); }

 private:
  std::string_view take(uint64_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  std::string_view rest_;
  bool failed_ = false;
};

void put(std::string& out, const Summary& summary) {
  for (const std::string* text : {&summary.id, &summary.created, &summary.architecture, &summary.os}) put(out, *text);
  put(out, static_cast<int64_t>(summary.labels.size()));
  for (const auto& [key, value] : summary.labels) {
    put(out, key);
    put(out, value);
  }
  put(out, summary.bytes.value_or(-1));
  put(out, static_cast<int64_t>(summary.layers.size()));
  for (const Summary::Layer& layer : summary.layers) {
    put(out, layer.diff_id);
    put(out, layer.blob_bytes);
  }
}

Summary take_summary(Reader& reader) {
  Summary summary;
  for (std::string* text : {&summary.id, &summary.created, &summary.architecture, &summary.os}) *text = reader.text();
  for (int64_t left = reader.number(); left > 0 && !reader.failed(); --left) {
    std::string key = reader.text();
    summary.labels[std::move(key)] = reader.text();
  }
  if (const int64_t bytes = reader.number(); bytes >= 0) summary.bytes = bytes;
  for (int64_t left = reader.number(); left > 0 && !reader.failed(); --left) {
    Summary::Layer& layer = summary.layers.emplace_back();
    layer.diff_id = reader.text();
    layer.blob_bytes = reader.number();
  }
  return summary;
}

// An additional store's file is somebody else's: what is put into paths or shown as it is must be what it looks like.
bool is_sound(const std::string& manifest, const Summary& summary) {
  const auto is_digest = [](const std::string& text) { return oci::Digest::parse(text).ok(); };
  return is_digest(manifest) && (is_digest("sha256:" + summary.id) || is_digest("sha512:" + summary.id)) &&
         std::all_of(summary.layers.begin(), summary.layers.end(),
                     [&](const Summary::Layer& layer) { return is_digest(layer.diff_id) && layer.blob_bytes >= 0; });
}

// Nothing where there is no file; an error where it is not whole.
Result<std::optional<Summaries>> read_file(const std::string& store) {
  const std::string path = cat(store, "/", kSummariesFile);
  const std::optional<std::string> text = TRY(sys::read_file_if_exists(path, kMaxBytes));
  if (!text) return std::optional<Summaries>();
  std::string_view rest = *text;
  const Error torn(0, path, " is not whole");
  if (!rest.starts_with(kTitle) || rest.size() < kTitle.size() + kDigits + 1) return torn;
  rest.remove_prefix(kTitle.size());
  const std::string_view body = rest.substr(kDigits + 1);
  if (rest.substr(0, kDigits) != checksum(body)) return torn;
  Summaries summaries;
  Reader reader(body);
  while (!reader.at_end()) {
    std::string manifest = reader.text();
    Summary summary = take_summary(reader);
    if (reader.failed() || !is_sound(manifest, summary)) return torn;
    // They are in order.
    summaries.emplace_hint(summaries.end(), std::move(manifest), std::move(summary));
  }
  return std::optional(std::move(summaries));
}

}  // namespace

Summary summary_of(const Image& image, const SizeOfLayer& size_of) {
  Summary summary{.id = image.id,
                  .created = image.config.created,
                  .architecture = image.config.platform.architecture,
                  .os = image.config.platform.os,
                  .labels = image.config.config.labels};
  for (const ImageLayer& layer : image.layers) summary.layers.push_back({layer.diff_id, layer.blob.size});
  complete(summary, size_of);
  return summary;
}

bool complete(Summary& summary, const SizeOfLayer& size_of) {
  if (summary.bytes) return false;
  int64_t bytes = 0;
  for (const Summary::Layer& layer : summary.layers) {
    const std::optional<int64_t> size = size_of(layer.diff_id);
    if (!size) return false;
    bytes = add_sizes(bytes, *size);
  }
  summary.bytes = bytes;
  summary.layers.clear();
  return true;
}

Summaries read_summaries(const std::string& store) {
  Result<std::optional<Summaries>> read = read_file(store);
  return read.ok() && *read ? **std::move(read) : Summaries();
}

bool summaries_are_torn(const std::string& store) {
  const Result<std::optional<Summaries>> read = read_file(store);
  return !read.ok() && read.error().code() == 0;
}

void write_summaries(const std::string& store, const Summaries& summaries) {
  std::string body;
  for (const auto& [manifest, summary] : summaries) {
    put(body, manifest);
    put(body, summary);
  }
  if (body.size() > kMaxBytes / 2) return;
  // A store that is being removed gets no new files; and whoever looks for half-written ones looks for them with the
  // index's lock.
  const Result<std::optional<Fd>> hold = try_hold_folder(store, Hold::shared);
  if (!hold.ok() || !*hold || !sys::exists(store + "/index.json")) return;
  const Result<std::optional<NameLock>> lock = NameLock::try_acquire(store, "index");
  if (!lock.ok() || !*lock) return;
  const std::string path = cat(store, "/", kSummariesFile);
  if (summaries.empty()) {
    ::unlink(path.c_str());
  } else {
    (void)sys::replace_file(path, cat(kTitle, checksum(body), "\n", body));
  }
}

}  // namespace moss::engine
