// Folders and archives to write to. See the header.
#include "file_sink.hh"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <vector>

#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "moss/sys/new_file.hh"

namespace moss::engine {

namespace {

constexpr size_t kBufferBytes = 1u << 20;

Error no_space(Error error, const std::string& path) {
  if (error.code() == ENOSPC || error.code() == EDQUOT) error.add_context("no space left for ", path);
  return error;
}

class FolderSink : public FileSink {
 public:
  // `part` is empty where files go straight to `path`.
  FolderSink(std::string path, std::string part, Fd lock)
      : path_(std::move(path)), part_(std::move(part)), lock_(std::move(lock)) {}
  ~FolderSink() override {
    if (!part_.empty()) (void)sys::remove_tree(part_);
  }
  FolderSink(const FolderSink&) = delete;
  FolderSink& operator=(const FolderSink&) = delete;

  bool has(const std::string& name, int64_t bytes) const override {
    struct stat status;
    return ::lstat(at(name).c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_size == bytes;
  }
  Result<std::optional<std::string>> read(const std::string& name, size_t max_bytes) override {
    return sys::read_file_if_exists(at(name), max_bytes);
  }
  Result<Ok> put(const std::string& name, std::string_view text) override {
    return put_pieces(name, static_cast<int64_t>(text.size()), [&](const Piece& piece) { return piece(text); });
  }
  Result<Ok> put_pieces(const std::string& name, int64_t /*bytes*/, const Fill& fill) override {
    const std::string path = at(name);
    TRY(sys::make_dirs(sys::parent_and_name(path).first));
    sys::NewFile file = TRY(sys::NewFile::create(path));
    Result<Ok> filled = fill([&](std::string_view piece) { return sys::write_all(file.fd(), piece, path); });
    if (!filled.ok()) return no_space(filled.error(), path_);
    return file.show();
  }
  Result<Ok> finish() override {
    if (part_.empty()) return Ok{};
    struct stat status;
    if (::lstat(path_.c_str(), &status) == 0) {
      if (::renameat2(AT_FDCWD, part_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) != 0) {
        return sys_error("replace ", path_);
      }
      // Now the old one is there, and goes with this value.
      return Ok{};
    }
    if (::rename(part_.c_str(), path_.c_str()) != 0) return sys_error("rename ", part_, " to ", path_);
    part_.clear();
    return Ok{};
  }

 private:
  std::string at(const std::string& name) const { return cat(part_.empty() ? path_ : part_, "/", name); }

  std::string path_;
  std::string part_;
  Fd lock_;
};

using Writer = std::unique_ptr<archive, decltype(&::archive_write_free)>;
using Entry = std::unique_ptr<archive_entry, decltype(&::archive_entry_free)>;

class ArchiveSink : public FileSink {
 public:
  // `file` is nothing where the output is a pipe or a device.
  ArchiveSink(std::string path, std::optional<sys::NewFile> file, Fd output)
      : path_(std::move(path)), file_(std::move(file)), output_(std::move(output)) {}

  Result<Ok> open() {
    if (!writer_) return Error(ENOMEM, "write an archive");
    ::archive_write_set_format_pax_restricted(writer_.get());
    // No padding to a tape's blocks.
    ::archive_write_set_bytes_in_last_block(writer_.get(), 1);
    const int fd = file_ ? file_->fd() : output_.get();
    return checked(::archive_write_open_fd(writer_.get(), fd));
  }
  bool has(const std::string& name, int64_t bytes) const override {
    return std::find(names_.begin(), names_.end(), std::pair(name, bytes)) != names_.end();
  }
  Result<std::optional<std::string>> read(const std::string&, size_t) override { return std::optional<std::string>(); }
  Result<Ok> put(const std::string& name, std::string_view text) override {
    return put_pieces(name, static_cast<int64_t>(text.size()), [&](const Piece& piece) { return piece(text); });
  }
  Result<Ok> put_pieces(const std::string& name, int64_t bytes, const Fill& fill) override {
    // Tools that read as an ordinary user fail where they have to make up a folder.
    for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
      if (folders_.insert(name.substr(0, slash)).second) TRY(put_header(name.substr(0, slash), AE_IFDIR, 0755, 0));
    }
    TRY(put_header(name, AE_IFREG, 0444, bytes));
    int64_t written = 0;
    TRY(fill([&](std::string_view piece) -> Result<Ok> {
      written += static_cast<int64_t>(piece.size());
      if (written > bytes) return Error(0, name, " is larger than the ", bytes, " bytes it should have");
      if (::archive_write_data(writer_.get(), piece.data(), piece.size()) < 0) return checked(ARCHIVE_FATAL);
      return Ok{};
    }));
    if (written != bytes) return Error(0, name, " has ", written, " bytes and not ", bytes);
    names_.emplace_back(name, bytes);
    return Ok{};
  }
  Result<Ok> finish() override {
    TRY(checked(::archive_write_close(writer_.get())));
    return file_ ? file_->show() : Result<Ok>(Ok{});
  }

