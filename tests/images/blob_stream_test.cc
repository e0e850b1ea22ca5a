// The line that a layer's bytes go through: nothing is lost, nothing piles up, and errors are told.
#include "src/engine/images/blob_stream.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "moss/sys/file.hh"

namespace moss::engine {
namespace {

struct Pipe {
  Fd reading;
  Fd writing;
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reading.reset(ends[0]);
    writing.reset(ends[1]);
  }
};

std::string some_bytes(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 1;
  for (char& c : bytes) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

std::string read_all(int fd) {
  std::string out;
  char buffer[65536];
  ssize_t got;
  while ((got = ::read(fd, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<size_t>(got));
  return out;
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

class BlobStreamOfSize : public BlobStreamTest, public testing::WithParamInterface<size_t> {};

TEST_P(BlobStreamOfSize, TheFileThePipeAndTheDigestAgree) {
  const std::string bytes = some_bytes(GetParam());
  Pipe pipe;
  auto stream = BlobStream::start(file(), std::move(pipe.writing), "sha256").value();
  std::string passed_on;
  std::thread reader([&] { passed_on = read_all(pipe.reading.get()); });
  const Result<std::string> digest = offer_all(*stream, bytes);
  stream.reset();
  reader.join();
  EXPECT_EQ(digest.value(), digest_of(bytes).value());
  EXPECT_TRUE(passed_on == bytes);
  EXPECT_TRUE(sys::read_file(path_, 64u << 20).value() == bytes);
}

INSTANTIATE_TEST_SUITE_P(Sizes, BlobStreamOfSize,
                         testing::Values(0, 1, 4095, 4096, 4097, BlobStream::kPieceBytes,
                                         3 * BlobStream::kPieceBytes + 1, 3 * BlobStream::kRingBytes + 12'345));

TEST_F(BlobStreamTest, AReaderThatDoesNotReadStopsTheOffersAndNotForEver) {
  Pipe pipe;
  auto stream = BlobStream::start(file(), std::move(pipe.writing), "sha256").value();
  const std::string piece = some_bytes(BlobStream::kPieceBytes);
  size_t taken = 0;
  while (taken < 100 && stream->offer(piece)) ++taken;
  // The ring, and what the pipe and the thread's own hands hold.
  EXPECT_LE(taken, 10u);
  EXPECT_FALSE(stream->result());
  std::thread reader([&] { read_all(pipe.reading.get()); });
  wait_for_event(*stream);
  stream->clear_event();
  EXPECT_TRUE(stream->offer(piece));
  stream.reset();
  reader.join();
}

TEST_F(BlobStreamTest, AReaderThatIsGoneDoesNotStopTheFile) {
  const std::string bytes = some_bytes(5'000'000);
  Pipe pipe;
  ::signal(SIGPIPE, SIG_IGN);
  auto stream = BlobStream::start(file(), std::move(pipe.writing), "sha256").value();
  pipe.reading.reset();
  EXPECT_EQ(offer_all(*stream, bytes).value(), digest_of(bytes).value());
  EXPECT_TRUE(sys::read_file(path_, 64u << 20).value() == bytes);
}

TEST_F(BlobStreamTest, AFullDiskIsTold) {
  Pipe pipe;
  Fd full = sys::open_at(AT_FDCWD, "/dev/full", O_WRONLY).value();
  auto stream = BlobStream::start(std::move(full), std::move(pipe.writing), "sha256").value();
  EXPECT_TRUE(stream->offer("bytes"));
  stream->close();
  wait_for_event(*stream);
  const std::optional<Result<std::string>> result = stream->result();
  ASSERT_TRUE(result);
  ASSERT_FALSE(result->ok());
  EXPECT_EQ(result->error().code(), ENOSPC);
}

TEST_F(BlobStreamTest, CanBeGivenUpWhileTheReaderDoesNotRead) {
  Pipe pipe;
  auto stream = BlobStream::start(file(), std::move(pipe.writing), "sha256").value();
  const std::string piece = some_bytes(BlobStream::kPieceBytes);
  while (stream->offer(piece)) {
  }
  stream.reset();
}

}  // namespace
}  // namespace moss::engine
