// Units of memory as locked bytes. See the header.
#include "memory_share.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/unpack.hh"

namespace moss::engine {

namespace {

// 36 of them, with the process that downloads, are below 64 MiB (tests/e2e/memory.bats): two windows of 8 MiB, which
// most builders ask for, four of 4, or one of the largest that is taken at all, alone.
constexpr size_t kUnitBytes = 1u << 20;
// A process, its buffers, and its half of the compressed bytes on their way.
constexpr int kWithoutWindow = 5;
// The largest window may have a few folders with it.
constexpr int kBeyond = 4;
// Whoever holds this byte is taking several units, so that two cannot each have half of what both need.
constexpr off_t kTurn = MemoryShare::kUnits;

// False where another process has it and this one does not wait.
Result<bool> lock_byte(int fd, off_t byte, bool wait) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  while (::fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock) != 0) {
    if (errno == EINTR) continue;
    if (!wait && (errno == EAGAIN || errno == EACCES)) return false;
    return sys_error("wait for memory to unpack with");
  }
  return true;
}

void unlock_byte(int fd, off_t byte) {
  struct flock lock{};
  lock.l_type = F_UNLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = byte;
  lock.l_len = 1;
  (void)::fcntl(fd, F_SETLK, &lock);
}

int units_for(size_t window_bytes) {
  return std::min(kWithoutWindow + static_cast<int>(window_bytes / kUnitBytes), MemoryShare::kUnits);
}

Error too_much() {
  return Error(0, "the layer needs more memory than moss unpacks in, for its window and its folders; refused");
}

}  // namespace

MemoryShare::~MemoryShare() {
  for (int unit = 0; unit < kUnits; ++unit) {
    if (mine_[unit]) unlock_byte(budget_fd_, unit);
  }
}

// Its own bytes a process may lock again and again, so what it has is asked of `mine_`.
Result<bool> MemoryShare::lock(int unit, bool wait) {
  if (mine_[unit]) return false;
  const bool got = TRY(lock_byte(budget_fd_, unit, wait));
  if (got) mine_[unit] = true;
  return got;
}

void MemoryShare::give_back_working() {
  for (int unit = 0; unit < kUnits && working_ > 0; ++unit) {
    if (!mine_[unit]) continue;
    unlock_byte(budget_fd_, unit);
    mine_[unit] = false;
    --working_;
  }
}

bool MemoryShare::covers(size_t window_bytes) {
  const std::lock_guard guard(mutex_);
  return budget_fd_ < 0 || std::min(units_for(window_bytes), kUnits - kept_) <= working_;
}

Result<Ok> MemoryShare::take(size_t window_bytes) {
  if (budget_fd_ < 0) return Ok{};
  const std::lock_guard guard(mutex_);
  give_back_working();
  if (units_for(window_bytes) + kept_ > kUnits + kBeyond) return too_much();
  const int wanted = std::min(units_for(window_bytes), kUnits - kept_);
  TRY(lock_byte(budget_fd_, kTurn, true));
  Result<Ok> done = Ok{};
  while (done.ok() && working_ < wanted) {
    int taken = -1;  // one that somebody else has
    for (int unit = 0; done.ok() && unit < kUnits && working_ < wanted; ++unit) {
      const bool was_mine = mine_[unit];
      const Result<bool> got = lock(unit, false);
      if (!got.ok()) done = got.error();
      if (got.ok() && *got) ++working_;
      if (got.ok() && !*got && !was_mine) taken = unit;
    }
    if (!done.ok() || working_ == wanted) break;
    // All or nothing: whoever waits with a part of it in hand may keep another from what that one is short of.
    give_back_working();
    const Result<bool> waited = lock_byte(budget_fd_, taken, true);
    if (waited.ok()) unlock_byte(budget_fd_, taken);
    if (!waited.ok()) done = waited.error().code() == EDEADLK ? too_much() : waited.error();
  }
  unlock_byte(budget_fd_, kTurn);
  return done;
}

Result<Ok> MemoryShare::keep(size_t bytes) {
  // The first MiB is the process's own.
  const int wanted = static_cast<int>(bytes / kUnitBytes);
  if (budget_fd_ < 0) return Ok{};
  const std::lock_guard guard(mutex_);
  while (kept_ < wanted) {
    if (working_ + kept_ >= kUnits + kBeyond) return too_much();
    bool got = working_ + kept_ >= kUnits;
    int taken = -1;
    for (int unit = 0; !got && unit < kUnits; ++unit) {
      if (!mine_[unit]) taken = unit;
      got = TRY(lock(unit, false));
    }
    if (!got) {
      // Of those who would wait for each other for ever one goes on without, and then the others: honest layers that
      // have very many folders, all four of them, must come to an end too.
      const Result<bool> waited = lock(taken, true);
      if (!waited.ok() && waited.error().code() != EDEADLK) return waited.error();
    }
    ++kept_;
  }
  return Ok{};
}

Result<Fd> make_memory_budget() {
  Fd file(::memfd_create("moss-memory", MFD_CLOEXEC));
  if (!file) return sys_error("make a file for memory to unpack with");
  return file;
}

}  // namespace moss::engine
