// One layer: libarchive reads the tar stream, LayerTree writes what it finds.
#include "moss/engine/unpack.hh"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "layer_stream.hh"
#include "layer_tree.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kWhiteoutPrefix = ".wh.";
constexpr std::string_view kAufsPrefix = ".wh..wh.";
constexpr std::string_view kOpaqueName = ".wh..wh..opq";

/// Modes are given to the kernel with the file's creation, which saves a call for each of them.
class NoUmask {
 public:
  NoUmask() : before_(::umask(0)) {}
  NoUmask(const NoUmask&) = delete;
  NoUmask& operator=(const NoUmask&) = delete;
  ~NoUmask() { ::umask(before_); }

 private:
  mode_t before_;
};

/// What a whiteout's name asks for.
enum class Whiteout { none, ignored, opaque, hide };

struct Name {
  std::string folder;  ///< of an opaque mark or a whiteout
  std::string hidden;  ///< the path a whiteout hides
  Whiteout whiteout = Whiteout::none;
};

/// Spec: image-spec layer.md "Whiteouts". Error: a name that starts like a whiteout's and is none.
Result<Name> read_name(const std::string& path) {
  Name name;
  size_t start = 0;
  while (start < path.size()) {
    const size_t slash = std::min(path.find('/', start), path.size());
    const std::string_view part = std::string_view(path).substr(start, slash - start);
    const bool last = slash == path.size();
    if (part.starts_with(kWhiteoutPrefix)) {
      const std::string_view rest = part.substr(kWhiteoutPrefix.size());
      name.folder = path.substr(0, start == 0 ? 0 : start - 1);
      if (last && part == kOpaqueName) {
        name.whiteout = Whiteout::opaque;
      } else if (part.starts_with(kAufsPrefix)) {
        // aufs kept its own records under such names; they mean nothing to anybody else.
        name.whiteout = Whiteout::ignored;
        return name;
      } else if (!last || rest.empty() || rest == "." || rest == "..") {
        return Error(0, "unpack ", printable(path), ": not a name that a whiteout may have");
      } else {
        name.whiteout = Whiteout::hide;
        name.hidden = cat(name.folder, name.folder.empty() ? "" : "/", rest);
      }
    }
    start = slash + 1;
  }
  return name;
}

class LayerUnpacker {
 public:
  LayerUnpacker(LayerStream& stream, LayerTree& tree, const UnpackOptions& options)
      : stream_(stream), tree_(tree), options_(options), archive_(::archive_read_new(), &::archive_read_free) {}

  Result<uint64_t> run() {
    pending_ = TRY(stream_.next());
    // An archive without even its end mark: some tools push that for a layer that changes nothing.
    if (pending_->empty()) return uint64_t{0};
    if (!archive_) return Error(ENOMEM, "read the layer");
    if (::archive_read_support_format_tar(archive_.get()) != ARCHIVE_OK ||
        ::archive_read_open(archive_.get(), this, nullptr, &LayerUnpacker::read_piece, nullptr) != ARCHIVE_OK) {
      return archive_error();
    }
    while (true) {
      archive_entry* entry = nullptr;
      const int verdict = ::archive_read_next_header(archive_.get(), &entry);
      if (verdict == ARCHIVE_EOF) break;
      if (verdict != ARCHIVE_OK && !(verdict == ARCHIVE_WARN && is_name_warning())) return archive_error();
      if (++entries_ > options_.max_entries) {
        return Error(E2BIG, "the layer has more than ", options_.max_entries, " entries");
      }
      TRY(unpack_entry(entry));
    }
    // The digest is of the whole stream, and the compressed data must be sound to its end.
    while (!TRY(stream_.next()).empty()) {
    }
    TRY(tree_.finish());
    return entries_;
  }

