// What the probe says about the machine it runs on, and what follows from a version.
#include "moss/sys/host.hh"

#include <gmock/gmock.h>
#include <unistd.h>

namespace moss::sys {
namespace {

TEST(Host, IsProbedAsTheKernelSays) {
  const Result<Host> host = probe_host();
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->uid, ::geteuid());
  EXPECT_EQ(host->gid, ::getegid());
  EXPECT_GE(host->kernel, (KernelVersion{5, 12}));
}

TEST(Host, OverlayTakesLowerFoldersSinglySinceLinux68) {
  EXPECT_FALSE((Host{.kernel = {5, 15}}.has_overlay_lowerdir_append()));
  EXPECT_FALSE((Host{.kernel = {6, 7}}.has_overlay_lowerdir_append()));
  EXPECT_TRUE((Host{.kernel = {6, 8}}.has_overlay_lowerdir_append()));
  EXPECT_TRUE((Host{.kernel = {7, 0}}.has_overlay_lowerdir_append()));
}

TEST(Host, EveryCgroupModeHasAName) {
  EXPECT_STREQ(to_string(CgroupMode::none), "none");
  EXPECT_STREQ(to_string(CgroupMode::v1), "v1");
  EXPECT_STREQ(to_string(CgroupMode::hybrid), "hybrid");
  EXPECT_STREQ(to_string(CgroupMode::v2), "v2");
}

}  // namespace
}  // namespace moss::sys
