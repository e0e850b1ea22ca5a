// Telling a process from a later one with the same number.
#include "runtime/container/identity.hh"

#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "moss/sys/process.hh"

namespace moss::runtime {

namespace {

constexpr decltype(statfs::f_type) kPidfsMagic = 0x50494446;

// Before Linux 6.9 all pidfds share one inode.
uint64_t inode_of(int pidfd) {
  struct statfs filesystem;
  if (::fstatfs(pidfd, &filesystem) != 0 || filesystem.f_type != kPidfsMagic) return 0;
  struct stat status;
  return ::fstat(pidfd, &status) == 0 ? status.st_ino : 0;
}

Result<std::string> known_boot() {
  std::string boot = sys::boot_id();
  if (boot.empty()) return Error(0, "this boot has no id in /proc/sys/kernel/random/boot_id");
  return boot;
}

}  // namespace

Result<Identity> identify(pid_t pid, int pidfd) {
  const std::optional<uint64_t> start_time = sys::start_time_of(pid);
  if (!start_time) return Error(0, "find out when process ", pid, " was started");
  return Identity{.pid = pid, .start_time = *start_time, .pidfd_inode = inode_of(pidfd), .boot_id = TRY(known_boot())};
}

std::optional<Fd> open_process(const Identity& identity) {
  if (identity.pid <= 0) return std::nullopt;
  Result<Fd> pidfd = sys::open_pidfd(identity.pid);
  if (!pidfd.ok()) return std::nullopt;
  pollfd ended{.fd = pidfd->get(), .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, 0) != 0) return std::nullopt;
  const Result<std::string> boot = known_boot();
  if (!boot.ok() || *boot != identity.boot_id) return std::nullopt;
  const bool same = identity.pidfd_inode != 0 ? inode_of(pidfd->get()) == identity.pidfd_inode
                                              : sys::start_time_of(identity.pid) == identity.start_time;
  if (!same) return std::nullopt;
  return std::move(pidfd).value();
}

}  // namespace moss::runtime
