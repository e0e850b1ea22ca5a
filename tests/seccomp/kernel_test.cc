// The default filter in the running kernel, on an ordinary process.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "moss/runtime/seccomp.hh"

namespace moss::runtime {
namespace {

/// Runs `check` in a child under the default filter. The answer is the number of the check that failed; 0 means none,
/// and above 100 that the filter could not be installed.
template <typename Check>
int under_default_filter(Check check) {
  const auto filter = default_seccomp_filter({"CAP_SYS_CHROOT"});
  if (!filter.ok()) return 101;
  const pid_t child = ::fork();
  if (child == 0) {
    const auto program = filter->program();
    sock_fprog prog{static_cast<unsigned short>(program.size()), const_cast<sock_filter*>(program.data())};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(102);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, filter->flags, &prog) != 0) ::_exit(103);
    ::_exit(check());
  }
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return 104;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool fails_with(long result, int code) { return result == -1 && errno == code; }

TEST(DefaultFilterInTheKernel, RefusesWhatItShould) {
  EXPECT_EQ(under_default_filter([] {
              if (!fails_with(::socket(AF_VSOCK, SOCK_STREAM, 0), EPERM)) return 1;
              if (!fails_with(::socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0), EPERM)) return 2;
              if (!fails_with(::socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), EPERM)) return 3;
              if (!fails_with(::socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), EPERM)) return 4;
              char letter = 'x';
              if (!fails_with(::syscall(SYS_ioctl, 0, TIOCSTI, &letter), EPERM)) return 5;
              if (!fails_with(::syscall(SYS_ioctl, 0, TIOCSTI | 1UL << 32, &letter), EPERM)) return 6;
              if (!fails_with(::syscall(SYS_userfaultfd, 0), EPERM)) return 7;
              if (!fails_with(::syscall(SYS_io_uring_setup, 1, nullptr), ENOSYS)) return 8;
              if (!fails_with(::syscall(5000), ENOSYS)) return 9;
              return 0;
            }),
            0);
}

TEST(DefaultFilterInTheKernel, LeavesOrdinaryWorkAlone) {
  EXPECT_EQ(under_default_filter([] {
              const int file = ::open("/dev/null", O_RDWR | O_CLOEXEC);
              if (file < 0 || ::write(file, "x", 1) != 1) return 1;
              for (const int family : {AF_UNIX, AF_INET, AF_NETLINK}) {
                const int fd = ::socket(family, SOCK_DGRAM, 0);
                if (fd < 0) return 2;
                ::close(fd);
              }
              int pair[2];
              if (::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 3;
              int waiting = 0;
              if (::ioctl(pair[0], FIONREAD, &waiting) != 0) return 4;
              void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
              if (page == MAP_FAILED) return 5;
              const pid_t child = ::fork();
              if (child == 0) {
                ::execl("/bin/true", "true", nullptr);
                ::_exit(1);
              }
              int status = 0;
              if (::waitpid(child, &status, 0) != child || status != 0) return 6;
              return 0;
            }),
            0);
}

#ifdef __x86_64__
TEST(DefaultFilterInTheKernel, X32CallsDoNotExist) {
  EXPECT_EQ(under_default_filter([] { return fails_with(::syscall(0x40000000 | SYS_getpid), ENOSYS) ? 0 : 1; }), 0);
}
#endif

}  // namespace
}  // namespace moss::runtime
