// A file of an image, found as overlayfs would find it and never outside.
#include "src/engine/containers/layered_root.hh"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

class Layers : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    make_dir(path("top/etc"));
    make_dir(path("bottom/etc"));
    write(path("bottom/etc/passwd"), "bottom");
    write(path("secret"), "outside");
  }
  void link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), path(name).c_str()), 0);
  }
  // Marks as overlayfs without privilege writes them; the filesystem of the test must keep them.
  bool mark(const std::string& name, const char* attribute, std::string_view value) {
    return ::setxattr(path(name).c_str(), attribute, value.data(), value.size(), 0) == 0;
  }
  std::string text_at(const std::string& name, size_t max_bytes = 100) {
    const LayeredRoot layers({path("top"), path("bottom")});
    const Result<std::optional<std::string>> text = layers.read(name, max_bytes);
    if (!text.ok()) return "error: " + text.error().to_string();
    return *text ? **text : "nothing";
  }
};

TEST_F(Layers, TheTopmostFileWins) {
  EXPECT_EQ(text_at("/etc/passwd"), "bottom");
  write(path("top/etc/passwd"), "top");
  EXPECT_EQ(text_at("/etc/passwd"), "top");
  EXPECT_EQ(text_at("etc//./passwd"), "top");
  EXPECT_EQ(text_at("/etc/group"), "nothing");
  EXPECT_EQ(text_at("/etc"), "nothing");
  EXPECT_EQ(text_at("/"), "nothing");
}

TEST_F(Layers, AWhiteoutHidesWhatIsBelow) {
  write(path("top/etc/passwd"), "");
  if (!mark("top/etc/passwd", "user.overlay.whiteout", "y")) GTEST_SKIP() << "this filesystem has no user.* attributes";
  EXPECT_EQ(text_at("/etc/passwd"), "nothing");
}

TEST_F(Layers, AnOpaqueFolderHidesItsNamesakesBelow) {
  write(path("bottom/etc/group"), "group");
  if (!mark("top/etc", "user.overlay.opaque", "y")) GTEST_SKIP() << "this filesystem has no user.* attributes";
  EXPECT_EQ(text_at("/etc/passwd"), "nothing");
  EXPECT_EQ(text_at("/etc/group"), "nothing");
}

TEST_F(Layers, OtherAttributesHideNothing) {
  if (!mark("top/etc", "user.overlay.opaque", "x")) GTEST_SKIP() << "this filesystem has no user.* attributes";
  EXPECT_EQ(text_at("/etc/passwd"), "bottom");
}

TEST_F(Layers, AFileOverAFolderHidesIt) {
  make_dir(path("bottom/a"));
  write(path("bottom/a/f"), "x");
  write(path("top/a"), "a file");
  EXPECT_EQ(text_at("/a/f"), "nothing");
  EXPECT_EQ(text_at("/a"), "a file");
  // And a folder over a file is a folder.
  write(path("bottom/b"), "a file");
  make_dir(path("top/b"));
  EXPECT_EQ(text_at("/b"), "nothing");
}

TEST_F(Layers, SymlinksStayInside) {
  link("/etc/passwd", "top/absolute");
  link("../../../../etc/passwd", "top/up");
  link("../etc", "top/etc/again");
  link(path("secret"), "top/host");
  link("..", "top/parent");
  EXPECT_EQ(text_at("/absolute"), "bottom");
  EXPECT_EQ(text_at("/up"), "bottom");
  EXPECT_EQ(text_at("/etc/again/passwd"), "bottom");
  EXPECT_EQ(text_at("/host"), "nothing");
  EXPECT_EQ(text_at("/parent/parent/secret"), "nothing");
  EXPECT_EQ(text_at("/../../secret"), "nothing");
}

TEST_F(Layers, ASymlinkedFolderIsReadThroughAllLayers) {
  link("etc", "top/config");
  EXPECT_EQ(text_at("/config/passwd"), "bottom");
}

TEST_F(Layers, LoopsOfSymlinksEnd) {
  link("b", "top/a");
  link("a", "top/b");
  link("self/x", "top/self");
  EXPECT_EQ(text_at("/a"), "error: read /a in the image: Too many levels of symbolic links");
  EXPECT_EQ(text_at("/self"), "error: read /self in the image: Too many levels of symbolic links");
}

TEST_F(Layers, AFifoIsNeverWaitedFor) {
  ASSERT_EQ(::mkfifo(path("top/etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(text_at("/etc/passwd"), "error: read /etc/passwd in the image: read passwd: not a regular file");
}

TEST_F(Layers, ALinkToADeviceOfTheHostReadsNothing) {
  link("/dev/zero", "top/etc/passwd");
  EXPECT_EQ(text_at("/etc/passwd"), "nothing");
}

TEST_F(Layers, SizeIsLimited) {
  write(path("top/etc/passwd"), std::string(101, 'x'));
  EXPECT_EQ(text_at("/etc/passwd"),
            "error: read /etc/passwd in the image: read passwd: larger than 100 bytes: File too large");
  // A sparse file of a terabyte costs nothing to make and nothing to refuse.
  ASSERT_EQ(::truncate(path("top/etc/passwd").c_str(), off_t{1} << 40), 0);
  EXPECT_EQ(text_at("/etc/passwd"),
            "error: read /etc/passwd in the image: read passwd: larger than 100 bytes: File too large");
}

}  // namespace
}  // namespace moss::engine
