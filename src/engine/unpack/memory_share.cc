// Units of memory as locked bytes. See the header.
#include "memory_share.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/unpack.hh"

namespace moss::engine {

namespace {

constexpr size_t kUnitBytes = 1u << 20;
// A process, its buffers, and its half of the compressed bytes on their way.
constexpr size_t kWithoutWindow = 5u << 20;
// With the process that downloads below 64 MiB (tests/e2e/memory.bats). Two windows of 8 MiB, which most builders ask
// for, four of 4, or one of the largest that is taken at all, alone.
constexpr int kUnits = 36;
// Byte 0: whoever holds it is taking units, so that two cannot each have half of what both need.
constexpr off_t kTurn = 0;
constexpr off_t kFirstUnit = 1;

// F_SETLKW waits, F_SETLK says no (false) where another process has it.
Result<bool> lock_byte(int fd, off_t byte, int command) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  while (::fcntl(fd, command, &lock) != 0) {
    if (errno == EINTR) continue;
    if (command == F_SETLK && (errno == EAGAIN || errno == EACCES)) return false;
    return sys_error("wait for memory to unpack with");
  }
  return true;
}

void unlock(int fd, off_t first, off_t count) {
  struct flock lock{};
  lock.l_type = F_UNLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = first;
  lock.l_len = count;
  (void)::fcntl(fd, F_SETLK, &lock);
}

}  // namespace

int MemoryShare::units_for(size_t window_bytes) {
  const size_t units = (kWithoutWindow + window_bytes) / kUnitBytes;
  return static_cast<int>(std::min<size_t>(units, kUnits));
}

Result<Ok> MemoryShare::take(size_t window_bytes) {
  if (budget_fd_ < 0) return Ok{};
  const int wanted = units_for(window_bytes);
  TRY(lock_byte(budget_fd_, kTurn, F_SETLKW));
  Result<bool> got = true;
  for (off_t unit = kFirstUnit; got.ok() && units_ < wanted && unit < kFirstUnit + kUnits; ++unit) {
    // As many must be left behind this one as are still wanted; where they are not, this one is waited for.
    const bool needed = kFirstUnit + kUnits - unit <= wanted - units_;
    got = lock_byte(budget_fd_, unit, needed ? F_SETLKW : F_SETLK);
    if (got.ok() && *got) ++units_;
  }
  unlock(budget_fd_, kTurn, 1);
  if (!got.ok()) return got.error();
  return Ok{};
}

void MemoryShare::give_back() {
  if (units_ > 0) unlock(budget_fd_, kFirstUnit, kUnits);
  units_ = 0;
}

Result<Fd> make_memory_budget() {
  Fd file(::memfd_create("moss-memory", MFD_CLOEXEC));
  if (!file) return sys_error("make a file for memory to unpack with");
  return file;
}

}  // namespace moss::engine
