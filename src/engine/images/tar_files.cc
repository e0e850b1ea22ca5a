// The files of an archive, by libarchive. See the header.
#include "tar_files.hh"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "moss/engine/archive_input.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kReadBytes = 1u << 20;
constexpr size_t kMaxEntries = 50'000;
constexpr size_t kMaxNameBytes = 4096;
constexpr size_t kMaxAllNameBytes = 8u << 20;
constexpr int kMaxLinks = 16;
constexpr size_t kStartBytes = 8;

// A few bytes that become gigabytes are no image, whether a compressor made them or a sparse file.
Result<Ok> check_ratio(const ArchiveInput& input, int64_t bytes, const UnpackOptions& limits) {
  const auto written = static_cast<uint64_t>(bytes);
  const uint64_t read = input.compressed_bytes();
  if (limits.max_ratio == 0 || written <= limits.ratio_free_bytes || written / limits.max_ratio <= read) return Ok{};
  return Error(EFBIG, "the archive is a decompression bomb: ", read, " bytes became ", written);
}

// libarchive's reader of an ArchiveInput, whose error it would have no words for.
class TarReader {
 public:
  /// `limits` is borrowed.
  static Result<std::unique_ptr<TarReader>> open(int fd, const UnpackOptions& limits) {
    auto out = std::make_unique<TarReader>();
    out->limits_ = &limits;
    out->input_ = TRY(ArchiveInput::open(fd));
    out->reader_.reset(::archive_read_new());
    if (!out->reader_) return Error(ENOMEM, "read an archive");
    ::archive_read_support_format_tar(out->reader_.get());
    if (::archive_read_open(out->reader_.get(), out.get(), nullptr, &TarReader::read, nullptr) != ARCHIVE_OK) {
      return out->error("not an archive that moss can read");
    }
    return out;
  }

  archive* get() const { return reader_.get(); }
  const ArchiveInput& input() const { return *input_; }

  Error error(std::string_view what) const {
    if (failure_) return *failure_;
    const char* reason = ::archive_error_string(reader_.get());
    return Error(0, what, ": ", printable(reason != nullptr ? reason : "not readable"));
  }

 private:
  static la_ssize_t read(archive* reader, void* self, const void** bytes) {
    auto* const out = static_cast<TarReader*>(self);
    const Result<std::string_view> piece = out->next_piece();
    if (!piece.ok()) {
      out->failure_ = piece.error();
      ::archive_set_error(reader, EIO, "not readable");
      return ARCHIVE_FATAL;
    }
    *bytes = piece->data();
    return static_cast<la_ssize_t>(piece->size());
  }

  // What nobody asked for is unpacked too, to get behind it: it takes no space but time.
  Result<std::string_view> next_piece() {
    const std::string_view piece = TRY(input_->next());
    unpacked_ += static_cast<int64_t>(piece.size());
    TRY(check_ratio(*input_, unpacked_, *limits_));
    return piece;
  }

  const UnpackOptions* limits_ = nullptr;
  int64_t unpacked_ = 0;
  std::unique_ptr<ArchiveInput> input_;
  std::unique_ptr<archive, decltype(&::archive_read_free)> reader_{nullptr, &::archive_read_free};
  std::optional<Error> failure_;
};

// What `next` gives, to its end, into the new staging file `name`. `before` bytes came out of `input` already.
template <typename Next>
Result<Copied> copy_pieces(Ingest& ingest, const ArchiveInput& input, const std::string& name, int64_t max_bytes,
                           const UnpackOptions& limits, int64_t before, const Next& next) {
  Copied copied;
  copied.file = TRY(ingest.create_file(name));
  Digester digester = TRY(Digester::create());
  while (true) {
    const std::string_view piece = TRY(next());
    if (piece.empty()) break;
    copied.bytes += static_cast<int64_t>(piece.size());
    if (copied.bytes > max_bytes) return Error(EFBIG, "the archive holds more than is allowed");
    TRY(check_ratio(input, before + copied.bytes, limits));
    if (copied.start.empty()) copied.start = piece.substr(0, kStartBytes);
    digester.update(piece);
    if (Result<Ok> written = sys::write_all(copied.file.get(), piece, "staging"); !written.ok()) {
      return explain(written.error(), ingest.store());
    }
  }
  copied.digest = digester.finish();
  return copied;
}

