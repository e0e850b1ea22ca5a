// Where an entry may go: only below the destination, and only as the layer itself means it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "layer_fixture.hh"

namespace moss::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

class LayerPaths : public LayerTest {};

TEST_F(LayerPaths, DotDotIsRefused) {
  for (const char* name : {"../victim/keep", "a/../../victim/keep", "a/b/../../..", "..", "a/..", "/../x"}) {
    EXPECT_THAT(unpack(TarWriter().file(name, "x").finish()).error, HasSubstr("must not contain \"..\"")) << name;
  }
}

TEST_F(LayerPaths, AbsoluteIsBelowTheRoot) {
  const Outcome out = unpack(TarWriter().file(victim() + "/keep", "x").file("//b///c/./d", "y").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_THAT(out.tree, HasSubstr(cat("644 ", victim().substr(1), "/keep: x\n")));
  EXPECT_THAT(out.tree, HasSubstr("644 b/c/d: y\n"));
}

TEST_F(LayerPaths, AbsoluteSymlinkOutLeadsNowhere) {
  const Outcome out = unpack(TarWriter().symlink("l", victim()).file("l/keep", "x").finish());
  EXPECT_THAT(out.error, HasSubstr("is not in this layer"));
}

TEST_F(LayerPaths, RelativeSymlinkUpLeadsNowhere) {
  const Outcome out = unpack(TarWriter().symlink("l", "../victim").file("l/keep", "x").finish());
  EXPECT_THAT(out.error, HasSubstr("is not in this layer"));
}

TEST_F(LayerPaths, SymlinkChainsStayInside) {
  const Outcome out = unpack(TarWriter()
                                 .folder("usr/lib")
                                 .symlink("lib", "/usr/lib")
                                 .symlink("up", "../../../../lib")
                                 .file("up/f", "x")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\nlib -> /usr/lib\nup -> ../../../../lib\n755 usr/\n755 usr/lib/\n644 usr/lib/f: x\n");
}

TEST_F(LayerPaths, SymlinkLoopIsRefused) {
  const Outcome out = unpack(TarWriter().symlink("a", "b").symlink("b", "a").file("a/f", "x").finish());
  EXPECT_THAT(out.error, EndsWith("Too many levels of symbolic links"));
}

TEST_F(LayerPaths, SymlinkToNowhereIsRefused) {
  EXPECT_THAT(unpack(TarWriter().symlink("a", "").finish()).error, HasSubstr("a symlink to nowhere"));
}

TEST_F(LayerPaths, FileIsNoFolder) {
  EXPECT_THAT(unpack(TarWriter().file("f", "x").file("f/g", "y").finish()).error, HasSubstr("f is not a folder"));
}

TEST_F(LayerPaths, FolderReplacedByASymlinkDoesNotMoveWhatFollows) {
  const Outcome out = unpack(TarWriter().folder("d").symlink("d", victim()).file("d/keep", "x").finish());
  EXPECT_THAT(out.error, HasSubstr("is not in this layer"));
}

TEST_F(LayerPaths, ParentFoundThroughASymlinkIsLookedUpAgainWhenTheSymlinkGoes) {
  const Outcome out = unpack(TarWriter()
                                 .folder("a")
                                 .folder("b")
                                 .symlink("l", "a")
                                 .file("l/1", "x")
                                 .symlink("l", "b")
                                 .file("l/2", "y")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n755 a/\n644 a/1: x\n755 b/\n644 b/2: y\nl -> b\n");
}

TEST_F(LayerPaths, FullFolderIsNotReplaced) {
  EXPECT_THAT(unpack(TarWriter().file("d/f", "x").file("d", "y").finish()).error, HasSubstr("is not empty"));
}

TEST_F(LayerPaths, LastEntryOfANameWins) {
  const Outcome out = unpack(TarWriter()
                                 .file("n", "file")
                                 .folder("n")
                                 .symlink("n", "/elsewhere")
                                 .file("m", "first")
                                 .file("m", "second", 0600)
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n600 m: second\nn -> /elsewhere\n");
}

TEST_F(LayerPaths, RootMayHaveAMode) {
  for (const char* name : {".", "/", "./", "//"}) {
    const Outcome out = unpack(TarWriter().folder(name, 0700).file("f", "x").finish());
    EXPECT_EQ(out.error, "") << name;
    EXPECT_EQ(out.tree, "700 /\n644 f: x\n") << name;
  }
}

TEST_F(LayerPaths, ClosedRootIsStillFilledAndRemovable) {
  const Outcome out = unpack(TarWriter().folder("./", 0).file("d/f", "x").folder("d", 0).file("d/g", "y").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "0 /\n0 d/\n644 d/f: x\n644 d/g: y\n");
}

TEST_F(LayerPaths, RootMustBeAFolder) {
  EXPECT_THAT(unpack(TarWriter().symlink(".", victim()).file("keep", "x").finish()).error,
              HasSubstr("must be a folder"));
  EXPECT_THAT(unpack(TarWriter().symlink("/", victim()).file("keep", "x").finish()).error,
              HasSubstr("must be a folder"));
  EXPECT_THAT(unpack(TarWriter().hard_link("./", "x").finish()).error, HasSubstr("must be a folder"));
  EXPECT_THAT(unpack(TarWriter().file(".", "x").finish()).error, HasSubstr("must be a folder"));
}

TEST_F(LayerPaths, EmptyNameIsRefused) { EXPECT_NE(unpack(TarWriter().file("", "x").finish()).error, ""); }

TEST_F(LayerPaths, OldStyleFolderEndsInASlash) {
  EXPECT_EQ(unpack(TarWriter().file("d/", "").finish()).tree, "755 /\n644 d/\n");
}

TEST_F(LayerPaths, TooLongNamesAreRefused) {
  const std::string component(256, 'n');
  EXPECT_THAT(unpack(TarWriter().long_name(component).file("x").finish()).error, EndsWith("File name too long"));
  std::string deep;
  while (deep.size() < 5000) deep += "folder/";
  EXPECT_THAT(unpack(TarWriter().long_name(deep + "f").file("x").finish()).error, EndsWith("File name too long"));
}

TEST_F(LayerPaths, LongestNamesAreKept) {
  const std::string component(255, 'n');
  EXPECT_EQ(unpack(TarWriter().long_name(component).file("x", "y").finish()).tree,
            cat("755 /\n644 ", component, ": y\n"));
  EXPECT_EQ(unpack(TarWriter().pax(TarWriter::record("path", component)).file("x", "y").finish()).tree,
            cat("755 /\n644 ", component, ": y\n"));
}

TEST_F(LayerPaths, DeepTreeIsWrittenAndRemoved) {
  std::string deep;
  for (int level = 0; level < 1200; ++level) deep += "d/";
  const Outcome out = unpack(TarWriter().pax(TarWriter::record("path", deep + "f")).file("x", "y").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_THAT(out.tree, HasSubstr(cat("644 ", deep, "f: y\n")));
}

TEST_F(LayerPaths, ManyFilesInOneFolder) {
  TarWriter tar;
  for (int i = 0; i < 2'000; ++i) tar.file(cat("d/", i));
  engine::UnpackOptions options{.single_id = true};
  const Outcome out = unpack(gzip(tar.finish()), options);
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.entries, 2'000u);
}

TEST_F(LayerPaths, EntriesAreLimited) {
  const std::string layer = TarWriter().file("a").file("b").file("c").finish();
  EXPECT_THAT(unpack(layer, {.single_id = true, .max_entries = 2}).error, HasSubstr("more than 2 entries"));
  EXPECT_EQ(unpack(layer, {.single_id = true, .max_entries = 3}).error, "");
}

TEST_F(LayerPaths, WhatIsKeptInMindIsLimited) {
  const engine::UnpackOptions options{.single_id = true, .max_kept_bytes = 100'000};
  TarWriter again, whiteouts, folders, devices;
  for (int i = 0; i < 1000; ++i) {
    again.folder("n").file("n");
    whiteouts.file(".wh.n").file(".wh.a-name-that-is-not-short");
    folders.folder(cat("d/", i));
    devices.header({.name = cat("c", std::string(60, 'n'), i), .type = '3', .major = 1, .minor = 3});
  }
  for (const TarWriter& tar : {again, whiteouts, folders, devices}) {
    EXPECT_THAT(unpack(tar.finish(), options).error, HasSubstr("too many folders, whiteouts and devices"));
  }
  EXPECT_EQ(unpack(folders.finish()).error, "");
}

TEST_F(LayerPaths, NamesAreBytes) {
  const Outcome out = unpack(TarWriter()
                                 .file("\xff\xfe raw")
                                 .file("caf\xc3\xa9")
                                 .file("cafe\xcc\x81")
                                 .file("CASE")
                                 .file("case")
                                 .pax(TarWriter::record("path", "F\xc5\x91tan\xc3\xba"))
                                 .file("x")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(
      out.tree,
      "755 /\n644 CASE\n644 F\xc5\x91tan\xc3\xba\n644 cafe\xcc\x81\n644 caf\xc3\xa9\n644 case\n644 \xff\xfe raw\n");
}

TEST_F(LayerPaths, ErrorsShowControlBytesEscaped) {
  const Outcome out = unpack(TarWriter().file("../a\n\x1b[31m", "x").finish());
  EXPECT_THAT(out.error, HasSubstr("\\x0a\\x1b[31m"));
}

TEST_F(LayerPaths, HardLinkOutsideIsRefused) {
  EXPECT_THAT(unpack(TarWriter().hard_link("l", victim() + "/keep").finish()).error, HasSubstr("not in this layer"));
  EXPECT_THAT(unpack(TarWriter().hard_link("l", "../victim/keep").finish()).error, HasSubstr("\"..\""));
  EXPECT_THAT(unpack(TarWriter().symlink("s", victim()).hard_link("l", "s/keep").finish()).error,
              HasSubstr("not in this layer"));
}

TEST_F(LayerPaths, HardLinkToASymlinkIsTheSymlinkItself) {
  const Outcome out = unpack(TarWriter()
                                 .symlink("s", victim() + "/keep")
                                 .header({.name = "l", .type = '1', .link = "s", .mode = 0777})
                                 .file("l", "new")
                                 .hard_link("k", "s")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, cat("755 /\nk -> ", victim(), "/keep\n644 l: new\ns -> ", victim(), "/keep\n"));
}

TEST_F(LayerPaths, HardLinksShareTheFile) {
  const Outcome out = unpack(TarWriter().file("d/f", "x").hard_link("l", "d/f").hard_link("d/l", "/d/f").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n755 d/\n644 d/f: x\n644 d/l: x\n644 l: x\n");
  struct stat status{};
  ASSERT_EQ(::stat((destination() + "/l").c_str(), &status), 0);
  EXPECT_EQ(status.st_nlink, 3u);
}

TEST_F(LayerPaths, HardLinkNeedsAnEarlierFile) {
  EXPECT_THAT(unpack(TarWriter().hard_link("l", "f").file("f", "x").finish()).error, HasSubstr("not in this layer"));
  EXPECT_THAT(unpack(TarWriter().hard_link("l", "l").finish()).error, HasSubstr("not in this layer"));
  EXPECT_THAT(unpack(TarWriter().hard_link("a", "b").hard_link("b", "a").finish()).error,
              HasSubstr("not in this layer"));
  EXPECT_THAT(unpack(TarWriter().folder("d").hard_link("l", "d").finish()).error,
              HasSubstr("a hard link to the folder"));
  EXPECT_THAT(unpack(TarWriter().hard_link("l", "/").finish()).error, HasSubstr("a hard link to /"));
}

TEST_F(LayerPaths, FileNamedTwiceIsALinkToItself) {
  EXPECT_EQ(unpack(TarWriter().file("a", "x").hard_link("a", "a").finish()).tree, "755 /\n644 a: x\n");
}

TEST_F(LayerPaths, DestinationMustBeEmpty) {
  unpack(TarWriter().file("f").finish());
  const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(engine::unpack_layer(input.get(), destination(), {.single_id = true}).error().code(), ENOTEMPTY);
}

}  // namespace
}  // namespace moss::test
