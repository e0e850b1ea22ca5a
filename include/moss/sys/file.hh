// Whole files, read with a limit and written so that a reader sees the old text or the new one and nothing between.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

/// openat(2) with O_CLOEXEC. Retries EINTR. `dir` may be AT_FDCWD.
Result<Fd> open_at(int dir, const std::string& path, int flags, mode_t mode = 0);

/// All that comes, from a file or a pipe, however long it takes. Errors: more than `max_bytes`.
Result<std::string> read_stream(int fd, std::string_view name, size_t max_bytes);

/// The whole of a regular file. Errors: not a regular file (a FIFO or device is never waited for), larger than
/// `max_bytes`. `name` is how errors call it.
Result<std::string> read_file(const std::string& path, size_t max_bytes);
Result<std::string> read_file_at(int dir, const std::string& path, size_t max_bytes);
Result<std::string> read_fd(int fd, std::string_view name, size_t max_bytes);
/// The same, where a missing file is nothing to complain of.
Result<std::optional<std::string>> read_file_if_exists(const std::string& path, size_t max_bytes);
/// A file under /proc, /sys or a cgroup: their stat size is 0 and says nothing.
Result<std::string> read_kernel_file(const std::string& path);

/// All of `data`, however many calls it takes.
Result<Ok> write_all(int fd, std::string_view data, std::string_view name);

/// Writes a new file beside `path`, then renames it into place. `sync` also survives a power cut.
enum class Sync : bool { no, yes };
Result<Ok> replace_file(const std::string& path, std::string_view data, mode_t mode = 0644, Sync sync = Sync::no);
/// Creates `path` and fails with EEXIST where it exists.
Result<Ok> create_file(const std::string& path, std::string_view data, mode_t mode = 0644);

/// mkdir -p. Only missing folders get `mode`.
Result<Ok> make_dirs(const std::string& path, mode_t mode = 0755);

/// Removes a tree and everything below it, by directory descriptors, never through a symlink, never into another
/// mount. A folder that may not be read or searched is made so first. A missing `path` is success. A large tree is
/// removed by several threads, which have ended when this returns.
Result<Ok> remove_tree(const std::string& path);
Result<Ok> remove_tree_at(int dir, const std::string& name);

/// The names in a folder, without "." and "..", in no order.
Result<std::vector<std::string>> list_dir(const std::string& path);

bool exists(const std::string& path);

/// An exclusive flock(2) on `path` (created if need be), held until the value goes out of scope. A holder may remove
/// the file: who waited for it gets the lock of a new one, or ENOENT where the folder is gone, too.
class FileLock {
 public:
  /// Waits.
  static Result<FileLock> acquire(const std::string& path);
  /// Nothing where somebody else holds it.
  static Result<std::optional<FileLock>> try_acquire(const std::string& path);
  /// Takes over an open, locked file, as one inherited across execve(2) is.
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

/// A folder made under `parent` with a fresh name and removed, with its contents, at the end of its scope unless kept.
class TemporaryDir {
 public:
  static Result<TemporaryDir> create(const std::string& parent, std::string_view prefix);
  TemporaryDir(TemporaryDir&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryDir& operator=(TemporaryDir&&) = delete;
  ~TemporaryDir();
  const std::string& path() const { return path_; }
  /// The folder stays (it was renamed into place, say).
  void keep() { path_.clear(); }

 private:
  explicit TemporaryDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// `count` random bytes as lower-case hexadecimal, from getrandom(2).
std::string random_hex(size_t count);

}  // namespace moss::sys
