// A rootfs may hold any symlink; nothing below it leads out.
#include "moss/sys/path.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "temporary.hh"

namespace moss::sys {
namespace {

class OpenBeneath : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    make_dir(path("root/etc"));
    write(path("root/etc/passwd"), "inside");
    write(path("secret"), "outside");
    rootfs_ = *open_at(AT_FDCWD, path("root"), O_PATH | O_DIRECTORY);
  }
  void link(const std::string& target, const std::string& name) {
    ASSERT_EQ(::symlink(target.c_str(), path("root/" + name).c_str()), 0);
  }
  std::string text_at(const std::string& name) {
    const Result<std::string> text = read_file_beneath(rootfs_.get(), name, 100);
    return text.ok() ? *text : cat("errno ", text.error().code());
  }
  Fd rootfs_;
};

TEST_F(OpenBeneath, AbsolutePathsAndSymlinksStartAtTheRoot) {
  link("/etc/passwd", "absolute");
  EXPECT_EQ(text_at("/etc/passwd"), "inside");
  EXPECT_EQ(text_at("absolute"), "inside");
}

TEST_F(OpenBeneath, DotsStopAtTheRoot) {
  link("../../../../../../etc/passwd", "up");
  link("..", "parent");
  EXPECT_EQ(text_at("../../etc/passwd"), "inside");
  EXPECT_EQ(text_at("up"), "inside");
  EXPECT_EQ(text_at("parent/parent/etc/passwd"), "inside");
  EXPECT_EQ(text_at("../secret"), cat("errno ", ENOENT));
  link(path("secret"), "host");
  EXPECT_EQ(text_at("host"), cat("errno ", ENOENT));
}

TEST_F(OpenBeneath, MagicLinksAreRefused) {
  // Not through procfs's own links either, which jump wherever their descriptor is.
  const Fd host = *open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY);
  EXPECT_EQ(open_beneath(host.get(), "/proc/self/root/etc", O_PATH).error().code(), ELOOP);
  EXPECT_EQ(open_beneath(host.get(), cat("/proc/self/fd/", rootfs_.get(), "/etc"), O_PATH).error().code(), ELOOP);
}

TEST_F(OpenBeneath, LoopsEnd) {
  link("b", "a");
  link("a", "b");
  EXPECT_EQ(text_at("a"), cat("errno ", ELOOP));
}

TEST_F(OpenBeneath, DescriptorsCloseOnExec) {
  const Result<Fd> fd = open_beneath(rootfs_.get(), "etc", O_PATH);
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(::fcntl(fd->get(), F_GETFD), FD_CLOEXEC);
}

TEST_F(OpenBeneath, ErrorsNameThePathSafely) {
  EXPECT_EQ(error_of(open_beneath(rootfs_.get(), "a\x1b[2Jb", O_PATH)),
            "open a\\x1b[2Jb in the container's root: No such file or directory");
}

TEST_F(OpenBeneath, ReadingNeverWaitsAndIsLimited) {
  ASSERT_EQ(::mkfifo(path("root/fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of(read_file_beneath(rootfs_.get(), "fifo", 100)), "read fifo: not a regular file");
  EXPECT_EQ(read_file_beneath(rootfs_.get(), "etc/passwd", 5).error().code(), EFBIG);
}

}  // namespace
}  // namespace moss::sys
