// Layers as one tar. See the header.
//
// The files are a container's, which may run and swap them while they are read. So nothing is opened by a path: each
// entry is looked at from its folder's descriptor without following links, only a regular file is opened, and what was
// opened must still be what was looked at. Otherwise it is as if it had not been there.
#include "src/engine/containers/tar_of_layers.hh"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>

#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/tar_writer.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxDepth = 2000;  // as in changes.cc: a descriptor for each
constexpr size_t kReadBytes = 256u << 10;
constexpr size_t kMaxXattrBytes = 1u << 20;
constexpr std::string_view kRemoved = ".wh.";

// overlayfs's own, and what only means something on this host.
bool is_kept(std::string_view xattr) {
  if (xattr.starts_with("user.overlay.") || xattr.starts_with("trusted.")) return false;
  return xattr.starts_with("user.") || xattr == "security.capability";
}

std::map<std::string, std::string> xattrs_of(int fd) {
  std::map<std::string, std::string> found;
  std::string names(kMaxXattrBytes, '\0');
  const ssize_t length = ::flistxattr(fd, names.data(), names.size());
  if (length <= 0) return found;
  for (const std::string_view name : split(std::string_view(names).substr(0, static_cast<size_t>(length)), '\0')) {
    if (name.empty() || !is_kept(name)) continue;
    std::string value(64u << 10, '\0');
    const ssize_t size = ::fgetxattr(fd, std::string(name).c_str(), value.data(), value.size());
    if (size < 0) continue;
    value.resize(static_cast<size_t>(size));
    found.emplace(name, std::move(value));
  }
  return found;
}

bool is_same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && (one.st_mode & S_IFMT) == (other.st_mode & S_IFMT);
}

class LayerWriter {
 public:
  LayerWriter(int out, bool as_layer) : tar_(out), as_layer_(as_layer), buffer_(kReadBytes, '\0') {}

  // Everything below a folder of the merged view.
  Result<Ok> write_merged(const MergedDir& dir, const std::string& path, size_t depth) {
    TRY(check_depth(path, depth));
    const std::vector<std::string> names = TRY(names_in(dir));
    for (const std::string& name : names) {
      std::optional<MergedEntry> found = look_up(dir, name);
      if (!found) continue;
      TRY(check_name(path, name));
      if (found->dir.empty()) {
        TRY(write_entry(found->parent.get(), name, path + name, found->status));
        continue;
      }
      TRY(write_folder(found->dir.front(), cat(path, name, "/")));
      TRY(write_merged(found->dir, cat(path, name, "/"), depth + 1));
    }
    return Ok{};
  }

