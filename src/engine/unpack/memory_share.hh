// A layer's share of the memory that layers are unpacked in.
//
// Four are unpacked at once, each in a process of its own. What one needs is mostly zstd's window, and a frame says how
// large: four of 2 MiB fit into what a pull may take, four of 32 MiB do not. So each takes what it needs from a common
// budget and waits where others have it. The budget is a file without a name, each unit a byte of it under a POSIX
// record lock: the kernel gives back what a process had, however it ends.
#pragma once

#include <cstddef>

#include "moss/base/result.hh"

namespace moss::engine {

/// In one process only one may hold something at a time, since record locks are the process's.
class MemoryShare {
 public:
  /// `budget_fd`: UnpackOptions::memory_budget. Borrowed.
  explicit MemoryShare(int budget_fd) : budget_fd_(budget_fd) {}
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;
  ~MemoryShare() { give_back(); }

  bool covers(size_t window_bytes) const { return budget_fd_ < 0 || units_for(window_bytes) <= units_; }
  /// Waits until there is enough for a layer with this window; 0: without one. Call give_back() before, and hold no
  /// window meanwhile: two that kept theirs while they wait for a larger one could wait for each other.
  Result<Ok> take(size_t window_bytes);
  void give_back();

 private:
  static int units_for(size_t window_bytes);
  int budget_fd_;
  int units_ = 0;
};

}  // namespace moss::engine