// The content of the current entry.
Result<Copied> copy_entry(Ingest& ingest, const TarReader& reader, const std::string& name, int64_t max_bytes,
                          const UnpackOptions& limits, int64_t before) {
  std::vector<char> buffer(kReadBytes);
  return copy_pieces(ingest, reader.input(), name, max_bytes, limits, before, [&]() -> Result<std::string_view> {
    const ssize_t got = ::archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (got < 0) return reader.error("the archive is damaged");
    return std::string_view(buffer.data(), static_cast<size_t>(got));
  });
}

std::string parent_of(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? std::string() : name.substr(0, slash);
}

}  // namespace

std::optional<std::string> archive_name(std::string_view name) {
  std::vector<std::string> parts;
  for (const std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (parts.empty()) return std::nullopt;
      parts.pop_back();
    } else {
      parts.emplace_back(part);
    }
  }
  return join(parts, "/");
}

Result<ArchiveFiles> ArchiveFiles::stage(Ingest& ingest, int fd, int64_t max_bytes, const UnpackOptions& limits) {
  const std::unique_ptr<TarReader> reader = TRY(TarReader::open(fd, limits));
  ArchiveFiles out;
  size_t count = 0;
  size_t name_bytes = 0;
  int64_t bytes = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int got = ::archive_read_next_header(reader->get(), &entry);
    if (got == ARCHIVE_EOF) return out;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN) return reader->error("not an archive of an image, or damaged");
    if (++count > kMaxEntries) return Error(0, "the archive has more than ", kMaxEntries, " files; refused");
    const char* raw_name = ::archive_entry_pathname(entry);
    if (raw_name == nullptr || std::string_view(raw_name).size() > kMaxNameBytes) continue;
    const std::optional<std::string> name = archive_name(raw_name);
    // What leads out of the archive cannot be meant by anything inside.
    if (!name || name->empty()) continue;
    for (const char* text : {raw_name, ::archive_entry_hardlink(entry), ::archive_entry_symlink(entry)}) {
      name_bytes += text != nullptr ? std::string_view(text).size() : 0;
    }
    if (name_bytes > kMaxAllNameBytes) return Error(0, "the names in the archive are too long; refused");
    if (const char* target = ::archive_entry_hardlink(entry)) {
      if (const auto inside = archive_name(target)) out.links_[*name] = *inside;
    } else if (const char* symlink = ::archive_entry_symlink(entry)) {
      if (const auto inside = archive_name(cat(parent_of(*name), "/", symlink))) out.links_[*name] = *inside;
    } else if (::archive_entry_filetype(entry) == AE_IFREG) {
      // The last of a name counts, as it does for tar(1).
      const std::string staged = cat("entry-", ingest.next_index());
      if (::archive_entry_size(entry) > max_bytes - bytes)
        return Error(EFBIG, "the archive holds more than is allowed");
      const Copied copied = TRY(copy_entry(ingest, *reader, staged, max_bytes - bytes, limits, bytes));
      bytes += copied.bytes;
      out.files_[*name] = {staged, copied.digest, copied.bytes, copied.start};
    }
  }
}

const StagedFile* ArchiveFiles::find(const std::string& name) const {
  std::string at = archive_name(name).value_or("");
  for (int i = 0; i < kMaxLinks; ++i) {
    if (const auto file = files_.find(at); file != files_.end()) return &file->second;
    const auto link = links_.find(at);
    if (link == links_.end()) return nullptr;
    at = link->second;
  }
  return nullptr;
}

Result<Copied> decompress_to_staging(Ingest& ingest, int fd, const std::string& name, int64_t max_bytes,
                                     const UnpackOptions& limits) {
  const std::unique_ptr<ArchiveInput> input = TRY(ArchiveInput::open(fd));
  return copy_pieces(ingest, *input, name, max_bytes, limits, 0, [&] { return input->next(); });
}

}  // namespace moss::engine
