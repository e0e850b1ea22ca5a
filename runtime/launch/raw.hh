// System calls as the child may make them: no heap, no lock, no exception; an errno or -1 with errno says what failed.
#pragma once

#include <linux/openat2.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace moss::runtime {

/// As many as close() at the end of a scope, without Fd's out-of-line parts.
class Held {
 public:
  explicit Held(int fd) : fd_(fd) {}
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { reset(-1); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd) {
    if (fd_ >= 0) {
      const int saved = errno;
      ::close(fd_);
      errno = saved;
    }
    fd_ = fd;
  }

 private:
  int fd_;
};

/// Below a descriptor as if that were "/", whatever the symlinks on the way say.
inline constexpr uint64_t kBelow = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

/// The file itself, and nothing that was mounted over it (CVE-2025-52881).
inline constexpr uint64_t kProcFile = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;

/// The errno of a call that answered -1, else 0.
inline int check(long result) { return result < 0 ? errno : 0; }

/// openat2(2) with O_CLOEXEC, tried again where somebody renamed a folder on the way.
int open_at_with(int dir, const char* path, int flags, mode_t mode, uint64_t resolve);

/// A number in decimal, without an end; gives its length. `text` has room for 10 digits.
size_t write_number(char* text, unsigned number);

/// write(2) of a whole text at once, as files below /proc want it; gives 0 or an errno.
int write_text(int fd, const char* text);

}  // namespace moss::runtime
