// Archives in every compression that a user may give, whole and honest, and what no archive may ask for.
#include "moss/engine/archive_input.hh"

#include <bzlib.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <lzma.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <thread>

#include "layer_fixture.hh"
#include "moss/base/fd.hh"

namespace moss::test {
namespace {

using engine::ArchiveInput;
using testing::HasSubstr;

std::string xz(std::string_view text, uint32_t dictionary_bytes = 1u << 20) {
  lzma_options_lzma options;
  ::lzma_lzma_preset(&options, 0);
  options.dict_size = dictionary_bytes;
  const lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, nullptr}};
  std::string out(::lzma_stream_buffer_bound(text.size()), '\0');
  size_t size = 0;
  EXPECT_EQ(::lzma_stream_buffer_encode(const_cast<lzma_filter*>(filters), LZMA_CHECK_CRC32, nullptr,
                                        reinterpret_cast<const uint8_t*>(text.data()), text.size(),
                                        reinterpret_cast<uint8_t*>(out.data()), &size, out.size()),
            LZMA_OK);
  out.resize(size);
  return out;
}

std::string bzip2(std::string_view text) {
  std::string out(text.size() + text.size() / 100 + 1000, '\0');
  auto size = static_cast<unsigned>(out.size());
  EXPECT_EQ(::BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(text.data()),
                                       static_cast<unsigned>(text.size()), 1, 0, 0),
            BZ_OK);
  out.resize(size);
  return out;
}

/// All that comes out of an archive; or the error.
std::string read_all(int fd) {
  Result<std::unique_ptr<ArchiveInput>> input = ArchiveInput::open(fd);
  if (!input.ok()) return cat("error: ", input.error().to_string());
  std::string out;
  while (true) {
    const Result<std::string_view> piece = (*input)->next();
    if (!piece.ok()) return cat("error: ", piece.error().to_string());
    if (piece->empty()) return out;
    out += *piece;
  }
}

std::string read_all(std::string_view archive) {
  const Fd file(::memfd_create("archive", MFD_CLOEXEC));
  EXPECT_EQ(::pwrite(file.get(), archive.data(), archive.size(), 0), static_cast<ssize_t>(archive.size()));
  return read_all(file.get());
}

// Larger than any buffer on the way, and not too small when it is compressed.
std::string much() {
  std::string text;
  uint32_t random = 1;
  while (text.size() < 600'000) text += cat(random = random * 1664525u + 1013904223u, ' ');
  return text;
}

std::vector<std::string> compressed(std::string_view text) {
  return {std::string(text), gzip(text), zstd(text), xz(text), bzip2(text)};
}

TEST(ArchiveInputs, AreToldByTheirFirstBytes) {
  const std::string text = much();
  for (const std::string& archive : compressed(text)) EXPECT_TRUE(read_all(archive) == text);
}

TEST(ArchiveInputs, NothingIsNothing) { EXPECT_EQ(read_all(""), ""); }

TEST(ArchiveInputs, ComeThroughAPipeInAnyPieces) {
  const std::string text = much();
  for (const std::string& archive : compressed(text)) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const Fd in(ends[0]);
    std::thread writer([&, out = Fd(ends[1])] {
      for (size_t at = 0; at < archive.size(); at += 7919) {
        const size_t count = std::min<size_t>(at == 0 ? 1 : 7919, archive.size() - at);
        if (::write(out.get(), archive.data() + at, count) < 0) return;
        if (at == 0 && ::write(out.get(), archive.data() + 1, std::min<size_t>(7918, archive.size() - 1)) < 0) return;
      }
    });
    EXPECT_TRUE(read_all(in.get()) == text);
    writer.join();
  }
}

TEST(ArchiveInputs, SeveralStreamsAreOneArchive) {
  EXPECT_EQ(read_all(gzip("one ") + gzip("two")), "one two");
  EXPECT_EQ(read_all(zstd("one ") + zstd("two")), "one two");
  EXPECT_EQ(read_all(xz("one ") + xz("two")), "one two");
  EXPECT_EQ(read_all(bzip2("one ") + bzip2("two")), "one two");
}

TEST(ArchiveInputs, CutOffOnesAreRefusedAtEveryByte) {
  for (const std::string& archive : {gzip("some text"), zstd("some text"), xz("some text"), bzip2("some text")}) {
    for (size_t size = 6; size < archive.size(); ++size) {
      EXPECT_THAT(read_all(std::string_view(archive).substr(0, size)), HasSubstr("error: the archive")) << size;
    }
  }
}

TEST(ArchiveInputs, DamagedOnesAreRefused) {
  for (std::string archive : {gzip(much()), xz(much()), bzip2(much())}) {
    for (size_t at = archive.size() / 2; at < archive.size() / 2 + 4; ++at) archive[at] ^= 0x55;
    EXPECT_THAT(read_all(archive), HasSubstr("data is damaged"));
  }
}

TEST(ArchiveInputs, WhatAsksForTooMuchMemoryIsRefusedWithTheRemedy) {
  // What xz(1) makes with -8, and with -9; and a gigabyte.
  EXPECT_EQ(read_all(xz("text", 32u << 20)), "text");
  EXPECT_THAT(read_all(xz("text", 64u << 20)),
              HasSubstr("needs 65 MiB of memory, and moss takes at most 40; decompress it first (xz -dc)"));
  EXPECT_THAT(read_all(xz("text", 1u << 30)), HasSubstr("needs 1025 MiB of memory"));
  // The second stream's too.
  EXPECT_THAT(read_all(xz("text") + xz("text", 1u << 30)), HasSubstr("needs 1025 MiB of memory"));
  EXPECT_THAT(read_all(std::string("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 9)),
              HasSubstr("the archive's zstd data needs a window of more than 32 MiB"));
}

TEST(ArchiveInputs, OthersAreNamed) {
  EXPECT_THAT(read_all("\x04\x22\x4d\x18rest"), HasSubstr("lz4 archives are not supported"));
}

}  // namespace
}  // namespace moss::test
