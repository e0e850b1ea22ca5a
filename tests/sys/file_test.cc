// Files: read with a limit, replaced whole, trees removed without following anything.
#include "moss/sys/file.hh"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "moss/sys/child.hh"
#include "temporary.hh"

namespace moss::sys {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class ReadFile : public TemporaryTest {};

TEST_F(ReadFile, GivesTheWholeTextUpToTheLimit) {
  const std::string text(10000, 'x');
  write(path("f"), text);
  EXPECT_EQ(*read_file(path("f"), 10000), text);
  EXPECT_EQ(error_of(read_file(path("f"), 9999)), cat("read ", path("f"), ": larger than 9999 bytes: File too large"));
  write(path("empty"), "");
  EXPECT_EQ(*read_file(path("empty"), 0), "");
}

TEST_F(ReadFile, NeverWaitsForAFifo) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of(read_file(path("fifo"), 10)), cat("read ", path("fifo"), ": not a regular file"));
}

TEST_F(ReadFile, RefusesDevicesAndFolders) {
  EXPECT_EQ(error_of(read_file("/dev/zero", 10)), "read /dev/zero: not a regular file");
  EXPECT_EQ(error_of(read_file(root(), 10)), cat("read ", root(), ": not a regular file"));
}

TEST_F(ReadFile, AMissingFileIsNothingWhereThatIsAsked) {
  EXPECT_EQ(read_file(path("none"), 10).error().code(), ENOENT);
  EXPECT_EQ(*read_file_if_exists(path("none"), 10), std::nullopt);
  write(path("f"), "x");
  EXPECT_EQ(*read_file_if_exists(path("f/below"), 10), std::nullopt);
  EXPECT_EQ(*read_file_if_exists(path("f"), 10), "x");
}

TEST_F(ReadFile, AKernelFileIsReadThoughItsSizeIsZero) {
  EXPECT_THAT(*read_kernel_file("/proc/self/status"), HasSubstr("Pid:"));
}

class WriteFile : public TemporaryTest {};

TEST_F(WriteFile, ReplaceLeavesTheNewTextAndNothingElse) {
  ASSERT_TRUE(replace_file(path("f"), "old", 0600).ok());
  ASSERT_TRUE(replace_file(path("f"), "new", 0640, Sync::yes).ok());
  EXPECT_EQ(read(path("f")), "new");
  EXPECT_EQ(mode_of(path("f")), 0640u);
  EXPECT_THAT(*list_dir(root()), ElementsAre("f"));
}

TEST_F(WriteFile, ReplaceTakesTheSymlinksPlaceAndLeavesItsTarget) {
  write(path("target"), "kept");
  ASSERT_EQ(::symlink("target", path("link").c_str()), 0);
  ASSERT_TRUE(replace_file(path("link"), "new").ok());
  EXPECT_EQ(read(path("target")), "kept");
  EXPECT_EQ(read(path("link")), "new");
}

