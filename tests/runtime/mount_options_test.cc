// The mount option table.
#include "runtime/plan/mount_options.hh"

#include <gmock/gmock.h>
#include <sys/mount.h>

#include <algorithm>

namespace moss::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Case {
  const char* option;
  uint64_t set;
  uint64_t clear;
};

TEST(MountOptions, EveryAttributeSetsAndClearsItsFlag) {
  const Case cases[] = {
      {"ro", MOUNT_ATTR_RDONLY, 0},
      {"rw", 0, MOUNT_ATTR_RDONLY},
      {"nosuid", MOUNT_ATTR_NOSUID, 0},
      {"suid", 0, MOUNT_ATTR_NOSUID},
      {"nodev", MOUNT_ATTR_NODEV, 0},
      {"dev", 0, MOUNT_ATTR_NODEV},
      {"noexec", MOUNT_ATTR_NOEXEC, 0},
      {"exec", 0, MOUNT_ATTR_NOEXEC},
      {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
      {"atime", 0, MOUNT_ATTR__ATIME},
      {"relatime", 0, MOUNT_ATTR__ATIME},
      {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
      {"nostrictatime", 0, MOUNT_ATTR__ATIME},
      {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
      {"diratime", 0, MOUNT_ATTR_NODIRATIME},
      {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
      {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
  };
  for (const auto& [option, set, clear] : cases) {
    const MountOptions parsed = parse_mount_options({option});
    EXPECT_EQ(parsed.set, set) << option;
    // What mount_setattr(2) is told to clear may include what it is told to set again: the time field.
    EXPECT_EQ(parsed.clear | (set & MOUNT_ATTR__ATIME), clear) << option;
    EXPECT_THAT(parsed.data, IsEmpty()) << option;
    EXPECT_EQ(parsed.set_below | parsed.clear_below, 0u) << option;
    const MountOptions everywhere = parse_mount_options({std::string("r") + option});
    EXPECT_EQ(everywhere.set_below, set) << option;
    EXPECT_EQ(everywhere.clear_below | (set & MOUNT_ATTR__ATIME), clear) << option;
    EXPECT_EQ(everywhere.set | everywhere.clear, 0u) << option;
    EXPECT_THAT(everywhere.data, IsEmpty()) << option;
  }
}

TEST(MountOptions, ATimeOptionClearsTheWholeTimeField) {
  // mount_setattr(2) answers EINVAL where only a part of the field is cleared.
  for (const char* option : {"noatime", "strictatime", "relatime"}) {
    EXPECT_EQ(parse_mount_options({option}).clear & MOUNT_ATTR__ATIME, MOUNT_ATTR__ATIME) << option;
  }
}

TEST(MountOptions, TheLastWordOnAFlagCounts) {
  const MountOptions writable = parse_mount_options({"ro", "nosuid", "rw"});
  EXPECT_EQ(writable.set, uint64_t{MOUNT_ATTR_NOSUID});
  EXPECT_EQ(writable.clear, uint64_t{MOUNT_ATTR_RDONLY});
  const MountOptions readonly = parse_mount_options({"rw", "ro"});
  EXPECT_EQ(readonly.set, uint64_t{MOUNT_ATTR_RDONLY});
  EXPECT_EQ(readonly.clear, 0u);
  EXPECT_EQ(parse_mount_options({"noatime", "strictatime"}).set, uint64_t{MOUNT_ATTR_STRICTATIME});
  EXPECT_EQ(parse_mount_options({"noatime", "relatime"}).set, 0u);
}

TEST(MountOptions, TheRecursiveFormsReachWhatIsMountedBelow) {
  const MountOptions parsed = parse_mount_options({"rro", "rnosuid", "rw", "nodev"});
  EXPECT_EQ(parsed.set_below, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  // Those without the r are for the mount alone.
  EXPECT_EQ(parsed.set, uint64_t{MOUNT_ATTR_NODEV});
  EXPECT_EQ(parsed.clear, uint64_t{MOUNT_ATTR_RDONLY});
  // "relatime" is a word of its own and not "elatime", recursively.
  EXPECT_EQ(parse_mount_options({"relatime"}).clear_below, 0u);
}

TEST(MountOptions, SomeWordsAreNoFilesystems) {
  const MountOptions parsed = parse_mount_options({"defaults", "silent", "loud", "remount", "ridmap"});
  EXPECT_THAT(parsed.data, IsEmpty());
  EXPECT_TRUE(parsed.remount && parsed.idmap && parsed.idmap_recursive);
  EXPECT_FALSE(parse_mount_options({"idmap"}).idmap_recursive);
}

TEST(MountOptions, EveryKnownWordIsListedOnce) {
  std::vector<std::string> names = known_mount_options();
  EXPECT_THAT(names,
              ::testing::IsSupersetOf({"ro", "rro", "rnosymfollow", "runbindable", "tmpcopyup", "idmap", "ridmap",
                                       "remount", "sync", "lazytime", "noiversion", "silent", "defaults"}));
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(MountOptions, BindAndPropagation) {
  EXPECT_TRUE(parse_mount_options({"bind"}).bind);
  EXPECT_FALSE(parse_mount_options({"bind"}).recursive_bind);
  EXPECT_TRUE(parse_mount_options({"rbind"}).recursive_bind);
  const std::pair<const char*, uint64_t> types[] = {
      {"private", MS_PRIVATE}, {"slave", MS_SLAVE}, {"shared", MS_SHARED}, {"unbindable", MS_UNBINDABLE}};
  for (const auto& [name, type] : types) {
    EXPECT_EQ(parse_mount_options({name}).propagation, type) << name;
    EXPECT_FALSE(parse_mount_options({name}).propagation_recursive) << name;
    EXPECT_EQ(parse_mount_options({std::string("r") + name}).propagation, type) << name;
    EXPECT_TRUE(parse_mount_options({std::string("r") + name}).propagation_recursive) << name;
  }
}

TEST(MountOptions, IdmapMayBringItsRanges) {
  const MountOptions options = parse_mount_options({"idmap=uids=0-1-10#10-11-10;gids=0-100-10"});
  EXPECT_TRUE(options.idmap);
  EXPECT_FALSE(options.idmap_recursive);
  EXPECT_THAT(options.data, ElementsAre());
  const Result<IdMap> map = parse_idmap_ranges(options.idmap_ranges, {});
  ASSERT_TRUE(map.ok()) << map.error().to_string();
  EXPECT_THAT(map->uids, ElementsAre(IdRange{0, 1, 10}, IdRange{10, 11, 10}));
  EXPECT_THAT(map->gids, ElementsAre(IdRange{0, 100, 10}));
  EXPECT_TRUE(parse_mount_options({"ridmap=uids=0-1-1;gids=0-1-1"}).idmap_recursive);
}

TEST(MountOptions, IdmapRangesMayBeInIdsOfTheContainer) {
  const IdMap container{.uids = {{0, 0, 1}, {1, 2, 1000}}, .gids = {{0, 500, 10}}};
  const Result<IdMap> map = parse_idmap_ranges("uids=@1-3-10;gids=@0-5-5", container);
  ASSERT_TRUE(map.ok()) << map.error().to_string();
  EXPECT_THAT(map->uids, ElementsAre(IdRange{1, 4, 10}));
  EXPECT_THAT(map->gids, ElementsAre(IdRange{0, 505, 5}));
  EXPECT_FALSE(parse_idmap_ranges("uids=@1-3-1000;gids=@0-5-5", container).ok()) << "past the end of a range";
  EXPECT_FALSE(parse_idmap_ranges("uids=@1-3-10;gids=@0-50-5", container).ok()) << "in no range";
}

TEST(MountOptions, IdmapRangesInAnotherFormAreErrors) {
  for (const char* wrong :
       {"", "uids", "uids=", "uids=0-1-1", "gids=0-1-1", "uids=0-1;gids=0-1-1", "uids=0-1-1;x=0-1-1",
        "uids=0-1-1-1;gids=0-1-1", "uids=0--1;gids=0-1-1", "uids=0-1-1;gids=0-1-1;uids=0-1-1", "uids=0-1-1#;gids=0-1-1",
        "uids=0-1-4294967296;gids=0-1-1"}) {
    EXPECT_FALSE(parse_idmap_ranges(wrong, {}).ok()) << wrong;
  }
}

TEST(MountOptions, WhatIsUnknownIsTheFilesystems) {
  EXPECT_THAT(parse_mount_options({"mode=755", "ro", "size=1k", "userxattr", "rubbish", "", "r"}).data,
              ElementsAre("mode=755", "size=1k", "userxattr", "rubbish", "", "r"));
  EXPECT_TRUE(parse_mount_options({"tmpcopyup"}).copy_up);
}

}  // namespace
}  // namespace moss::runtime
