// Layers packed by other programs come out as the trees they were packed from.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "layer_fixture.hh"
#include "moss/sys/child.hh"

namespace moss::test {
namespace {

class RoundTrip : public LayerTest {
 protected:
  void SetUp() override {
    LayerTest::SetUp();
    ASSERT_TRUE(sys::make_dirs(source() + "/usr/bin").ok());
    ASSERT_TRUE(sys::make_dirs(source() + "/" + std::string(120, 'd') + "/" + std::string(90, 'e')).ok());
    put("usr/bin/tool", std::string(70'000, 't'), 0755);
    put("usr/bin/suid", "s", 04711);
    put(std::string(120, 'd') + "/" + std::string(90, 'e') + "/long", "long", 0600);
    put("\xc5\x91 name\n", "odd", 0644);
    put("empty", "", 0444);
    put("attributed", "x", 0644);
    ASSERT_EQ(::setxattr((source() + "/attributed").c_str(), "user.note", "kept", 4, 0), 0);
    ASSERT_EQ(::link((source() + "/usr/bin/tool").c_str(), (source() + "/usr/bin/same").c_str()), 0);
    ASSERT_EQ(::symlink("usr/bin", (source() + "/bin").c_str()), 0);
    ASSERT_EQ(::mkfifo((source() + "/pipe").c_str(), 0644), 0);
    const timespec times[] = {{.tv_sec = 1, .tv_nsec = 0}, {.tv_sec = 1'234'567'890, .tv_nsec = 0}};
    for (const char* name : {"usr/bin/tool", "usr/bin", "usr", "bin", ""}) {
      ASSERT_EQ(::utimensat(AT_FDCWD, cat(source(), "/", name).c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    }
  }

  std::string source() const { return base() + "/layer-source"; }
  void put(const std::string& name, std::string_view text, mode_t mode) {
    const std::string path = source() + "/" + name;
    ASSERT_TRUE(sys::create_file(path, text, 0644).ok());
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }

  /// In the namespace, so that the source's files are root's in the archive. False where the program is missing.
  bool run_program(std::vector<std::string> argv) {
    const std::optional<std::string> program = sys::find_program(argv[0]);
    if (!program) return false;
    argv[0] = *program;
    EXPECT_EQ(run_inside([&] {
                Result<sys::Child> child = sys::spawn(argv, {.stderr_fd = STDERR_FILENO});
                if (!child.ok()) return 1;
                const Result<sys::Exit> exit = child->wait();
                return exit.ok() && exit->ok() ? 0 : 1;
              }),
              0)
        << argv[0];
    return true;
  }

  /// Unpacks, and compares everything that the archive should have kept.
  enum class Attributes { kept, none };
  void compare(const std::string& archive, Attributes attributes = Attributes::kept) {
    Result<std::string> layer = sys::read_file(archive, 10u << 20);
    ASSERT_TRUE(layer.ok()) << layer.error().to_string();
    const Outcome out = unpack(*layer);
    ASSERT_EQ(out.error, "");
    EXPECT_EQ(out.warnings, "");
    std::string expected;
    ASSERT_EQ(
        run_inside([&] { return sys::create_file(base() + "/layer-tree", describe_tree(source())).ok() ? 0 : 1; }), 0);
    EXPECT_EQ(out.tree, sys::read_file(base() + "/layer-tree", 1u << 20).value());
    for (const char* name : {"usr/bin/tool", "usr/bin", "usr", "bin"}) {
      struct stat status{};
      ASSERT_EQ(::lstat(cat(destination(), "/", name).c_str(), &status), 0) << name;
      EXPECT_EQ(status.st_mtim.tv_sec, 1'234'567'890) << name;
    }
    struct stat one{};
    struct stat other{};
    ASSERT_EQ(::stat((destination() + "/usr/bin/tool").c_str(), &one), 0);
    ASSERT_EQ(::stat((destination() + "/usr/bin/same").c_str(), &other), 0);
    EXPECT_EQ(one.st_ino, other.st_ino);
    if (attributes == Attributes::none) return;
    char value[8] = {};
    EXPECT_EQ(::getxattr((destination() + "/attributed").c_str(), "user.note", value, sizeof value), 4);
    EXPECT_STREQ(value, "kept");
  }
};

TEST_F(RoundTrip, GnuTarPax) {
  const std::string archive = base() + "/layer.tar";
  ASSERT_TRUE(
      run_program({"tar", "--format=pax", "--xattrs", "--xattrs-include=user.*", "-C", source(), "-cf", archive, "."}));
  compare(archive);
}

TEST_F(RoundTrip, GnuTarGzip) {
  const std::string archive = base() + "/layer.tar.gz";
  ASSERT_TRUE(run_program(
      {"tar", "--format=posix", "--xattrs", "--xattrs-include=user.*", "-C", source(), "-czf", archive, "."}));
  compare(archive);
}

TEST_F(RoundTrip, GnuTarsOwnFormat) {
  const std::string archive = base() + "/layer.tar";
  ASSERT_TRUE(run_program({"tar", "--format=gnu", "-C", source(), "-cf", archive, "."}));
  compare(archive, Attributes::none);
}

TEST_F(RoundTrip, Umoci) {
  const std::string layout = base() + "/layer-layout";
  if (!run_program({"umoci", "init", "--layout", layout})) GTEST_SKIP() << "umoci is not installed";
  run_program({"umoci", "new", "--image", layout + ":t"});
  run_program({"umoci", "insert", "--image", layout + ":t", source(), "/"});
  // The one blob that is no JSON text.
  std::string archive;
  const std::vector<std::string> blobs = sys::list_dir(layout + "/blobs/sha256").value();
  for (const std::string& name : blobs) {
    const std::string blob = cat(layout, "/blobs/sha256/", name);
    if (!sys::read_file(blob, 10u << 20).value().starts_with('{')) archive = blob;
  }
  ASSERT_NE(archive, "");
  compare(archive);
}

}  // namespace
}  // namespace moss::test
