// The bytes around the archive: gzip, zstd or nothing, whole and honest.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "layer_fixture.hh"
#include "moss/engine/digest.hh"
#include "moss/sys/child.hh"
#include "src/engine/unpack/layer_stream.hh"

namespace moss::test {
namespace {

using testing::HasSubstr;

class LayerCompression : public LayerTest {
 protected:
  const std::string tar_ = TarWriter().file("f", "text").finish();
  const std::string tree_ = "755 /\n644 f: text\n";
};

std::string digest(std::string_view text) {
  Result<std::string> result = engine::digest_of(text);
  return result.ok() ? *result : result.error().to_string();
}

// Three megabytes that compress, and not too well.
std::string much_text() {
  std::string text;
  uint32_t random = 1;
  while (text.size() < 3'000'000) text += cat(random = random * 1664525u + 1013904223u, ' ');
  return text;
}

// The stream itself, with both gzip libraries, from a pipe that gives it in small pieces.
std::string drain(const std::string& layer, size_t piece, engine::GzipLibrary library) {
  int pipe_fds[2];
  if (::pipe2(pipe_fds, O_CLOEXEC) != 0) return "no pipe";
  const Fd reading(pipe_fds[0]);
  Fd writing(pipe_fds[1]);
  std::thread sender([&] {
    for (size_t at = 0; at < layer.size(); at += piece) {
      if (!sys::write_all(writing.get(), std::string_view(layer).substr(at, piece), "pipe").ok()) break;
    }
    writing.reset();
  });
  const std::string result = [&]() -> std::string {
    auto stream = engine::LayerStream::open(reading.get(), {}, library);
    if (!stream.ok()) return stream.error().to_string();
    while (true) {
      const Result<std::span<const uint8_t>> next = (*stream)->next();
      if (!next.ok()) return next.error().to_string();
      if (next->empty()) return (*stream)->diff_id();
    }
  }();
  sender.join();
  return result;
}

TEST_F(LayerCompression, IsToldByTheFirstBytes) {
  for (const std::string& layer : {tar_, gzip(tar_), zstd(tar_)}) {
    const Outcome out = unpack(layer);
    EXPECT_EQ(out.error, "");
    EXPECT_EQ(out.tree, tree_);
    EXPECT_EQ(out.diff_id, digest(tar_));
    EXPECT_EQ(out.entries, 1u);
  }
}

TEST_F(LayerCompression, DiffIdCoversWhatFollowsTheArchive) {
  const std::string tar = tar_ + "and more" + std::string(600'000, '\0');
  EXPECT_EQ(unpack(gzip(tar)).diff_id, digest(tar));
  EXPECT_EQ(unpack(gzip(tar)).tree, tree_);
}

TEST_F(LayerCompression, ArchiveMayLackItsEnd) {
  const std::string tar = TarWriter().file("f", "text").without_end();
  EXPECT_EQ(unpack(gzip(tar)).tree, tree_);
  EXPECT_EQ(unpack(tar).tree, tree_);
}

TEST_F(LayerCompression, EmptyArchiveIsALayerWithNothing) {
  for (const std::string& tar : {std::string(), std::string(1024, '\0'), std::string(10240, '\0')}) {
    const Outcome out = unpack(gzip(tar));
    EXPECT_EQ(out.error, "");
    EXPECT_EQ(out.tree, "755 /\n");
    EXPECT_EQ(out.diff_id, digest(tar));
  }
  EXPECT_EQ(unpack("").error, "the layer is empty");
}

TEST_F(LayerCompression, CutOffIsRefusedAtEveryByte) {
  for (const std::string& whole : {gzip(tar_), zstd(tar_)}) {
    for (size_t size = 4; size < whole.size(); ++size) {
      for (const auto library : {engine::GzipLibrary::fastest, engine::GzipLibrary::zlib}) {
        EXPECT_EQ(drain(whole.substr(0, size), size, library), "the layer is cut off") << size;
      }
    }
    EXPECT_EQ(unpack(whole.substr(0, whole.size() - 1)).error, "the layer is cut off");
  }
}

TEST_F(LayerCompression, CutOffTarIsRefused) {
  EXPECT_NE(unpack(tar_.substr(0, 300)).error, "");
  EXPECT_NE(unpack(tar_.substr(0, 515)).error, "");
  EXPECT_NE(unpack(TarWriter().file("f", "x").file("g").without_end().substr(0, 1400)).error, "");
  EXPECT_NE(unpack(gzip(tar_.substr(0, 514))).error, "");
}

TEST_F(LayerCompression, LastFileMayLackItsPadding) {
  for (const size_t size : {516, 517, 1023}) {
    const std::string tar = tar_.substr(0, size);
    for (const std::string& layer : {tar, gzip(tar)}) {
      EXPECT_EQ(unpack(layer).tree, tree_) << size;
      EXPECT_EQ(unpack(layer).diff_id, digest(tar)) << size;
    }
  }
}

TEST_F(LayerCompression, SeveralMembersAreOneStream) {
  const std::string half = tar_.substr(0, 700);
  const std::string rest = tar_.substr(700);
  EXPECT_EQ(unpack(gzip(half) + gzip(rest)).diff_id, digest(tar_));
  EXPECT_EQ(unpack(gzip(half) + gzip("") + gzip(rest)).tree, tree_);
  EXPECT_EQ(unpack(zstd(half) + zstd(rest)).diff_id, digest(tar_));
}

TEST_F(LayerCompression, GarbageBehindIsRefused) {
  for (const std::string& whole : {gzip(tar_), zstd(tar_)}) {
    for (const std::string& garbage :
         {std::string("x"), std::string(1, '\0'), std::string("\x1f"), std::string(4096, 'x')}) {
      EXPECT_NE(unpack(whole + garbage).error, "") << garbage.size();
    }
  }
}

TEST_F(LayerCompression, WrongChecksumIsRefused) {
  std::string layer = gzip(tar_);
  layer[layer.size() - 6] = static_cast<char>(layer[layer.size() - 6] ^ 1);
  EXPECT_THAT(unpack(layer).error, HasSubstr("incorrect data check"));
}

TEST_F(LayerCompression, BombIsRefusedByItsRatio) {
  std::string tar = TarWriter().header({.name = "f", .size = 8'000'000}).without_end();
  tar.append(8'000'000, '\0');
  const std::string bomb = gzip(tar);
  engine::UnpackOptions options{.single_id = true, .max_ratio = 100, .ratio_free_bytes = 1'000'000};
  EXPECT_THAT(unpack(bomb, options).error, HasSubstr("bomb"));
  options.max_ratio = 0;
  EXPECT_EQ(unpack(bomb, options).error, "");
  options.max_unpacked_bytes = 8'000'000;
  EXPECT_THAT(unpack(bomb, options).error, HasSubstr("limit of 8000000 bytes"));
}

TEST_F(LayerCompression, BombBehindTheArchiveIsRefusedToo) {
  engine::UnpackOptions options{.single_id = true, .max_unpacked_bytes = 5'000'000};
  EXPECT_THAT(unpack(gzip(tar_ + std::string(8'000'000, '\0')), options).error, HasSubstr("limit of 5000000 bytes"));
}

TEST_F(LayerCompression, ZstdWindowIsLimited) {
  // A frame header with a window of 2 GiB and no content size.
  const std::string frame("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9);
  EXPECT_THAT(unpack(frame).error, HasSubstr("a window of more than 32 MiB"));
  // 64 MiB, and what it would hold is memory of ours once it is written.
  EXPECT_THAT(unpack(std::string("\x28\xb5\x2f\xfd\x00\x80\x01\x00\x00", 9)).error, HasSubstr("more than 32 MiB"));
}

TEST_F(LayerCompression, ZstdSkippableFramesAreSkipped) {
  const std::string skippable("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
  EXPECT_EQ(unpack(skippable + zstd(tar_) + skippable).tree, tree_);
  EXPECT_EQ(unpack(skippable + zstd(tar_) + skippable).diff_id, digest(tar_));
}

TEST_F(LayerCompression, OthersAreNamed) {
  EXPECT_THAT(unpack("BZh91AY&SY").error, HasSubstr("bzip2 layers are not supported"));
  EXPECT_THAT(unpack(std::string("\xfd"
                                 "7zXZ\0\0",
                                 7))
                  .error,
              HasSubstr("xz layers are not supported"));
  EXPECT_THAT(unpack("\x04\x22\x4d\x18rest").error, HasSubstr("lz4 layers are not supported"));
  EXPECT_EQ(unpack(TarWriter().file("BZh", "x").finish()).tree, "755 /\n644 BZh: x\n");
}

TEST_F(LayerCompression, AnythingElseIsNoArchive) {
  EXPECT_THAT(unpack("<html>not found</html>").error, HasSubstr("not a tar archive"));
  EXPECT_THAT(unpack(gzip(std::string(5000, 'x'))).error, HasSubstr("not a tar archive"));
}

TEST_F(LayerCompression, ArrivesWholeInPiecesOfAnySize) {
  const std::string text = much_text();
  const std::string layer = gzip(text.substr(0, 1'000'000)) + gzip(text.substr(1'000'000));
  for (const auto library : {engine::GzipLibrary::fastest, engine::GzipLibrary::zlib}) {
    for (const size_t piece : {size_t{61}, size_t{4096}, size_t{1} << 20})
      EXPECT_EQ(drain(layer, piece, library), digest(text));
  }
  EXPECT_EQ(drain(zstd(text), 61, engine::GzipLibrary::fastest), digest(text));
  EXPECT_EQ(drain(gzip(tar_), 1, engine::GzipLibrary::fastest), digest(tar_));
  EXPECT_EQ(drain(gzip(tar_), 1, engine::GzipLibrary::zlib), digest(tar_));
}

TEST_F(LayerCompression, FlippedBitsAreNeverAccepted) {
  const std::string whole = gzip(tar_);
  for (const auto library : {engine::GzipLibrary::fastest, engine::GzipLibrary::zlib}) {
    // From behind the header's time, flags and system, which mean nothing.
    for (size_t bit = 80; bit < whole.size() * 8; ++bit) {
      std::string layer = whole;
      layer[bit / 8] = static_cast<char>(layer[bit / 8] ^ (1 << (bit % 8)));
      const std::string read = drain(layer, layer.size(), library);
      EXPECT_TRUE(!read.starts_with("sha256:") || read == digest(tar_)) << bit;
    }
  }
}

TEST_F(LayerCompression, SmallOutputsFindEveryTrailer) {
  // An inflater whose output is full holds input back; the member's end may lie in what it holds.
  const std::string text = much_text().substr(0, 3000);
  const std::string layer = gzip(text) + gzip(text);
  for (const auto library : {engine::GzipLibrary::fastest, engine::GzipLibrary::zlib}) {
    for (size_t step = 1; step < 40; ++step) {
      auto inflater = engine::make_inflater(engine::Compression::gzip, library);
      ASSERT_TRUE(inflater.ok());
      // The pieces lie one behind the other, so the headroom in front of each is the piece before.
      const std::string input(std::string(engine::kInputHeadroom, '\0') + layer);
      std::string output;
      size_t at = engine::kInputHeadroom;
      while (true) {
        const size_t size = std::min(step, input.size() - at);
        std::span<const uint8_t> in(reinterpret_cast<const uint8_t*>(input.data()) + at, size);
        uint8_t buffer[7];
        std::span<uint8_t> out(buffer);
        const Result<Ok> ran = (*inflater)->run(in, out);
        ASSERT_TRUE(ran.ok()) << ran.error().to_string();
        output.append(reinterpret_cast<const char*>(buffer), sizeof buffer - out.size());
        const auto now = static_cast<size_t>(in.data() - reinterpret_cast<const uint8_t*>(input.data()));
        if (now == input.size() && out.size() == sizeof buffer) break;
        at = now;
      }
      EXPECT_TRUE((*inflater)->may_end());
      EXPECT_EQ(output.size(), 2 * text.size()) << step;
      EXPECT_EQ(output, text + text) << step;
    }
  }
}

TEST_F(LayerCompression, SlowSenderDoesNotKeepAFailedUnpack) {
  // The archive is damaged early on, and its sender stalls with the pipe open: the error must not wait for it.
  int pipe_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  const Fd reading(pipe_fds[0]);
  const Fd writing(pipe_fds[1]);
  const std::string destination = base() + "/layer-stalled";
  ASSERT_TRUE(sys::make_dirs(destination).ok());
  std::thread sender([&] {
    // More than the first buffer, so that a thread is waiting for what never comes; the rest fits in the pipe.
    const std::string layer = TarWriter().file("../x", "x").finish() + much_text();
    EXPECT_TRUE(sys::write_all(writing.get(), layer.substr(0, 300'000), "pipe").ok());
  });
  EXPECT_THAT(engine::unpack_layer(reading.get(), destination, {.single_id = true}).error().to_string(),
              HasSubstr("\"..\""));
  sender.join();
}

}  // namespace
}  // namespace moss::test
