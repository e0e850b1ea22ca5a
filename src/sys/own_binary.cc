// Running from where nobody can write.
#include "moss/sys/own_binary.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moss/base/fd.hh"

namespace moss::sys {

namespace {

constexpr const char* kOwn = "/proc/self/exe";
constexpr unsigned kExecutable = 0x10;  // MFD_EXEC, since Linux 6.3
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool is_sealed(int fd) {
  const int seals = ::fcntl(fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

void execute(int fd, char** argv) { ::syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH); }

// The same file below a mount that is nowhere and read-only. Takes what the machine's root has.
void execute_read_only(int own, char** argv) {
  const Fd tree(::open_tree(own, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  mount_attr attributes{.attr_set = MOUNT_ATTR_RDONLY};
  if (tree && ::mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0) {
    execute(tree.get(), argv);
  }
}

Result<Fd> sealed_copy(int own) {
  Fd copy(::memfd_create("moss", MFD_CLOEXEC | MFD_ALLOW_SEALING | kExecutable));
  if (!copy && errno == EINVAL) copy.reset(::memfd_create("moss", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  struct stat status;
  if (!copy || ::fstat(own, &status) != 0) return sys_error("copy moss into memory");
  for (off_t left = status.st_size; left > 0;) {
    const ssize_t sent = ::sendfile(copy.get(), own, nullptr, static_cast<size_t>(left));
    if (sent <= 0) return sys_error("copy moss into memory");
    left -= sent;
  }
  if (::fchmod(copy.get(), 0555) != 0 || ::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) {
    return sys_error("seal the copy of moss in memory");
  }
  return copy;
}

}  // namespace

Result<Ok> protect_own_binary(char** argv) {
  // EROFS: a read-only mount, ours or the system's.
  if (::faccessat(AT_FDCWD, kOwn, W_OK, AT_EACCESS) != 0) return Ok{};
  const Fd own(::open(kOwn, O_RDONLY | O_CLOEXEC));
  if (!own) return sys_error("open moss's own file");
  if (is_sealed(own.get())) return Ok{};
  execute_read_only(own.get(), argv);
  const Fd copy = TRY(sealed_copy(own.get()));
  execute(copy.get(), argv);
  return sys_error(
      "run moss from a sealed copy, out of the container's reach; make its file read-only for you, or allow "
      "vm.memfd_noexec");
}

}  // namespace moss::sys
