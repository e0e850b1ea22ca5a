// The files of an archive, by libarchive. See the header.
#include "tar_files.hh"

#include <archive.h>
#include <archive_entry.h>

#include <memory>

#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kReadBytes = 1u << 20;
constexpr size_t kMaxEntries = 50'000;
constexpr size_t kMaxNameBytes = 4096;
constexpr size_t kMaxAllNameBytes = 8u << 20;
constexpr int kMaxLinks = 16;
constexpr size_t kStartBytes = 8;

using Reader = std::unique_ptr<archive, decltype(&::archive_read_free)>;

Error archive_error(archive* reader, std::string_view what) {
  const char* reason = ::archive_error_string(reader);
  return Error(0, what, ": ", printable(reason != nullptr ? reason : "not readable"));
}

enum class Format { tar, raw };

Result<Reader> open_reader(int fd, Format format) {
  Reader reader(::archive_read_new(), &::archive_read_free);
  if (!reader) return Error(ENOMEM, "read an archive");
  ::archive_read_support_filter_gzip(reader.get());
  ::archive_read_support_filter_zstd(reader.get());
  ::archive_read_support_filter_xz(reader.get());
  ::archive_read_support_filter_bzip2(reader.get());
  if (format == Format::tar) {
    ::archive_read_support_format_tar(reader.get());
  } else {
    ::archive_read_support_format_raw(reader.get());
  }
  if (::archive_read_open_fd(reader.get(), fd, kReadBytes) != ARCHIVE_OK) {
    return archive_error(reader.get(), "not an archive that moss can read");
  }
  return reader;
}

// A few bytes that become gigabytes are no image, whether a compressor made them or a sparse file.
Result<Ok> check_ratio(archive* reader, int64_t bytes, const UnpackOptions& limits) {
  const auto written = static_cast<uint64_t>(bytes);
  const auto read = static_cast<uint64_t>(::archive_filter_bytes(reader, -1));
  if (limits.max_ratio == 0 || written <= limits.ratio_free_bytes || written / limits.max_ratio <= read) return Ok{};
  return Error(EFBIG, "the archive is a decompression bomb: ", read, " bytes became ", written);
}

// The content of the current entry. `before` bytes came out of the archive already.
Result<Copied> copy_entry(Ingest& ingest, archive* reader, const std::string& name, int64_t max_bytes,
                          const UnpackOptions& limits, int64_t before) {
  Copied copied;
  copied.file = TRY(ingest.create_file(name));
  Digester digester = TRY(Digester::create());
  std::vector<char> buffer(kReadBytes);
  while (true) {
    const ssize_t got = ::archive_read_data(reader, buffer.data(), buffer.size());
    if (got < 0) return archive_error(reader, "the archive is damaged");
    if (got == 0) break;
    copied.bytes += got;
    if (copied.bytes > max_bytes) return Error(EFBIG, "the archive holds more than is allowed");
    TRY(check_ratio(reader, before + copied.bytes, limits));
    const std::string_view piece(buffer.data(), static_cast<size_t>(got));
    if (copied.start.empty()) copied.start = piece.substr(0, kStartBytes);
    digester.update(piece);
    if (Result<Ok> written = sys::write_all(copied.file.get(), piece, "staging"); !written.ok()) {
      return explain(written.error(), ingest.store());
    }
  }
  copied.digest = digester.finish();
  return copied;
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
  const Reader reader = TRY(open_reader(fd, Format::tar));
  ArchiveFiles out;
  size_t count = 0;
  size_t name_bytes = 0;
  int64_t bytes = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int got = ::archive_read_next_header(reader.get(), &entry);
    if (got == ARCHIVE_EOF) return out;
    if (got != ARCHIVE_OK && got != ARCHIVE_WARN)
      return archive_error(reader.get(), "not an archive of an image, or damaged");
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
      const Copied copied = TRY(copy_entry(ingest, reader.get(), staged, max_bytes - bytes, limits, bytes));
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
  const Reader reader = TRY(open_reader(fd, Format::raw));
  archive_entry* entry = nullptr;
  if (::archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) return archive_error(reader.get(), "decompress");
  return copy_entry(ingest, reader.get(), name, max_bytes, limits, 0);
}

}  // namespace moss::engine