  // Everything below a folder of the topmost layer.
  Result<Ok> write_upper(const Fd& upper, const MergedDir& lower, const std::string& path, size_t depth) {
    TRY(check_depth(path, depth));
    if (is_opaque(upper.get()) && !lower.empty()) TRY(write_mark(path + ".wh..wh..opq"));
    const std::vector<std::string> names = TRY(names_in(upper.get()));
    for (const std::string& name : names) {
      TRY(check_name(path, name));
      struct stat status;
      if (::fstatat(upper.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (is_whiteout(upper.get(), name, status)) {
        if (look_up(lower, name)) TRY(write_mark(cat(path, kRemoved, name)));
        continue;
      }
      if (!S_ISDIR(status.st_mode)) {
        TRY(write_entry(upper.get(), name, path + name, status));
        continue;
      }
      const Result<Fd> folder = sys::open_at(upper.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (!folder.ok()) {
        if (is_swapped(folder.error())) continue;
        return Result<Ok>(folder.error()).context("read ", printable(path + name));
      }
      TRY(write_folder(*folder, cat(path, name, "/")));
      std::optional<MergedEntry> below = look_up(lower, name);
      const MergedDir nothing;
      TRY(write_upper(*folder, below ? below->dir : nothing, cat(path, name, "/"), depth + 1));
    }
    return Ok{};
  }

  Result<Ok> finish() { return tar_.finish(); }

 private:
  static Result<Ok> check_depth(const std::string& path, size_t depth) {
    if (depth <= kMaxDepth) return Ok{};
    return Error(0, excerpt(path, 200), ": folders in folders, more than ", kMaxDepth, " deep");
  }

  // In a layer such a name is not a file but takes one away, perhaps that of another folder.
  Result<Ok> check_name(const std::string& path, const std::string& name) const {
    if (!as_layer_ || !name.starts_with(kRemoved)) return Ok{};
    return Error(0, "/", printable(path + name),
                 ": a name that begins with \".wh.\" means a removal in an image's layer; ",
                 "rename or remove it first");
  }

  // A file of holes takes nothing on the disk and years in a tar; and nobody would unpack that layer.
  Result<Ok> count(const TarEntry& entry) {
    const auto limit = static_cast<int64_t>(UnpackOptions().max_unpacked_bytes);
    if (!as_layer_) return Ok{};
    if (entry.size > limit - bytes_) {
      return Error(EFBIG, "/", printable(entry.path), ": with it the layer's files have more than the ", limit,
                   " bytes that a layer may have, holes included");
    }
    bytes_ += entry.size;
    return Ok{};
  }

  // What happens when an entry is no longer what it was.
  static bool is_swapped(const Error& error) {
    return error.code() == ENOENT || error.code() == ENOTDIR || error.code() == ELOOP || error.code() == ENXIO;
  }

  static TarEntry entry_of(const std::string& path, const struct stat& status) {
    return {.path = path,
            .mode = status.st_mode & 07777,
            .uid = status.st_uid,
            .gid = status.st_gid,
            .mtime = status.st_mtim.tv_sec};
  }

  Result<Ok> write_mark(const std::string& path) { return tar_.header({.path = path, .mode = 0}); }

  Result<Ok> write_folder(const Fd& folder, const std::string& path) {
    struct stat status;
    if (::fstat(folder.get(), &status) != 0) return sys_error("read ", printable(path));
    TarEntry entry = entry_of(path, status);
    entry.type = '5';
    entry.xattrs = xattrs_of(folder.get());
    return tar_.header(entry);
  }

  Result<Ok> write_entry(int dir, const std::string& name, const std::string& path, const struct stat& status) {
    TarEntry entry = entry_of(path, status);
    switch (status.st_mode & S_IFMT) {
      case S_IFREG:
        return write_file(dir, name, std::move(entry), status);
      case S_IFLNK: {
        char target[4096];
        const ssize_t length = ::readlinkat(dir, name.c_str(), target, sizeof target);
        if (length < 0) return Ok{};  // swapped
        entry.type = '2';
        entry.mode = 0777;
        entry.link.assign(target, static_cast<size_t>(length));
        return tar_.header(entry);
      }
      case S_IFCHR:
      case S_IFBLK:
        entry.type = S_ISCHR(status.st_mode) ? '3' : '4';
        entry.major = ::major(status.st_rdev);
        entry.minor = ::minor(status.st_rdev);
        return tar_.header(entry);
      case S_IFIFO:
        entry.type = '6';
        return tar_.header(entry);
      default:
        return Ok{};  // a socket
    }
  }

  Result<Ok> write_file(int dir, const std::string& name, TarEntry entry, const struct stat& status) {
    if (status.st_nlink > 1) {
      const auto [known, is_new] = links_.try_emplace({status.st_dev, status.st_ino}, entry.path);
      if (!is_new) {
        entry.type = '1';
        entry.link = known->second;
        return tar_.header(entry);
      }
    }
    const Result<Fd> file = sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat opened;
    if (!file.ok() && !is_swapped(file.error()))
      return Result<Ok>(file.error()).context("read ", printable(entry.path));
    if (!file.ok() || ::fstat(file->get(), &opened) != 0 || !is_same(opened, status)) {
      links_.erase({status.st_dev, status.st_ino});
      return Ok{};
    }
    entry.size = opened.st_size;
    TRY(count(entry));
    entry.xattrs = xattrs_of(file->get());
    TRY(tar_.header(entry));
    for (int64_t left = entry.size; left > 0;) {
      const ssize_t got = ::read(file->get(), buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return sys_error("read ", printable(entry.path));
      if (got == 0) break;
      left -= got;
      TRY(tar_.data(std::string_view(buffer_).substr(0, static_cast<size_t>(got))));
    }
    return tar_.end_of_data();
  }

  TarWriter tar_;
  bool as_layer_;
  int64_t bytes_ = 0;  // of all files
  std::string buffer_;
  std::map<std::pair<dev_t, ino_t>, std::string> links_;  // the first name of each file that has several
};

}  // namespace

Result<Ok> write_all_files(const MergedDir& layers, bool as_layer, int out) {
  LayerWriter writer(out, as_layer);
  TRY(writer.write_merged(layers, "", 0));
  return writer.finish();
}

Result<Ok> write_layer(const Fd& upper, const MergedDir& lower, int out) {
  LayerWriter writer(out, true);
  TRY(writer.write_upper(upper, lower, "", 0));
  return writer.finish();
}

}  // namespace moss::engine