 private:
  static la_ssize_t read_piece(archive*, void* self, const void** data) {
    auto& unpacker = *static_cast<LayerUnpacker*>(self);
    std::span<const uint8_t> piece;
    if (unpacker.pending_) {
      piece = *std::exchange(unpacker.pending_, std::nullopt);
    } else {
      Result<std::span<const uint8_t>> next = unpacker.stream_.next();
      if (!next.ok()) {
        unpacker.stream_error_ = std::move(next).error();
        return -1;
      }
      piece = *next;
      if (piece.empty() && unpacker.body_is_complete_) piece = unpacker.missing_padding();
    }
    *data = piece.data();
    return static_cast<la_ssize_t>(piece.size());
  }

  // Some tools (umoci's insert) stop right after the last file's content; Go's reader and GNU tar accept that. What is
  // missing of the content itself is never made up.
  std::span<const uint8_t> missing_padding() {
    static constexpr uint8_t kZeros[512] = {};
    const size_t missing = std::exchange(padded_, true) ? 0 : (512 - stream_.bytes() % 512) % 512;
    return {kZeros, missing};
  }

  // Names are taken byte for byte. libarchive converts a pax name to the locale's characters, and where it cannot (moss
  // never leaves the "C" locale) it keeps the bytes and warns.
  bool is_name_warning() const {
    const char* text = ::archive_error_string(archive_.get());
    return text != nullptr && std::string_view(text).find("can't be converted") != std::string_view::npos;
  }

  Error archive_error() {
    // libarchive's complaint is only the symptom where the data below it is damaged.
    if (stream_error_) return *stream_error_;
    const char* text = ::archive_error_string(archive_.get());
    if (text == nullptr) return Error(0, "read the layer: not a tar archive");
    const std::string reason = printable(text);
    if (reason == "Unrecognized archive format") return Error(0, "read the layer: not a tar archive");
    return Error(0, "read the layer after ", entries_, " entries: ", reason);
  }

  Result<Ok> unpack_entry(archive_entry* entry) {
    const char* raw_path = ::archive_entry_pathname(entry);
    const std::string path = TRY(normal_path(raw_path != nullptr ? raw_path : ""));
    const char* link = ::archive_entry_hardlink(entry);
    const auto type = ::archive_entry_filetype(entry);
    // CVE-2021-29136: a symlink in the root's place would move everything after it.
    if (path.empty() && (link != nullptr || type != AE_IFDIR)) {
      return Error(0, "unpack /: the layer's root must be a folder");
    }
    const Name name = TRY(read_name(path));
    if (name.whiteout != Whiteout::none) return unpack_whiteout(path, name, link != nullptr || type == AE_IFREG);
    if (link != nullptr) {
      const std::string target = TRY(normal_path(link).context("unpack ", printable(path), ": hard link"));
      return tree_.add_hard_link(path, target);
    }
    read_metadata(entry);
    switch (type) {
      case AE_IFREG:
        return unpack_file(entry, path);
      case AE_IFDIR:
        return tree_.add_folder(path, metadata_);
      case AE_IFLNK: {
        const char* target = ::archive_entry_symlink(entry);
        return tree_.add_symlink(path, target != nullptr ? target : "", metadata_);
      }
      case AE_IFIFO:
        return tree_.add_fifo(path, metadata_);
      case AE_IFCHR:
        if (::archive_entry_rdevmajor(entry) == 0 && ::archive_entry_rdevminor(entry) == 0) {
          return Error(0, "unpack ", printable(path),
                       ": a raw overlayfs whiteout (device 0:0); a layer deletes by \".wh.\" names");
        }
        return tree_.skip_device(path);
      case AE_IFBLK:
        return tree_.skip_device(path);
      default:
        return Error(0, "unpack ", printable(path), ": not a type of file that a layer may have");
    }
  }

  // aufs wrote its whiteouts as hard links to one empty file.
  Result<Ok> unpack_whiteout(const std::string& path, const Name& name, bool is_file) {
    if (name.whiteout == Whiteout::ignored) return Ok{};
    if (!is_file) return Error(0, "unpack ", printable(path), ": a whiteout must be a regular file");
    if (name.whiteout == Whiteout::opaque) return tree_.add_opaque(name.folder);
    return tree_.add_whiteout(name.hidden);
  }

