// The line that a layer's bytes go through: nothing is lost, nothing piles up, and errors are told.
#include "src/engine/images/blob_stream.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "moss/sys/file.hh"

namespace moss::engine {
namespace {

constexpr size_t kPieceBytes = BlobStream::kRingBytes / BlobStream::kPieces;

RingWriter ring(size_t bytes = BlobStream::kRingBytes) { return RingWriter::create(bytes).value(); }

std::string some_bytes(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

// What an unpacker would see, in bites that fit nothing else.
std::string read_all(Fd socket) {
  RingReader reader = RingReader::open(socket.get()).value();
  std::string out;
  std::span<const uint8_t> unread;
  while (true) {
    pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
    const bool more = reader.take(unread).value();
    while (unread.size() >= (more ? 70'001U : 1U)) {
      const auto bite = unread.first(std::min<size_t>(unread.size(), 70'001));
      // What was read last is still there, in front of what comes.
      const size_t known = std::min(out.size(), RingReader::kHeadroom);
      EXPECT_EQ(std::memcmp(bite.data() - known, out.data() + out.size() - known, known), 0);
      out.append(reinterpret_cast<const char*>(bite.data()), bite.size());
      unread = unread.subspan(bite.size());
    }
    if (!more) return out;
  }
}

void wait_for_event(const BlobStream& stream) {
  pollfd wait{.fd = stream.event(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&wait, 1, 10'000), 1);
}

Result<std::string> offer_all(BlobStream& stream, std::string_view bytes) {
  while (!bytes.empty()) {
    // An odd size: pieces, blocks and offers never fall together.
    const std::string_view piece = bytes.substr(0, 300'007);
    if (stream.offer(piece)) {
      bytes.remove_prefix(piece.size());
    } else {
      wait_for_event(stream);
      stream.clear_event();
    }
  }
  stream.close();
  while (true) {
    if (std::optional<Result<std::string>> result = stream.result()) return *std::move(result);
    wait_for_event(stream);
    stream.clear_event();
  }
}

class BlobStreamTest : public testing::Test {
 protected:
  sys::TemporaryDir dir_ = sys::TemporaryDir::create(testing::TempDir(), "blob-").value();
  std::string path_ = dir_.path() + "/blob";
  Fd file() { return sys::open_at(AT_FDCWD, path_, O_RDWR | O_CREAT | O_EXCL, 0600).value(); }
};

class BlobStreamOfSize : public BlobStreamTest, public testing::WithParamInterface<std::tuple<size_t, size_t>> {};

TEST_P(BlobStreamOfSize, TheFileTheUnpackerAndTheDigestAgree) {
  const auto& [ring_bytes, size] = GetParam();
  const std::string bytes = some_bytes(size);
  RingWriter writer = ring(ring_bytes);
  std::string passed_on;
  std::thread reader(
      [&passed_on, socket = writer.take_reader()]() mutable { passed_on = read_all(std::move(socket)); });
  auto stream = BlobStream::start(file(), std::move(writer), "sha256").value();
  const Result<std::string> digest = offer_all(*stream, bytes);
  stream.reset();
  reader.join();
  EXPECT_EQ(digest.value(), digest_of(bytes).value());
  EXPECT_TRUE(passed_on == bytes);
  EXPECT_TRUE(sys::read_file(path_, 64u << 20).value() == bytes);
}

INSTANTIATE_TEST_SUITE_P(Sizes, BlobStreamOfSize,
                         testing::Combine(testing::Values(BlobStream::kRingBytes, BlobStream::kSmallRingBytes),
                                          testing::Values(0, 1, 4095, 4096, 4097, kPieceBytes, 3 * kPieceBytes + 1,
                                                          3 * BlobStream::kRingBytes + 12'345)));

TEST_F(BlobStreamTest, AReaderThatDoesNotReadStopsTheOffersAndNotForEver) {
  RingWriter writer = ring();
  Fd socket = writer.take_reader();
  auto stream = BlobStream::start(file(), std::move(writer), "sha256").value();
  const std::string piece = some_bytes(BlobStream::kMaxOffer);
  size_t taken = 0;
  while (taken < 100 && stream->offer(piece)) ++taken;
  EXPECT_EQ(taken, BlobStream::kRingBytes / BlobStream::kMaxOffer);
  EXPECT_FALSE(stream->result());
  std::thread reader([&] { read_all(std::move(socket)); });
  while (!stream->offer(piece)) {
    wait_for_event(*stream);
    stream->clear_event();
  }
  stream.reset();
  reader.join();
}

TEST_F(BlobStreamTest, AReaderThatIsGoneDoesNotStopTheFile) {
  const std::string bytes = some_bytes(5'000'000);
  RingWriter writer = ring();
  writer.take_reader().reset();
  auto stream = BlobStream::start(file(), std::move(writer), "sha256").value();
  EXPECT_EQ(offer_all(*stream, bytes).value(), digest_of(bytes).value());
  EXPECT_TRUE(sys::read_file(path_, 64u << 20).value() == bytes);
}

TEST_F(BlobStreamTest, AFullDiskIsTold) {
  Fd full = sys::open_at(AT_FDCWD, "/dev/full", O_WRONLY).value();
  auto stream = BlobStream::start(std::move(full), ring(), "sha256").value();
  EXPECT_TRUE(stream->offer("bytes"));
  stream->close();
  wait_for_event(*stream);
  const std::optional<Result<std::string>> result = stream->result();
  ASSERT_TRUE(result);
  ASSERT_FALSE(result->ok());
  EXPECT_EQ(result->error().code(), ENOSPC);
}

TEST_F(BlobStreamTest, CanBeGivenUpWhileTheReaderDoesNotRead) {
  RingWriter writer = ring();
  const Fd socket = writer.take_reader();
  auto stream = BlobStream::start(file(), std::move(writer), "sha256").value();
  const std::string piece = some_bytes(BlobStream::kMaxOffer);
  while (stream->offer(piece)) {
  }
  stream.reset();
}

TEST_F(BlobStreamTest, AReaderThatLetsGoOfMoreThanThereWasIsNotWaitedFor) {
  const std::string bytes = some_bytes(3 * BlobStream::kRingBytes);
  RingWriter writer = ring();
  const Fd socket = writer.take_reader();
  const uint32_t too_many = 0xffffffff;
  ASSERT_EQ(::send(socket.get(), &too_many, sizeof too_many, 0), static_cast<ssize_t>(sizeof too_many));
  auto stream = BlobStream::start(file(), std::move(writer), "sha256").value();
  EXPECT_EQ(offer_all(*stream, bytes).value(), digest_of(bytes).value());
  EXPECT_TRUE(sys::read_file(path_, 64u << 20).value() == bytes);
}

TEST_F(BlobStreamTest, TheReaderCannotWrite) {
  RingWriter writer = ring();
  const Fd socket = writer.take_reader();
  char byte;
  iovec part{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ASSERT_EQ(::recvmsg(socket.get(), &message, 0), 1);
  ASSERT_NE(CMSG_FIRSTHDR(&message), nullptr);
  int descriptor;
  std::memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
  const Fd memory(descriptor);
  EXPECT_EQ(::mmap(nullptr, BlobStream::kRingBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  EXPECT_LT(::pwrite(memory.get(), "x", 1, 0), 0);
  EXPECT_LT(::ftruncate(memory.get(), 0), 0);
  void* const read_only = ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, memory.get(), 0);
  ASSERT_NE(read_only, MAP_FAILED);
  EXPECT_LT(::mprotect(read_only, 4096, PROT_READ | PROT_WRITE), 0);
  ::munmap(read_only, 4096);
}

}  // namespace
}  // namespace moss::engine
