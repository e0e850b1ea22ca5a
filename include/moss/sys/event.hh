// A flag that poll(2) sees, for waking a thread that waits for descriptors: eventfd(2).
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

/// Readable from set() until clear(). Both may be called by any thread, and neither waits.
class Event {
 public:
  Event() = default;
  /// Errors: no descriptor left.
  static Result<Event> create() {
    Event event;
    event.fd_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event.fd_) return sys_error("make an event");
    return event;
  }

  int fd() const { return fd_.get(); }
  void set() const {
    const uint64_t one = 1;
    // The counter has room for 2^64 - 2 of them.
    [[maybe_unused]] const ssize_t written = ::write(fd_.get(), &one, sizeof one);
  }
  void clear() const {
    uint64_t count;
    [[maybe_unused]] const ssize_t got = ::read(fd_.get(), &count, sizeof count);
  }

 private:
  Fd fd_;
};

}  // namespace moss::sys
