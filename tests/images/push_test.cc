// What goes out: the pieces of push and save that can be looked at by themselves.
#include "moss/engine/push.hh"

#include <fcntl.h>
#include <unistd.h>

#include "image_fixture.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"
#include "src/engine/images/compress.hh"
#include "src/engine/images/file_sink.hh"
#include "src/engine/images/referrers.hh"

namespace moss::test {

namespace {

using engine::LayerCompression;
using testing::HasSubstr;

class Compress : public ImageTest {
 protected:
  struct Out {
    std::string bytes;
    std::string digest;
  };
  // A tar compressed in two pieces.
  Out compress(LayerCompression compression, std::optional<int> level) {
    const std::string path = cat(base(), "/", sys::random_hex(4));
    const Fd file = sys::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600).value();
    const std::string tar = layer("f", std::string(3'000'000, 'x') + std::string("y"));
    auto compressor = engine::make_compressor(compression, level, file.get()).value();
    EXPECT_TRUE(succeeded(compressor->put(std::string_view(tar).substr(0, 1000))));
    EXPECT_TRUE(succeeded(compressor->put(std::string_view(tar).substr(1000))));
    EXPECT_TRUE(succeeded(compressor->finish()));
    Out out{sys::read_file(path, 64 << 20).value(), compressor->digest()};
    EXPECT_EQ(compressor->bytes(), static_cast<int64_t>(out.bytes.size()));
    // What a layer's reader makes of it.
    ::lseek(file.get(), 0, SEEK_SET);
    std::string back;
    const auto content = engine::read_layer(file.get(), {}, [&](std::string_view piece) {
      back += piece;
      return Result<Ok>(Ok{});
    });
    EXPECT_TRUE(succeeded(content));
    EXPECT_EQ(content->diff_id, engine::digest_of(tar).value());
    EXPECT_TRUE(back == tar);
    return out;
  }
};

TEST_F(Compress, GivesWhatALayersReaderReads) {
  for (const auto compression : {LayerCompression::none, LayerCompression::gzip, LayerCompression::zstd}) {
    const Out out = compress(compression, std::nullopt);
    EXPECT_EQ(out.digest, engine::digest_of(out.bytes).value());
  }
}

TEST_F(Compress, TheSameBytesEveryTime) {
  for (const auto compression : {LayerCompression::gzip, LayerCompression::zstd}) {
    EXPECT_EQ(compress(compression, 1).digest, compress(compression, 1).digest);
  }
}

TEST(CompressionLevel, HasLimits) {
  EXPECT_TRUE(succeeded(engine::check_level(LayerCompression::gzip, 9)));
  EXPECT_THAT(error_of(engine::check_level(LayerCompression::gzip, 10)), HasSubstr("gzip has 1 to 9"));
  EXPECT_TRUE(succeeded(engine::check_level(LayerCompression::zstd, 20)));
  EXPECT_THAT(error_of(engine::check_level(LayerCompression::zstd, 0)), HasSubstr("zstd has 1 to 20"));
}

TEST(ReferrersTag, IsTheDigestWithADash) {
  const std::string hex(64, 'a');
  EXPECT_EQ(engine::referrers_tag(oci::Digest::parse("sha256:" + hex).value()), "sha256-" + hex);
  // sha512's digits are too many for a tag.
  EXPECT_EQ(engine::referrers_tag(oci::Digest::parse("sha512:" + hex + hex).value()), "sha512-" + hex);
}

TEST(PushWords, AreOnesThatMossWrites) {
  EXPECT_EQ(engine::parse_compression("zstd").value(), LayerCompression::zstd);
  EXPECT_THAT(error_of(engine::parse_compression("zstd:chunked")), HasSubstr("not written"));
  EXPECT_EQ(engine::parse_manifest_format("v2s2").value(), engine::ManifestFormat::docker);
  EXPECT_THAT(error_of(engine::parse_manifest_format("v2s1")), HasSubstr("before 2016"));
  EXPECT_EQ(engine::parse_archive_format("docker-dir").value(), engine::ArchiveFormat::docker_dir);
  EXPECT_THAT(error_of(engine::parse_archive_format("zip")), HasSubstr("expected docker-archive"));
}

class Sink : public ImageTest {};

TEST_F(Sink, AFolderAppearsWhenItIsWhole) {
  const std::string path = base() + "/out";
  {
    auto sink = engine::open_folder_sink(path, true).value();
    ASSERT_TRUE(succeeded(sink->put("a/b", "text")));
    EXPECT_FALSE(sys::exists(path));
  }
  // Not finished: as if it had never been.
  EXPECT_FALSE(sys::exists(path));
  auto sink = engine::open_folder_sink(path, true).value();
  ASSERT_TRUE(succeeded(sink->put("a/b", "text")));
  ASSERT_TRUE(succeeded(sink->finish()));
  EXPECT_EQ(sys::read_file(path + "/a/b", 100).value(), "text");
  EXPECT_EQ(sys::list_dir(path).value().size(), 1u);
}

TEST_F(Sink, WhatAKilledWriterLeftIsRemovedByTheNext) {
  const std::string left = base() + "/.out.moss-part-123456";
  ASSERT_TRUE(succeeded(sys::make_dirs(left + "/blobs")));
  auto sink = engine::open_folder_sink(base() + "/out", true).value();
  EXPECT_FALSE(sys::exists(left));
}

TEST_F(Sink, AFileInAnArchiveHasTheSizeItWasPromisedWith) {
  auto sink = engine::open_archive_sink(base() + "/x.tar").value();
  const auto give = [](std::string_view text) {
    return [text](const engine::FileSink::Piece& piece) { return piece(text); };
  };
  EXPECT_THAT(error_of(sink->put_pieces("f", 3, give("four"))), HasSubstr("larger than the 3 bytes"));
  sink = engine::open_archive_sink(base() + "/x.tar").value();
  EXPECT_THAT(error_of(sink->put_pieces("f", 5, give("four"))), HasSubstr("has 4 bytes and not 5"));
  sink.reset();
  EXPECT_FALSE(sys::exists(base() + "/x.tar"));
}

}  // namespace

}  // namespace moss::test