TEST(ReplaceFile, TakesANameWithoutAFolder) {
  const TemporaryDir dir = TemporaryDir::create(testing::TempDir(), "replace-").value();
  const pid_t child = ::fork();
  if (child == 0) {
    const bool done = ::chdir(dir.path().c_str()) == 0 && replace_file("f", "text", 0600, Sync::yes).ok();
    ::_exit(done ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(read_file(dir.path() + "/f", 100).value(), "text");
}

TEST_F(WriteFile, AFailedReplaceLeavesNothingBehind) {
  make_dir(path("dir/full"));
  EXPECT_FALSE(replace_file(path("dir"), "text").ok());
  EXPECT_THAT(*list_dir(root()), ElementsAre("dir"));
}

TEST_F(WriteFile, CreateFailsWhereSomethingIs) {
  ASSERT_TRUE(create_file(path("f"), "first").ok());
  EXPECT_EQ(create_file(path("f"), "second").error().code(), EEXIST);
  EXPECT_EQ(read(path("f")), "first");
  ASSERT_EQ(::symlink("nowhere", path("dangling").c_str()), 0);
  EXPECT_EQ(create_file(path("dangling"), "x").error().code(), EEXIST);
}

TEST_F(WriteFile, MakeDirsMakesWhatIsMissing) {
  EXPECT_TRUE(make_dirs(path("a/b/c"), 0700).ok());
  EXPECT_EQ(mode_of(path("a/b")), 0700u);
  EXPECT_TRUE(make_dirs(path("a/b/c"), 0755).ok());
  EXPECT_EQ(mode_of(path("a/b/c")), 0700u);
  write(path("file"), "");
  EXPECT_EQ(make_dirs(path("file")).error().code(), ENOTDIR);
  EXPECT_FALSE(make_dirs(path("file/below")).ok());
}

TEST_F(WriteFile, FoldersAreMadeAlsoWhileSomebodyElseRemovesThem) {
  std::atomic<bool> over = false;
  std::thread remover([&] {
    while (!over) ::rmdir(path("busy").c_str());
  });
  for (int i = 0; i < 2000; ++i) {
    const Result<Ok> made = make_dirs(path("busy"));
    EXPECT_TRUE(made.ok()) << error_of(made);
    if (!made.ok()) break;
  }
  over = true;
  remover.join();
}

class RemoveTree : public TemporaryTest {
 protected:
  // Large enough for several threads, by one folder of many files and by many folders.
  static void make_large_tree(const std::string& top) {
    make_dir(top + "/flat");
    for (int i = 0; i < 400; ++i) write(cat(top, "/flat/", i), "x");
    for (int i = 0; i < 80; ++i) {
      make_dir(cat(top, "/many/", i, "/inner/leaf"));
      write(cat(top, "/many/", i, "/inner/f"), "x");
    }
  }
};

TEST_F(RemoveTree, AMissingTreeIsSuccess) {
  EXPECT_TRUE(remove_tree(path("none")).ok());
  EXPECT_TRUE(remove_tree(path("none/below")).ok());
}

TEST_F(RemoveTree, TakesFilesFoldersAndOddThings) {
  make_dir(path("t/a/b"));
  write(path("t/a/b/f"), "x");
  ASSERT_EQ(::mkfifo(path("t/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(remove_tree(path("t")).ok());
  EXPECT_THAT(*list_dir(root()), IsEmpty());
}

TEST_F(RemoveTree, NeverFollowsASymlink) {
  make_dir(path("kept"));
  write(path("kept/f"), "x");
  make_dir(path("t"));
  ASSERT_EQ(::symlink("../kept", path("t/link").c_str()), 0);
  ASSERT_EQ(::symlink("kept", path("link").c_str()), 0);
  EXPECT_TRUE(remove_tree(path("t")).ok());
  EXPECT_TRUE(remove_tree(path("link")).ok());
  EXPECT_THAT(*list_dir(root()), ElementsAre("kept"));
  EXPECT_EQ(read(path("kept/f")), "x");
}

TEST_F(RemoveTree, ATreeOf2000LevelsNeedsNoDescriptorALevel) {
  // Built by descriptors: the path is longer than PATH_MAX.
  make_dir(path("t"));
  Fd at = *open_at(AT_FDCWD, path("t"), O_RDONLY | O_DIRECTORY);
  for (int level = 0; level < 2000; ++level) {
    ASSERT_EQ(::mkdirat(at.get(), "deep", 0755), 0);
    at = *open_at(at.get(), "deep", O_RDONLY | O_DIRECTORY);
  }
  ASSERT_TRUE(Fd(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  at.reset();
  const Result<Ok> removed = remove_tree(path("t"));
  EXPECT_TRUE(removed.ok()) << error_of(removed);
  EXPECT_THAT(*list_dir(root()), IsEmpty());
}

size_t threads_of_this_process() { return list_dir("/proc/self/task")->size(); }

TEST_F(RemoveTree, ALargeOneGoesWholeAndLeavesNoThread) {
  make_large_tree(path("t"));
  const size_t before = threads_of_this_process();
  const Result<Ok> removed = remove_tree(path("t"));
  EXPECT_TRUE(removed.ok()) << error_of(removed);
  EXPECT_THAT(*list_dir(root()), IsEmpty());
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST_F(RemoveTree, SeveralProcessesMayRemoveTheSame) {
  make_large_tree(path("t"));
  const auto remove = [&] { return remove_tree(path("t")).ok() ? 0 : 1; };
  Result<Child> first = fork_child(remove);
  Result<Child> second = fork_child(remove);
  EXPECT_EQ(first->wait()->shell_code(), 0);
  EXPECT_EQ(second->wait()->shell_code(), 0);
  EXPECT_FALSE(exists(path("t")));
}

TEST_F(RemoveTree, WhatResistsIsTheErrorAndStays) {
  make_large_tree(path("t"));
  // Nobody, the machine's root neither, removes what is mounted on.
  Result<Child> child = fork_child([&] {
    const bool mounted = ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 &&
                         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                         ::mount("none", path("t/many/7/inner/leaf").c_str(), "tmpfs", 0, nullptr) == 0;
    if (!mounted) return 77;
    const size_t before = threads_of_this_process();
    const Result<Ok> removed = remove_tree(path("t"));
    if (threads_of_this_process() != before) return 2;
    return !removed.ok() && removed.error().code() == EBUSY ? 0 : 3;
  });
  const int code = child->wait()->shell_code();
  if (code == 77) GTEST_SKIP() << "no mounts in user namespaces here";
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(exists(path("t")));
}

TEST_F(RemoveTree, FoldersNobodyMayReadOrSearchGoToo) {
  make_dir(path("t/closed/inner/leaf"));
  write(path("t/closed/f"), "x");
  make_dir(path("t/unlisted/sub/leaf"));
  make_dir(path("t/unwritable/sub/leaf"));
  ASSERT_EQ(::chmod(path("t/closed/inner").c_str(), 0), 0);
  ASSERT_EQ(::chmod(path("t/closed").c_str(), 0), 0);
  ASSERT_EQ(::chmod(path("t/unlisted/sub").c_str(), 0300), 0);
  ASSERT_EQ(::chmod(path("t/unlisted").c_str(), 0300), 0);
  ASSERT_EQ(::chmod(path("t/unwritable/sub").c_str(), 0500), 0);
  ASSERT_EQ(::chmod(path("t/unwritable").c_str(), 0500), 0);
  // Root walks through any mode; so that it proves something as root as well, nobody does it there.
  Result<Child> child = fork_child([&] {
    if (::geteuid() == 0) {
      const std::string chown = cat("chown -R 65534:65534 ", root());
      Result<Child> changed = spawn({"/bin/sh", "-c", chown}, {});
      if (!changed.ok() || !changed->wait()->ok()) return 2;
      if (::setgid(65534) != 0 || ::setuid(65534) != 0) return 3;
    }
    const Result<Ok> removed = remove_tree(path("t"));
    if (!removed.ok()) (void)!::write(2, removed.error().to_string().data(), removed.error().to_string().size());
    return removed.ok() ? 0 : 1;
  });
  EXPECT_EQ(child->wait()->shell_code(), 0);
  EXPECT_FALSE(exists(path("t")));
}

class Locks : public TemporaryTest {
 protected:
  // Whether somebody waits for the lock of this file, by proc_locks(5).
  static bool is_waited_for(const std::string& path) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) return false;
    std::ifstream locks("/proc/locks");
    for (std::string line; std::getline(locks, line);) {
      if (line.find("->") != std::string::npos && line.find(cat(":", status.st_ino, " ")) != std::string::npos) {
        return true;
      }
    }
    return false;
  }
};

TEST_F(Locks, OneHolderAtATime) {
  Result<FileLock> held = FileLock::acquire(path("lock"));
  ASSERT_TRUE(held.ok());
  EXPECT_EQ(FileLock::try_acquire(path("lock"))->has_value(), false);
  {
    const FileLock gone = std::move(held).value();
  }
  EXPECT_EQ(FileLock::try_acquire(path("lock"))->has_value(), true);
}

TEST_F(Locks, OfARemovedFileIsNoLock) {
  std::optional<FileLock> held = *FileLock::acquire(path("lock"));
  std::atomic<bool> taken = false;
  std::thread waiter([&] {
    const Result<FileLock> lock = FileLock::acquire(path("lock"));
    taken = lock.ok() && !FileLock::try_acquire(path("lock"))->has_value();
  });
  while (!is_waited_for(path("lock"))) ::usleep(1000);
  ASSERT_EQ(::unlink(path("lock").c_str()), 0);
  held.reset();
  waiter.join();
  EXPECT_TRUE(taken);
}

TEST_F(Locks, OfAFolderThatIsGoneIsNone) {
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  std::optional<FileLock> held = *FileLock::acquire(path("folder/lock"));
  int code = 0;
  std::thread waiter([&] { code = FileLock::acquire(path("folder/lock")).error().code(); });
  while (!is_waited_for(path("folder/lock"))) ::usleep(1000);
  ASSERT_TRUE(remove_tree(path("folder")).ok());
  held.reset();
  waiter.join();
  EXPECT_EQ(code, ENOENT);
}

TEST_F(Locks, DoNotFollowSymlinks) {
  ASSERT_EQ(::symlink("elsewhere", path("lock").c_str()), 0);
  EXPECT_EQ(FileLock::acquire(path("lock")).error().code(), ELOOP);
  EXPECT_FALSE(exists(path("elsewhere")));
}

class Temporary : public TemporaryTest {};

TEST_F(Temporary, IsRemovedWithItsContentsUnlessKept) {
  std::string kept;
  {
    Result<TemporaryDir> gone = TemporaryDir::create(root(), "a-");
    write(gone->path() + "/f", "x");
    Result<TemporaryDir> stays = TemporaryDir::create(root(), "b-");
    EXPECT_EQ(mode_of(stays->path()), 0700u);
    kept = stays->path();
    stays->keep();
  }
  EXPECT_THAT(*list_dir(root()), ElementsAre(kept.substr(root().size() + 1)));
}

TEST(RandomHex, IsTwiceAsManyDigitsAndNeverTheSame) {
  EXPECT_THAT(random_hex(32), SizeIs(64));
  EXPECT_NE(random_hex(16), random_hex(16));
  EXPECT_EQ(random_hex(32).find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace moss::sys
