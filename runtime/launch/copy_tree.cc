// tmpcopyup: system calls and a few kilobytes of stack a level.
#include "runtime/launch/copy_tree.hh"

#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>

namespace moss::runtime {

namespace {

constexpr int kMaxDepth = 64;

// A directory entry as getdents64(2) lays it out.
struct Entry {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[1];
};

int copy_attributes(int dir, const char* name, const struct stat& status) {
  if (::fchownat(dir, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  // After the owner: chown takes set-user-id bits away.
  if (!S_ISLNK(status.st_mode) && ::fchmodat(dir, name, status.st_mode & 07777, 0) != 0) return errno;
  const timespec times[2] = {status.st_atim, status.st_mtim};
  return ::utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
}

int copy_file(int from, int to, const char* name, const struct stat& status) {
  const int source = ::openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (source < 0) return errno;
  const int copy = ::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  int error = copy < 0 ? errno : 0;
  for (off_t left = status.st_size; error == 0 && left > 0;) {
    const ssize_t sent = ::sendfile(copy, source, nullptr, static_cast<size_t>(left));
    if (sent < 0) error = errno;
    if (sent <= 0) break;  // it shrank meanwhile
    left -= sent;
  }
  if (copy >= 0) ::close(copy);
  ::close(source);
  return error;
}

int copy_symlink(int from, int to, const char* name) {
  char target[PATH_MAX];
  const ssize_t length = ::readlinkat(from, name, target, sizeof target - 1);
  if (length < 0) return errno;
  target[length] = '\0';
  return ::symlinkat(target, to, name) != 0 ? errno : 0;
}

int copy_level(int from, int to, int depth);

int copy_dir(int from, int to, const char* name, int depth) {
  if (::mkdirat(to, name, 0700) != 0) return errno;
  const int source = ::openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return errno;
  const int copy = ::openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const int error = copy < 0 ? errno : copy_level(source, copy, depth + 1);
  if (copy >= 0) ::close(copy);
  ::close(source);
  return error;
}

int copy_entry(int from, int to, const char* name, int depth) {
  struct stat status;
  if (::fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  int error = 0;
  if (S_ISDIR(status.st_mode)) {
    error = copy_dir(from, to, name, depth);
  } else if (S_ISREG(status.st_mode)) {
    error = copy_file(from, to, name, status);
  } else if (S_ISLNK(status.st_mode)) {
    error = copy_symlink(from, to, name);
  } else {
    return 0;
  }
  return error != 0 ? error : copy_attributes(to, name, status);
}

int copy_level(int from, int to, int depth) {
  if (depth > kMaxDepth) return ELOOP;
  alignas(Entry) char buffer[4096];
  while (true) {
    const long got = ::syscall(SYS_getdents64, from, buffer, sizeof buffer);
    if (got <= 0) return got < 0 ? errno : 0;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      at += entry->length;
      if (::strcmp(entry->name, ".") == 0 || ::strcmp(entry->name, "..") == 0) continue;
      if (const int error = copy_entry(from, to, entry->name, depth)) return error;
    }
  }
}

}  // namespace

int copy_tree(int from, int to) {
  struct stat status;
  if (::fstat(from, &status) != 0) return errno;
  if (const int error = copy_level(from, to, 0)) return error;
  if (::fchown(to, status.st_uid, status.st_gid) != 0) return errno;
  return ::fchmod(to, status.st_mode & 07777) != 0 ? errno : 0;
}

}  // namespace moss::runtime