  void read_metadata(archive_entry* entry) {
    metadata_.mode = ::archive_entry_perm(entry) & 07777;
    metadata_.uid = ::archive_entry_uid(entry);
    metadata_.gid = ::archive_entry_gid(entry);
    metadata_.mtime = {.tv_sec = ::archive_entry_mtime(entry), .tv_nsec = ::archive_entry_mtime_nsec(entry)};
    metadata_.xattrs.clear();
    if (::archive_entry_xattr_reset(entry) == 0) return;
    const char* name = nullptr;
    const void* value = nullptr;
    size_t size = 0;
    while (::archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
      metadata_.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
  }

  Result<Ok> unpack_file(archive_entry* entry, const std::string& path) {
    const int64_t size = ::archive_entry_size(entry);
    if (size < 0 || static_cast<uint64_t>(size) > options_.max_unpacked_bytes - file_bytes_) {
      return Error(EFBIG, "unpack ", printable(path), ": the layer's files are larger than the limit of ",
                   options_.max_unpacked_bytes, " bytes");
    }
    file_bytes_ += static_cast<uint64_t>(size);
    const Fd fd = TRY(tree_.begin_file(path, metadata_));
    int64_t end = 0;
    while (size > 0) {
      const void* data = nullptr;
      size_t count = 0;
      int64_t offset = 0;
      const int verdict = ::archive_read_data_block(archive_.get(), &data, &count, &offset);
      if (verdict == ARCHIVE_EOF) break;
      if (verdict != ARCHIVE_OK) return archive_error();
      if (offset < 0 || offset > size || count > static_cast<uint64_t>(size - offset)) {
        return Error(0, "unpack ", printable(path), ": more data than the file's size");
      }
      TRY(write_at(fd.get(), {static_cast<const char*>(data), count}, offset, path));
      end = offset + static_cast<int64_t>(count);
      body_is_complete_ = end == size;
    }
    body_is_complete_ = false;
    if (end < size && ::ftruncate(fd.get(), size) != 0) return sys_error("unpack ", printable(path));
    return tree_.end_file(fd, path, metadata_);
  }

  static Result<Ok> write_at(int fd, std::string_view data, int64_t offset, const std::string& path) {
    while (!data.empty()) {
      const ssize_t written = ::pwrite(fd, data.data(), data.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return sys_error("unpack ", printable(path));
      data.remove_prefix(static_cast<size_t>(written));
      offset += written;
    }
    return Ok{};
  }

  LayerStream& stream_;
  LayerTree& tree_;
  const UnpackOptions& options_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::optional<std::span<const uint8_t>> pending_;
  std::optional<Error> stream_error_;
  Metadata metadata_;
  uint64_t entries_ = 0;
  uint64_t file_bytes_ = 0;
  bool body_is_complete_ = false;  ///< of the current file only the padding to a whole block is left
  bool padded_ = false;
};

Result<Fd> open_destination(const std::string& path) {
  Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!TRY(sys::list_dir(path)).empty()) return Error(ENOTEMPTY, "unpack into ", path);
  // A default ACL of the store's folder would be inherited by every file and change its mode.
  if (::fremovexattr(fd.get(), "system.posix_acl_default") != 0 && errno != ENODATA && errno != ENOTSUP) {
    return sys_error("remove the default ACL of ", path);
  }
  return fd;
}

}  // namespace

void load_unpack_libraries() {
  (void)Digester::create("sha256");
  (void)make_inflater(Compression::gzip);
}

Result<UnpackedLayer> unpack_layer(int input_fd, const std::string& destination, const UnpackOptions& options) {
  const NoUmask no_umask;
  Fd root = TRY(open_destination(destination));
  const std::unique_ptr<LayerStream> stream = TRY(LayerStream::open(input_fd, options));
  LayerTree tree(std::move(root), options, stream->share());
  UnpackedLayer layer;
  layer.entries = TRY(LayerUnpacker(*stream, tree, options).run());
  layer.diff_id = stream->diff_id();
  layer.compressed_bytes = stream->compressed_bytes();
  layer.bytes = stream->bytes();
  layer.opaque_root = tree.opaque_root();
  layer.warnings = tree.warnings();
  return layer;
}

}  // namespace moss::engine