 private:
  Result<Ok> put_header(const std::string& name, mode_t type, mode_t mode, int64_t bytes) {
    const Entry entry(::archive_entry_new(), &::archive_entry_free);
    if (!entry) return Error(ENOMEM, "write an archive");
    ::archive_entry_set_pathname(entry.get(), name.c_str());
    ::archive_entry_set_filetype(entry.get(), type);
    ::archive_entry_set_perm(entry.get(), mode);
    ::archive_entry_set_size(entry.get(), bytes);
    // The same image gives the same archive.
    ::archive_entry_set_mtime(entry.get(), 0, 0);
    return checked(::archive_write_header(writer_.get(), entry.get()));
  }
  Result<Ok> checked(int code) {
    if (code == ARCHIVE_OK || code == ARCHIVE_WARN) return Ok{};
    const int reason = ::archive_errno(writer_.get());
    return no_space(Error(reason > 0 ? reason : EIO, "write ", path_), path_);
  }

  std::string path_;
  std::optional<sys::NewFile> file_;
  Fd output_;
  Writer writer_{::archive_write_new(), &::archive_write_free};
  std::vector<std::pair<std::string, int64_t>> names_;
  std::set<std::string> folders_;
};

}  // namespace

Result<std::unique_ptr<FileSink>> open_folder_sink(const std::string& path, bool replace) {
  struct stat status;
  const bool there = ::stat(path.c_str(), &status) == 0;
  if (there && !S_ISDIR(status.st_mode)) return Error(ENOTDIR, "write to ", path);
  if (there && !replace) return std::unique_ptr<FileSink>(std::make_unique<FolderSink>(path, "", Fd()));
  const std::string parent = sys::parent_and_name(path).first;
  TRY(sys::make_dirs(parent));
  sys::sweep_parts(path);
  std::string part = sys::part_of(path);
  if (::mkdir(part.c_str(), 0755) != 0) return sys_error("make a folder in ", parent);
  Fd lock = TRY(sys::open_at(AT_FDCWD, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return sys_error("lock ", part);
  return std::unique_ptr<FileSink>(std::make_unique<FolderSink>(path, std::move(part), std::move(lock)));
}

Result<std::unique_ptr<FileSink>> open_archive_sink(const std::string& path) {
  std::optional<sys::NewFile> file;
  Fd output;
  struct stat status;
  if (path == "-") {
    output.reset(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!output) return sys_error("write to the standard output");
  } else if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return Error(EISDIR, "write to ", path);
  } else if (::lstat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    // A link, too: /dev/stdout must not become a file.
    output = TRY(sys::open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY, 0644));
  } else {
    file.emplace(TRY(sys::NewFile::create(path)));
  }
  if (output && ::isatty(output.get()) == 1) {
    return Error(0, "an archive is not for a terminal; name a file with -o, or redirect the output");
  }
  auto sink = std::make_unique<ArchiveSink>(path, std::move(file), std::move(output));
  TRY(sink->open());
  return std::unique_ptr<FileSink>(std::move(sink));
}

Result<Ok> put_blob(FileSink& sink, const std::string& name, const OutgoingBlob& blob) {
  if (sink.has(name, blob.descriptor.size)) return Ok{};
  const oci::Digest wanted = TRY(oci::Digest::parse(blob.descriptor.digest));
  return sink.put_pieces(name, blob.descriptor.size, [&](const FileSink::Piece& piece) -> Result<Ok> {
    Digester digester = TRY(Digester::create(wanted.algorithm()));
    std::vector<char> buffer(kBufferBytes);
    for (int64_t offset = 0;;) {
      const ssize_t got = ::pread(blob.file->get(), buffer.data(), buffer.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return sys_error("read blob ", blob.descriptor.digest);
      if (got == 0) break;
      offset += got;
      const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
      digester.update(bytes);
      TRY(piece(bytes));
    }
    if (const std::string found = digester.finish(); found != wanted.text()) {
      return Error(0, "blob ", wanted.text(), " is damaged in the store: its content has the digest ", found,
                   "; remove the image and pull it again");
    }
    return Ok{};
  });
}

}  // namespace moss::engine
