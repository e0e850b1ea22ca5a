// What a layer deletes of the layers below it, and nothing else.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include "layer_fixture.hh"
#include "moss/sys/ids.hh"

namespace moss::test {
namespace {

using testing::HasSubstr;

class Whiteouts : public LayerTest {};

TEST_F(Whiteouts, BecomeOverlayWhiteouts) {
  const Outcome out = unpack(TarWriter().file("d/.wh.gone").file(".wh.too").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n755 d/\nwhiteout d/gone\nwhiteout too\n");
  EXPECT_FALSE(out.opaque_root);
}

TEST_F(Whiteouts, OpaqueMarksTheFolder) {
  const Outcome out = unpack(TarWriter().file("d/.wh..wh..opq").file("d/new", "x").finish());
  EXPECT_EQ(out.tree, "755 /\n755 d/ opaque=y\n644 d/new: x\n");
  EXPECT_FALSE(out.opaque_root);
}

TEST_F(Whiteouts, OpaqueRootIsReported) {
  const Outcome out = unpack(TarWriter().file(".wh..wh..opq").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_TRUE(out.opaque_root);
}

TEST_F(Whiteouts, SpareTheirOwnLayer) {
  EXPECT_EQ(unpack(TarWriter().file("f", "x").file(".wh.f").finish()).tree, "755 /\n644 f: x\n");
  EXPECT_EQ(unpack(TarWriter().file(".wh.f").file("f", "x").finish()).tree, "755 /\n644 f: x\n");
}

TEST_F(Whiteouts, FolderMadeAnewShowsNothingOfTheOld) {
  const std::string tree = "755 /\n755 d/ opaque=y\n644 d/f: x\n";
  EXPECT_EQ(unpack(TarWriter().file("d/f", "x").file(".wh.d").finish()).tree, tree);
  EXPECT_EQ(unpack(TarWriter().file(".wh.d").file("d/f", "x").finish()).tree, tree);
}

TEST_F(Whiteouts, InAnOpaqueFolderAreNotNeeded) {
  EXPECT_EQ(unpack(TarWriter().file("d/.wh.x").file("d/.wh..wh..opq").finish()).tree, "755 /\n755 d/ opaque=y\n");
}

TEST_F(Whiteouts, OfFoldersReplacedLaterGoWithThem) {
  EXPECT_EQ(unpack(TarWriter().file("d/.wh.x").file("d", "file").finish()).tree, "755 /\n644 d: file\n");
}

TEST_F(Whiteouts, BadNamesAreRefused) {
  for (const char* name : {".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh...", ".wh.d/f", "a/.wh.b/.wh.c"}) {
    EXPECT_THAT(unpack(TarWriter().file(name).finish()).error, HasSubstr("not a name that a whiteout may have"))
        << name;
  }
}

TEST_F(Whiteouts, GoThroughNoSymlink) {
  for (const char* name : {"l/.wh.f", "l/.wh..wh..opq", "l/m/.wh.f"}) {
    const std::string layer = TarWriter().folder("d/m").symlink("l", "d").file(name).finish();
    EXPECT_THAT(unpack(layer).error, HasSubstr("must not go through")) << name;
  }
  // Also where a file went that way before.
  EXPECT_THAT(unpack(TarWriter().folder("d").symlink("l", "d").file("l/f").file("l/.wh.f").finish()).error,
              HasSubstr("must not go through"));
}

TEST_F(Whiteouts, AufsRecordsAreIgnored) {
  const Outcome out =
      unpack(TarWriter().folder(".wh..wh.plnk").file(".wh..wh.plnk/1.2", "x").file(".wh..wh.aufs").file("f").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n644 f\n");
}

TEST_F(Whiteouts, AreRegularFiles) {
  EXPECT_THAT(unpack(TarWriter().folder(".wh.d").finish()).error, HasSubstr("must be a regular file"));
  EXPECT_THAT(unpack(TarWriter().symlink(".wh.l", "x").finish()).error, HasSubstr("must be a regular file"));
  EXPECT_THAT(unpack(TarWriter().folder(".wh..wh..opq").finish()).error, HasSubstr("must be a regular file"));
  // aufs linked them all to one.
  EXPECT_EQ(unpack(TarWriter().hard_link(".wh.f", ".wh..wh.aufs").finish()).tree, "755 /\nwhiteout f\n");
}

TEST_F(Whiteouts, RawOnesAreRefused) {
  EXPECT_THAT(unpack(TarWriter().header({.name = "f", .type = '3'}).finish()).error,
              HasSubstr("raw overlayfs whiteout"));
}

TEST_F(Whiteouts, HideInAnOverlayMount) {
  ASSERT_EQ(unpack(TarWriter()
                       .file("gone", "x")
                       .file("stays", "x")
                       .file("opaque/gone", "x")
                       .file("anew/gone", "x")
                       .file("merged/gone", "x")
                       .file("merged/stays", "x")
                       .finish())
                .error,
            "");
  const std::string lower = destination();
  ASSERT_EQ(unpack(TarWriter()
                       .file(".wh.gone")
                       .file("opaque/.wh..wh..opq")
                       .file("opaque/new", "y")
                       .file(".wh.anew")
                       .file("anew/new", "y")
                       .file("merged/.wh.gone")
                       .finish())
                .error,
            "");
  const std::string upper = destination();
  const std::string merged = base() + "/layer-merged";
  ASSERT_TRUE(sys::make_dirs(merged).ok());
  constexpr int kNoOverlay = 77;
  std::string tree;
  const int code = run_inside([&] {
    const std::string what = cat("userxattr,lowerdir=", upper, ":", lower);
    if (::mount("overlay", merged.c_str(), "overlay", 0, what.c_str()) != 0) return kNoOverlay;
    return sys::create_file(base() + "/layer-tree", describe_tree(merged)).ok() ? 0 : 1;
  });
  if (code == kNoOverlay) GTEST_SKIP() << "this kernel or file system has no overlay mounts in a user namespace";
  ASSERT_EQ(code, 0);
  // overlayfs keeps its own marks to itself.
  EXPECT_EQ(sys::read_file(base() + "/layer-tree", 10'000).value(),
            "755 /\n755 anew/\n644 anew/new: y\n755 merged/\n644 merged/stays: x\n755 opaque/\n644 opaque/new: y\n"
            "644 stays: x\n");
}

}  // namespace
}  // namespace moss::test
