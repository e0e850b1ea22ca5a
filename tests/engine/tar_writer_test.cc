// A tar's bytes: the same for the same files, and nothing lost that ustar has no room for.
#include "src/engine/containers/tar_writer.hh"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include "moss/base/fd.hh"
#include "moss/sys/file.hh"

namespace moss::engine {
namespace {

using ::testing::HasSubstr;

std::string written(const std::function<void(TarWriter&)>& write) {
  const Fd file(::memfd_create("tar", MFD_CLOEXEC));
  TarWriter tar(file.get());
  write(tar);
  EXPECT_TRUE(tar.finish().ok());
  ::lseek(file.get(), 0, SEEK_SET);
  return *sys::read_stream(file.get(), "tar", 64u << 20);
}

TEST(TarWriter, AnOrdinaryFileIsOneHeaderAndItsBlocks) {
  const std::string tar = written([](TarWriter& to) {
    ASSERT_TRUE(to.header({.path = "etc/x", .mode = 04755, .uid = 12, .gid = 34, .mtime = 1000, .size = 5}).ok());
    ASSERT_TRUE(to.data("hello, longer than was said").ok());
    ASSERT_TRUE(to.end_of_data().ok());
  });
  ASSERT_EQ(tar.size(), 512u * 4);
  EXPECT_EQ(tar.substr(0, 6), std::string("etc/x\0", 6));
  EXPECT_EQ(tar.substr(100, 8), std::string("0004755\0", 8));
  EXPECT_EQ(tar.substr(108, 8), std::string("0000014\0", 8));
  EXPECT_EQ(tar.substr(116, 8), std::string("0000042\0", 8));
  EXPECT_EQ(tar.substr(124, 12), std::string("00000000005\0", 12));
  EXPECT_EQ(tar.substr(257, 8), std::string("ustar\00000", 8));
  EXPECT_EQ(tar.substr(512, 6), std::string("hello\0", 6));
  // The checksum is that of the header with spaces in its place.
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(tar[i]);
  EXPECT_EQ(std::stoul(tar.substr(148, 6), nullptr, 8), sum);
}

TEST(TarWriter, AFileThatShrankIsFilledUp) {
  const std::string tar = written([](TarWriter& to) {
    ASSERT_TRUE(to.header({.path = "x", .size = 1000}).ok());
    ASSERT_TRUE(to.data("short").ok());
    ASSERT_TRUE(to.end_of_data().ok());
    ASSERT_TRUE(to.header({.path = "next"}).ok());
  });
  EXPECT_EQ(tar.substr(512 + 1024, 5), std::string("next\0", 5));
}

TEST(TarWriter, WhatUstarHasNoRoomForStandsInRecords) {
  const std::string name(150, 'n');
  const std::string tar = written([&](TarWriter& to) {
    ASSERT_TRUE(to.header({.path = name,
                           .type = '2',
                           .link = "\xc3\xa4",
                           .uid = 4000000000,
                           .mtime = -5,
                           .xattrs = {{"user.a", std::string("\0\n=", 3)}}})
                    .ok());
  });
  EXPECT_EQ(tar[156], 'x');
  EXPECT_THAT(tar, HasSubstr(cat("160 path=", name, "\n")));
  EXPECT_THAT(tar, HasSubstr("15 linkpath=\xc3\xa4\n"));
  EXPECT_THAT(tar, HasSubstr("18 uid=4000000000\n"));
  EXPECT_THAT(tar, HasSubstr("12 mtime=-5\n"));
  EXPECT_THAT(tar, HasSubstr(std::string("27 SCHILY.xattr.user.a=\0\n=\n", 27)));
}

}  // namespace
}  // namespace moss::engine
