// A layer's share of the memory that layers are unpacked in.
//
// Four are unpacked at once, each in a process of its own. What one needs is mostly zstd's window, and a frame says how
// large: four of 2 MiB fit into what a pull may take, four of 32 MiB do not. And folders are kept in mind, by the
// hundred thousand in some. So each takes what it needs from a common budget and waits where others have it. The budget
// is a file without a name, each unit a byte of it under a POSIX record lock: the kernel gives back what a process had,
// however it ends, and it tells those who would wait for each other.
#pragma once

#include <bitset>
#include <cstddef>
#include <mutex>

#include "moss/base/result.hh"

namespace moss::engine {

/// One for a process, since record locks are the process's; for all its threads.
class MemoryShare {
 public:
  /// `budget_fd`: UnpackOptions::memory_budget. Borrowed.
  explicit MemoryShare(int budget_fd) : budget_fd_(budget_fd) {}
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;
  ~MemoryShare();

  /// Whether it has enough to unpack with a window of this size; 0: without one.
  bool covers(size_t window_bytes);
  /// Waits until it has. Hold no window meanwhile: what was taken for it is given back first, so that two who want a
  /// larger one do not wait for each other. Errors: with what is kept, it is more than there is.
  Result<Ok> take(size_t window_bytes);
  /// Waits until it has enough to keep this much in mind as well, all in all, until it ends; not where all others wait
  /// for that, too. Errors: it is more than there is.
  Result<Ok> keep(size_t bytes);

  /// The budget, in units of 1 MiB.
  static constexpr int kUnits = 36;

 private:
  Result<bool> lock(int unit, bool wait);
  void give_back_working();

  const int budget_fd_;
  std::mutex mutex_;
  std::bitset<kUnits> mine_;
  int working_ = 0;  ///< units to unpack with
  int kept_ = 0;     ///< units to keep in mind with
};

}  // namespace moss::engine
