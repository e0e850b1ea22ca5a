// Waiting for the kernel without a busy loop. Private to runtime/cgroup.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace moss::runtime {

/// A wait that starts short and doubles, and an end to it.
class Patience {
 public:
  explicit Patience(int64_t limit_ms) : left_us_(limit_ms * 1000) {}

  /// Sleeps a little. False, and no sleep, when the time is up.
  bool wait() {
    if (left_us_ <= 0) return false;
    const timespec pause{.tv_sec = 0, .tv_nsec = static_cast<long>(next_us_ * 1000)};
    ::nanosleep(&pause, nullptr);
    left_us_ -= next_us_;
    next_us_ = std::min<int64_t>(next_us_ * 2, 50'000);
    return true;
  }

 private:
  int64_t left_us_;
  int64_t next_us_ = 100;
};

}  // namespace moss::runtime
