// /proc/self/mountinfo and /proc/self/cgroup of several hosts.
#include "runtime/cgroup/mountinfo.hh"

#include <gmock/gmock.h>

namespace moss::runtime {
namespace {

std::string text(const CgroupMounts& mounts) {
  std::string out;
  for (const CgroupTree& tree : mounts.v1) out += cat(tree.key, ": ", tree.mount, ' ', tree.own, '\n');
  if (mounts.v2) out += cat("v2: ", mounts.v2->mount, ' ', mounts.v2->own, '\n');
  return out;
}

TEST(CgroupMounts, OfAUnifiedHost) {
  EXPECT_EQ(text(parse_cgroup_mounts("24 1 8:1 / / rw shared:1 - ext4 /dev/root rw\n"
                                     "35 23 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
                                     "0::/user.slice/user-1000.slice/session-2.scope\n")),
            "v2: /sys/fs/cgroup /user.slice/user-1000.slice/session-2.scope\n");
}

TEST(CgroupMounts, OfAHybridHost) {
  EXPECT_EQ(
      text(parse_cgroup_mounts("36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw shared:3 - cgroup cgroup rw,cpu,cpuacct\n"
                               "37 31 0:34 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
                               "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
                               "9:name=systemd:/a\n3:cpu,cpuacct:/b\n4:memory:/c\n0::/\n")),
      "cpu,cpuacct: /sys/fs/cgroup/cpu,cpuacct /b\n"
      "name=systemd: /sys/fs/cgroup/systemd /a\n"
      "v2: /sys/fs/cgroup/unified /\n");
}

TEST(CgroupMounts, APartOfATreeIsCountedFromItsRoot) {
  EXPECT_EQ(text(parse_cgroup_mounts("36 31 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                                     "4:memory:/docker/abc/x\n")),
            "memory: /sys/fs/cgroup/memory /x\n");
  EXPECT_EQ(text(parse_cgroup_mounts("36 31 0:33 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
                                     "4:memory:/docker/abcd\n")),
            "memory: /sys/fs/cgroup/memory /\n");
}

TEST(CgroupMounts, TheWholeTreeAtTheUsualPlaceIsPreferred) {
  EXPECT_EQ(text(parse_cgroup_mounts("30 1 0:33 / /mnt/other rw - cgroup2 cgroup2 rw\n"
                                     "31 1 0:33 /a /sys/fs/cgroup/part rw - cgroup2 cgroup2 rw\n"
                                     "32 1 0:33 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                     "0::/a/b\n")),
            "v2: /sys/fs/cgroup /a/b\n");
}

TEST(CgroupMounts, ALaterMountCoversAnEarlier) {
  EXPECT_EQ(text(parse_cgroup_mounts("32 1 0:33 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
                                     "33 1 0:33 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
                                     "0::/a/b\n")),
            "v2: /sys/fs/cgroup /b\n");
}

TEST(CgroupMounts, SpacesAreEscaped) {
  EXPECT_EQ(text(parse_cgroup_mounts("32 1 0:33 / /mnt/a\\040b rw - cgroup2 cgroup2 rw\n", "0::/\n")),
            "v2: /mnt/a b /\n");
}

TEST(CgroupMounts, NoneIsNone) {
  EXPECT_EQ(text(parse_cgroup_mounts("24 1 8:1 / / rw shared:1 - ext4 /dev/root rw\n", "")), "");
  EXPECT_EQ(text(parse_cgroup_mounts("garbage\n - \n1 2 3 - cgroup2\n", "0::/\nx\n")), "");
}

TEST(CgroupPaths, AreCleaned) {
  EXPECT_EQ(clean_cgroup_path("a//b/./c/").value(), "/a/b/c");
  EXPECT_EQ(clean_cgroup_path("/").value(), "/");
  EXPECT_EQ(clean_cgroup_path("a/../b").error().to_string(), "cgroup path a/../b: it may not have \"..\" in it");
  EXPECT_EQ(clean_cgroup_path("..").error().code(), 0);
  EXPECT_TRUE(clean_cgroup_path("a..b").ok());
}

TEST(CgroupPaths, AreWithinByComponents) {
  EXPECT_TRUE(is_within("/a/b", "/a"));
  EXPECT_TRUE(is_within("/a", "/a"));
  EXPECT_TRUE(is_within("/a", "/"));
  EXPECT_FALSE(is_within("/ab", "/a"));
  EXPECT_FALSE(is_within("/", "/a"));
}

}  // namespace
}  // namespace moss::runtime
