// Whole files, trees and locks. See the header for what each promises.
#include "moss/sys/file.hh"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>

namespace moss::sys {

Result<Fd> open_at(int dir, const std::string& path, int flags, mode_t mode) {
  while (true) {
    Fd fd(::openat(dir, path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    if (errno != EINTR) return sys_error("open ", path);
  }
}

namespace {

// Reads to the end of `fd`, at most `max_bytes`. `expected` is a guess; of a regular file fewer bytes than were asked
// for are the last, so that a right guess saves the second read.
enum class Kind : bool { stream, regular };
Result<std::string> read_to_end(int fd, std::string_view name, size_t max_bytes, size_t expected,
                                Kind kind = Kind::stream) {
  std::string data;
  size_t used = 0;
  while (true) {
    data.resize(used + std::max<size_t>(expected > used ? expected - used + 1 : 0, 4096));
    const size_t room = data.size() - used;
    const ssize_t got = ::read(fd, data.data() + used, room);
    if (got < 0) {
      if (errno == EINTR) continue;
      return sys_error("read ", name);
    }
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used > max_bytes) return Error(EFBIG, "read ", name, ": larger than ", max_bytes, " bytes");
    if (kind == Kind::regular && static_cast<size_t>(got) < room) break;
  }
  data.resize(used);
  return data;
}

}  // namespace

Result<std::string> read_stream(int fd, std::string_view name, size_t max_bytes) {
  return read_to_end(fd, name, max_bytes, 0);
}

Result<std::string> read_fd(int fd, std::string_view name, size_t max_bytes) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return sys_error("stat ", name);
  if (!S_ISREG(status.st_mode)) return Error(0, "read ", name, ": not a regular file");
  const auto size = static_cast<size_t>(status.st_size);
  if (size > max_bytes) return Error(EFBIG, "read ", name, ": larger than ", max_bytes, " bytes");
  return read_to_end(fd, name, max_bytes, size, Kind::regular);
}

Result<std::string> read_file_at(int dir, const std::string& path, size_t max_bytes) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const Fd fd = TRY(open_at(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  return read_fd(fd.get(), path, max_bytes);
}

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  return read_file_at(AT_FDCWD, path, max_bytes);
}

Result<std::optional<std::string>> read_file_if_exists(const std::string& path, size_t max_bytes) {
  Result<std::string> text = read_file(path, max_bytes);
  if (text.ok()) return std::optional(std::move(text).value());
  if (text.error().code() == ENOENT || text.error().code() == ENOTDIR) return std::optional<std::string>();
  return std::move(text).error();
}

Result<std::string> read_kernel_file(const std::string& path) {
  const Fd fd = TRY(open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK));
  return read_to_end(fd.get(), path, 16u << 20, 4096);
}

Result<Ok> write_all(int fd, std::string_view data, std::string_view name) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      return sys_error("write ", name);
    }
    data.remove_prefix(static_cast<size_t>(put));
  }
  return Ok{};
}

Result<Ok> create_file(const std::string& path, std::string_view data, mode_t mode) {
  const Fd fd = TRY(open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  Result<Ok> written = write_all(fd.get(), data, path);
  if (!written.ok()) ::unlink(path.c_str());
  return written;
}

Result<Ok> replace_file(const std::string& path, std::string_view data, mode_t mode, Sync sync) {
  const std::string staged = cat(path, ".", random_hex(6));
  const auto give_up = [&](Error error) {
    ::unlink(staged.c_str());
    return error;
  };
  {
    // The reader knows nothing of the name beside it.
    const Result<Fd> fd = open_at(AT_FDCWD, staged, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    if (!fd.ok()) return Error(fd.error().code(), "write ", path);
    if (Result<Ok> written = write_all(fd->get(), data, path); !written.ok()) return give_up(written.error());
    if (sync == Sync::yes && ::fsync(fd->get()) != 0) return give_up(sys_error("sync ", path));
  }
  if (::rename(staged.c_str(), path.c_str()) != 0) return give_up(sys_error("write ", path));
  if (sync == Sync::yes) {
    const size_t slash = path.find_last_of('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Fd parent = TRY(open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
    if (::fsync(parent.get()) != 0) return sys_error("sync the folder of ", path);
  }
  return Ok{};
}

Result<Ok> make_dirs(const std::string& path, mode_t mode) {
  // Somebody else may remove what was there or what we made, between two calls of ours; not for ever.
  for (int round = 0; ::mkdir(path.c_str(), mode) != 0; ++round) {
    if (round == 100) return sys_error("make folder ", path);
    if (errno == EEXIST) {
      struct stat status;
      if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return Ok{};
      // A link that leads nowhere is there, too.
      if (::lstat(path.c_str(), &status) != 0 && errno == ENOENT) continue;
      return Error(ENOTDIR, "make folder ", path);
    }
    const size_t slash = path.find_last_of('/');
    if (errno != ENOENT || slash == std::string::npos || slash == 0) return sys_error("make folder ", path);
    TRY(make_dirs(path.substr(0, slash), mode));
  }
  return Ok{};
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
  DIR* entries = ::opendir(path.c_str());
  if (entries == nullptr) return sys_error("list ", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(entries);
  return names;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

namespace {

Result<std::optional<Fd>> lock_file(const std::string& path, int operation) {
  while (true) {
    Fd fd = TRY(open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    while (::flock(fd.get(), operation) != 0) {
      if (errno == EWOULDBLOCK) return std::optional<Fd>();
      if (errno != EINTR) return sys_error("lock ", path);
    }
    struct stat status;
    if (::fstat(fd.get(), &status) != 0) return sys_error("stat ", path);
    // Whoever held it may have removed it between our two calls: nobody else would meet us at this file.
    if (status.st_nlink > 0) return std::optional<Fd>(std::move(fd));
  }
}

}  // namespace

Result<FileLock> FileLock::acquire(const std::string& path) {
  std::optional<Fd> fd = TRY(lock_file(path, LOCK_EX));
  return FileLock(std::move(*fd));
}

Result<std::optional<FileLock>> FileLock::try_acquire(const std::string& path) {
  std::optional<Fd> fd = TRY(lock_file(path, LOCK_EX | LOCK_NB));
  if (!fd) return std::optional<FileLock>();
  return std::optional<FileLock>(FileLock(std::move(*fd)));
}

Result<TemporaryDir> TemporaryDir::create(const std::string& parent, std::string_view prefix) {
  std::string path = cat(parent, "/", prefix, random_hex(8));
  if (::mkdir(path.c_str(), 0700) != 0) return sys_error("make folder ", path);
  return TemporaryDir(std::move(path));
}

TemporaryDir::~TemporaryDir() {
  if (!path_.empty()) (void)remove_tree(path_);
}

std::string random_hex(size_t count) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::vector<unsigned char> bytes(count);
  // Short reads only happen above 256 bytes; nothing here asks for that many.
  [[maybe_unused]] const ssize_t got = ::getrandom(bytes.data(), bytes.size(), 0);
  assert(got == static_cast<ssize_t>(count));
  std::string out;
  for (const unsigned char byte : bytes) out += {kHex[byte >> 4], kHex[byte & 15]};
  return out;
}

}  // namespace moss::sys
