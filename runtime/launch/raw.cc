// See raw.hh.
#include "runtime/launch/raw.hh"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>

namespace moss::runtime {

int open_at_with(int dir, const char* path, int flags, mode_t mode, uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = resolve;
  // EAGAIN: something on the way was renamed while the kernel walked it. Nobody may keep us at that for ever.
  int fd = -1;
  for (int tries = 0; tries < 1000; ++tries) {
    fd = static_cast<int>(::syscall(SYS_openat2, dir, path, &how, sizeof how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return fd;
}

size_t write_number(char* text, unsigned number) {
  char digits[10];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  for (size_t i = 0; i < count; ++i) text[i] = digits[count - 1 - i];
  return count;
}

int write_text(int fd, const char* text) {
  const size_t length = ::strlen(text);
  const ssize_t written = ::write(fd, text, length);
  if (written < 0) return errno;
  return static_cast<size_t>(written) == length ? 0 : EIO;
}

}  // namespace moss::runtime
