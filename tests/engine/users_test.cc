// Who the workload runs as: the grammar of --user, and an image's own files, which may say anything.
#include "src/engine/containers/users.hh"

#include <gmock/gmock.h>

namespace moss::engine {
namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/sh\n"
    "# a comment\n"
    "daemon:x:1:1::/usr/sbin:/bin/false\n"
    "me:x:1000:100:Me:/home/me:/bin/sh\n"
    "7:x:500:500::/home/seven:/bin/sh\n"
    "high:x:2147483648:1::/:/bin/sh\n"
    "highgroup:x:5:4294967295::/:/bin/sh\n"
    "homeless:x:6:6:::/bin/sh\n"
    "odd:x:8:8::/a\x1b[2J:/bin/sh\n"
    "short:x:9\n";
constexpr std::string_view kGroup =
    "root:x:0:\nusers:x:100:me\nwheel:x:10:root,me\naudio:x:11:me,root\nhigh:x:4294967295:me\nbad\n8:x:800:\n";

// "uid:gid groups home", or the error.
std::string resolved(std::string_view spec, const std::vector<std::string>& group_add = {}) {
  const Result<ResolvedUser> user = resolve_user(spec, kPasswd, kGroup, group_add);
  if (!user.ok()) return "error: " + user.error().to_string();
  std::string out = cat(user->uid, ":", user->gid);
  for (const uint32_t gid : user->groups) out += cat(" ", gid);
  return cat(out, " ", user->home);
}

TEST(ResolveUser, NothingMeansRootWithItsGroups) { EXPECT_EQ(resolved(""), "0:0 10 11 /root"); }

TEST(ResolveUser, ANameBringsItsIdsGroupsAndHome) {
  EXPECT_EQ(resolved("me"), "1000:100 10 11 /home/me");
  EXPECT_EQ(resolved("daemon"), "1:1 /usr/sbin");
}

TEST(ResolveUser, ANumberIsLookedUpToo) {
  EXPECT_EQ(resolved("1000"), "1000:100 10 11 /home/me");
  EXPECT_EQ(resolved("4242"), "4242:0 /");
}

TEST(ResolveUser, DigitsAreANumberAlsoWhereAUserHasThatName) {
  // CVE-2016-3697: an image that names a user "7" does not decide what -u 7 means.
  EXPECT_EQ(resolved("7"), "7:0 /");
  EXPECT_EQ(resolved("7:8"), "7:8 /");
}

TEST(ResolveUser, AGroupGivenReplacesAllOthers) {
  EXPECT_EQ(resolved("me:wheel"), "1000:10 /home/me");
  EXPECT_EQ(resolved("me:0"), "1000:0 /home/me");
  EXPECT_EQ(resolved("1:2"), "1:2 /usr/sbin");
}

TEST(ResolveUser, GroupsAreAddedOnceByNameOrNumber) {
  EXPECT_EQ(resolved("daemon", {"wheel", "77", "10"}), "1:1 10 77 /usr/sbin");
  EXPECT_EQ(resolved("me", {"audio"}), "1000:100 10 11 /home/me");
}

TEST(ResolveUser, HalfASpecificationIsRefused) {
  // CVE-2026-30892: what cannot be read must not end up as root.
  EXPECT_EQ(resolved("1:"), "error: \"\" is no group: give a name or a number");
  EXPECT_EQ(resolved(":1"), "error: user \":1\": the name before \":\" is missing");
  EXPECT_EQ(resolved(":"), "error: user \":\": the name before \":\" is missing");
  EXPECT_EQ(resolved("1:2:3"), "error: \"2:3\" is no group: give a name or a number");
}

TEST(ResolveUser, AlmostNumbersAreNeitherNumbersNorNames) {
  for (const char* spec : {"+1", "-1", "0x1", "1 ", " 1", "1e3", "0b1", "1\n", "\n", " ", "root ", "ro ot", "a/b"}) {
    EXPECT_EQ(resolved(spec), cat("error: \"", printable(spec), "\" is no user: give a name or a number"));
    EXPECT_EQ(resolved(cat("me:", spec)), cat("error: \"", printable(spec), "\" is no group: give a name or a number"));
  }
  EXPECT_EQ(resolved(std::string_view("1\0", 2)), "error: \"1\\x00\" is no user: give a name or a number");
}

TEST(ResolveUser, IdsAbove2To31AreRefusedWhereverTheyComeFrom) {
  // CVE-2024-40635: kept in an int they become root.
  for (const char* id : {"2147483648", "4294967295", "4294967296", "18446744073709551616"}) {
    EXPECT_EQ(resolved(id), cat("error: user ", id, ": ids go from 0 to 2147483647"));
    EXPECT_EQ(resolved(cat("1:", id)), cat("error: group ", id, ": ids go from 0 to 2147483647"));
    EXPECT_EQ(resolved("me", {id}), cat("error: group ", id, ": ids go from 0 to 2147483647"));
  }
  EXPECT_EQ(resolved("2147483647:2147483647"), "2147483647:2147483647 /");
  EXPECT_EQ(resolved("high"), "error: user high: ids go from 0 to 2147483647");
  EXPECT_EQ(resolved("highgroup"), "error: user highgroup: ids go from 0 to 2147483647");
  EXPECT_EQ(resolved("me:high"), "error: group high: ids go from 0 to 2147483647");
  EXPECT_EQ(resolved("me", {"high"}), "error: group high: ids go from 0 to 2147483647");
}

TEST(ResolveUser, UnknownNamesAreErrors) {
  EXPECT_EQ(resolved("nobody"), "error: no user nobody in the container's /etc/passwd");
  EXPECT_EQ(resolved("short"), "error: no user short in the container's /etc/passwd");
  EXPECT_EQ(resolved("me:nogroup"), "error: no group nogroup in the container's /etc/group");
  EXPECT_EQ(resolved("me", {"nogroup"}), "error: no group nogroup in the container's /etc/group");
}

TEST(ResolveUser, AHomeThatIsNoPlainAbsolutePathIsTheRoot) {
  EXPECT_EQ(resolved("homeless"), "6:6 /");
  EXPECT_EQ(resolved("odd"), "8:8 /");
}

TEST(ResolveUser, SaysWhatTheFilesKnow) {
  const ResolvedUser known = *resolve_user("me", kPasswd, kGroup, {});
  EXPECT_TRUE(known.in_passwd);
  EXPECT_TRUE(known.in_group);
  const ResolvedUser unknown = *resolve_user("4242:4242", kPasswd, kGroup, {});
  EXPECT_FALSE(unknown.in_passwd);
  EXPECT_FALSE(unknown.in_group);
  const ResolvedUser without_files = *resolve_user("", "", "", {});
  EXPECT_EQ(without_files.uid, 0u);
  EXPECT_FALSE(without_files.in_passwd);
}

}  // namespace
}  // namespace moss::engine
