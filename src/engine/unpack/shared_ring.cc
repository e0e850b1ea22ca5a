// Memory shared with one side read-only, and a socket for the counts. See the header.
#include "moss/engine/shared_ring.hh"

#include <fcntl.h>
#include <linux/memfd.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <utility>

#include "moss/sys/socket.hh"

namespace moss::engine {

namespace {

constexpr unsigned kNotExecutable = 0x0008;  // MFD_NOEXEC_SEAL, Linux 6.3
constexpr uint64_t kEverything = std::numeric_limits<uint64_t>::max();

Result<Fd> make_memory(size_t size) {
  Fd memory(::memfd_create("layer", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNotExecutable));
  if (!memory && errno == EINVAL) memory.reset(::memfd_create("layer", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory || ::ftruncate(memory.get(), static_cast<off_t>(size)) != 0) return sys_error("make memory to share");
  return memory;
}

// The next count, or 0 at the end, nothing where it has not come yet.
std::optional<uint32_t> receive_count(int socket) {
  uint32_t count = 0;
  ssize_t got;
  do {
    got = ::recv(socket, &count, sizeof count, MSG_DONTWAIT);
    // A side that ends with our counts unread is told as an error, once, before the counts it has sent.
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0 && errno == EAGAIN) return std::nullopt;
  return got == sizeof count ? count : 0;
}

void send_count(int socket, uint32_t count) {
  // Whoever is gone shows at the next receive.
  while (::send(socket, &count, sizeof count, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<RingWriter> RingWriter::create(size_t size) {
  RingWriter ring;
  const Fd memory = TRY(make_memory(size));
  void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return sys_error("map memory to share");
  ring.memory_ = Mapping(static_cast<uint8_t*>(mapped), size);
  // From here on nobody can map it to write, nor make it shorter under whoever reads.
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return sys_error("seal memory to share");
  }
  sys::SocketPair pair = TRY(sys::make_socket_pair());
  ring.socket_ = std::move(pair.ours);
  ring.reader_ = std::move(pair.theirs);
  const uint32_t nothing_yet = 0;
  if (sys::send_with_descriptor(ring.socket_.get(), &nothing_yet, sizeof nothing_yet, memory.get()) < 0) {
    return sys_error("share memory");
  }
  return ring;
}

void RingWriter::add(size_t count) {
  added_ += count;
  if (count > 0) send_count(socket_.get(), static_cast<uint32_t>(count));
}

uint64_t RingWriter::released() {
  while (released_ != kEverything) {
    const std::optional<uint32_t> count = receive_count(socket_.get());
    if (!count) break;
    // One that lets go of more than there was is out of its mind: nobody waits for it.
    released_ = *count == 0 || *count > added_ - released_ ? kEverything : released_ + *count;
  }
  return released_;
}

void RingWriter::wait_for_release(int stop_event) const {
  pollfd polled[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                     {.fd = stop_event, .events = POLLIN, .revents = 0}};
  (void)::poll(polled, 2, -1);
}

RingReader::RingReader(int socket, Mapping memory, size_t size)
    : socket_(socket), memory_(std::move(memory)), size_(size) {}

Result<RingReader> RingReader::open(int socket) {
  uint32_t first;
  Fd memory;
  const ssize_t got = sys::receive_with_descriptors(socket, &first, sizeof first, std::span(&memory, 1));
  if (got < 0) return sys_error("receive shared memory");
  if (!memory) return Error(EPROTO, "receive shared memory");
  struct stat status{};
  if (::fstat(memory.get(), &status) != 0) return sys_error("look at shared memory");
  const auto size = static_cast<size_t>(status.st_size);

  void* const room = ::mmap(nullptr, 3 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return sys_error("map shared memory");
  Mapping mapping(static_cast<uint8_t*>(room), 3 * size);
  for (size_t i = 0; i < 3; ++i) {
    void* const place = mapping.data() + i * size;
    if (::mmap(place, size, PROT_READ, MAP_SHARED | MAP_FIXED, memory.get(), 0) == MAP_FAILED) {
      return sys_error("map shared memory");
    }
  }
  return RingReader(socket, std::move(mapping), size);
}

Result<bool> RingReader::take(std::span<const uint8_t>& unread) {
  const uint64_t read = came_ - unread.size();
  if (read > released_ + kHeadroom) {
    send_count(socket_, static_cast<uint32_t>(read - kHeadroom - released_));
    released_ = read - kHeadroom;
  }
  const std::optional<uint32_t> count = receive_count(socket_);
  if (!count) return true;
  if (*count == 0) return false;
  came_ += *count;
  if (came_ - released_ > size_) return Error(EPROTO, "more came into shared memory than it holds");
  // In the middle one of the three: before it is the headroom, behind it all that can have come.
  unread = {memory_.data() + size_ + read % size_, unread.size() + *count};
  return true;
}

}  // namespace moss::engine
