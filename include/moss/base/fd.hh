// An owned file descriptor: closed at the end of its scope. `int` in a signature means borrowed.
#pragma once

#include <unistd.h>

#include <utility>

namespace moss {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  /// False for the -1 of a failed open.
  explicit operator bool() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  /// Never touches errno, so that the reason of a failure before it is kept.
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

}  // namespace moss
