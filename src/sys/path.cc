// openat2(2) for paths that are not to be trusted.
#include "moss/sys/path.hh"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "moss/sys/file.hh"

namespace moss::sys {

Result<Fd> open_beneath(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  while (true) {
    Fd fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
    if (fd) return fd;
    // EAGAIN: somebody renamed a folder on the way while the kernel walked it.
    if (errno != EINTR && errno != EAGAIN) return sys_error("open ", printable(path), " in the container's root");
  }
}

Result<std::string> read_file_beneath(int root, const std::string& path, size_t max_bytes) {
  const Fd fd = TRY(open_beneath(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  return read_fd(fd.get(), printable(path), max_bytes);
}

std::string unescape_mount(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto code =
        text[i] == '\\' && i + 3 < text.size() ? parse_number<unsigned>(text.substr(i + 1, 3), 8) : std::nullopt;
    out += code ? static_cast<char>(*code) : text[i];
    if (code) i += 3;
  }
  return out;
}

}  // namespace moss::sys
