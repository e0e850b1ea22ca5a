// Files and pipes are read into a buffer, the memory of a downloading process is read where it is.
#include "layer_input.hh"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "inflate.hh"
#include "moss/engine/shared_ring.hh"

namespace moss::engine {

namespace {

static_assert(RingReader::kHeadroom >= kInputHeadroom);

// Until there is something to read.
Result<Ok> wait_for(int fd, int stop_event) {
  while (true) {
    pollfd polled[] = {{.fd = fd, .events = POLLIN, .revents = 0}, {.fd = stop_event, .events = POLLIN, .revents = 0}};
    if (::poll(polled, 2, -1) < 0 && errno != EINTR) return sys_error("wait for the layer");
    if (polled[1].revents != 0) return Error(ECANCELED, "read the layer");
    if (polled[0].revents != 0) return Ok{};
  }
}

class FileInput final : public LayerInput {
 public:
  FileInput(int fd, int stop_event, bool may_block)
      : fd_(fd), stop_event_(stop_event), may_block_(may_block), buffer_(2 * kInputHeadroom + kEnough) {}

  Result<bool> add_to(std::span<const uint8_t>& unread) override {
    // Twice the headroom: the unread part may itself begin within the first one.
    uint8_t* const start = buffer_.data() + 2 * kInputHeadroom;
    if (unread.data() != nullptr) {
      std::memmove(start - kInputHeadroom, unread.data() - kInputHeadroom, kInputHeadroom + unread.size());
    }
    while (true) {
      if (may_block_) TRY(wait_for(fd_, stop_event_));
      const ssize_t got = ::read(fd_, start + unread.size(), kEnough - unread.size());
      if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (got < 0) return sys_error("read the layer");
      unread = {start, unread.size() + static_cast<size_t>(got)};
      return got > 0;
    }
  }

 private:
  const int fd_;
  const int stop_event_;
  const bool may_block_;
  std::vector<uint8_t> buffer_;
};

class RingInput final : public LayerInput {
 public:
  RingInput(int fd, int stop_event, RingReader ring) : fd_(fd), stop_event_(stop_event), ring_(std::move(ring)) {}

  Result<bool> add_to(std::span<const uint8_t>& unread) override {
    TRY(wait_for(fd_, stop_event_));
    return ring_.take(unread);
  }

 private:
  const int fd_;
  const int stop_event_;
  RingReader ring_;
};

}  // namespace

Result<std::unique_ptr<LayerInput>> open_layer_input(int fd, int stop_event) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return sys_error("look at the layer's input");
  if (!S_ISSOCK(status.st_mode)) return std::make_unique<FileInput>(fd, stop_event, !S_ISREG(status.st_mode));
  return std::make_unique<RingInput>(fd, stop_event, TRY(RingReader::open(fd)));
}

}  // namespace moss::engine
