// Which ids a container gets. A caller that no machine knows has no subordinate ids anywhere.
#include <gmock/gmock.h>
#include <pwd.h>

#include "moss/sys/ids.hh"
#include "src/engine/containers/bundle.hh"
#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr sys::Host kUnknown{.uid = 1954321, .gid = 1954322, .kernel = {6, 8}};
constexpr sys::Host kRoot{.uid = 0, .gid = 0, .kernel = {6, 8}};

std::string chosen(const RunOptions& options, const sys::Host& host = kUnknown) {
  const Result<ChosenMap> map = choose_id_map(options, host);
  if (!map.ok()) return "error: " + map.error().to_string();
  if (!map->map) return "none";
  return cat(to_string(map->map->uids), " ", to_string(map->map->gids), map->keeps_id ? " keeps" : "");
}

std::string with_userns(const std::string& userns, const sys::Host& host = kUnknown) {
  RunOptions options;
  options.userns = userns;
  return chosen(options, host);
}

std::string with_uidmap(std::vector<std::string> uidmap, std::vector<std::string> gidmap = {},
                        const sys::Host& host = kUnknown) {
  RunOptions options;
  options.uidmap = std::move(uidmap);
  options.gidmap = std::move(gidmap);
  return chosen(options, host);
}

TEST(IdMapChoice, WithoutSubordinateIdsTheCallerIsRootAlone) {
  for (const char* userns : {"", "private", "host"})
    EXPECT_EQ(with_userns(userns), "0:1954321:1 0:1954322:1") << userns;
  EXPECT_THAT(choose_id_map({}, kUnknown)->notice, StartsWith("no subordinate ids for 1954321: one id only"));
}

TEST(IdMapChoice, KeepIdKeepsTheCallersOrTheGivenId) {
  EXPECT_EQ(with_userns("keep-id"), "1954321:1954321:1 1954322:1954322:1 keeps");
  EXPECT_EQ(with_userns("keep-id:uid=5"), "5:1954321:1 1954322:1954322:1 keeps");
  EXPECT_EQ(with_userns("keep-id:uid=5,gid=6"), "5:1954321:1 6:1954322:1 keeps");
}

TEST(IdMapChoice, KeepIdHasAGrammar) {
  for (const char* userns : {"keep-id:uid", "keep-id:uid=", "keep-id:uid=-1", "keep-id:uid=2147483648",
                             "keep-id:size=5", "keep-id:uid=5;gid=6", "keep-id:uid=5,"}) {
    EXPECT_EQ(with_userns(userns), cat("error: --userns ", userns, ": expected keep-id:uid=N,gid=N"));
  }
  EXPECT_EQ(with_userns("keep-id", kRoot), "error: --userns keep-id: root has no id to keep; run as an ordinary user");
}

TEST(IdMapChoice, UidmapCountsInTheIdsTheCallerHas) {
  // 0 is the caller; nothing else is theirs. One option alone serves for both kinds.
  EXPECT_EQ(with_uidmap({"5:0:1"}), "5:1954321:1 5:1954322:1");
  EXPECT_EQ(with_uidmap({"5:0"}, {"6:0:1"}), "5:1954321:1 6:1954322:1");
  EXPECT_EQ(with_uidmap({"0:1:1"}),
            "error: --uidmap: id 1 is not among yours (0 is you, 1 and up are your subordinate "
            "ids: 0:1954321:1)");
  EXPECT_EQ(with_uidmap({"0:0:2"}),
            "error: --uidmap: id 1 is not among yours (0 is you, 1 and up are your subordinate "
            "ids: 0:1954321:1)");
}

TEST(IdMapChoice, RootsUidmapIsTakenAtItsWord) {
  EXPECT_EQ(with_uidmap({"0:100000:10", "10:5:1,11:6:1"}, {"0:7:1"}, kRoot), "0:100000:10,10:5:1,11:6:1 0:7:1");
  EXPECT_EQ(with_userns("host", kRoot), "none");
}

TEST(IdMapChoice, WrongMapsAreRefused) {
  for (const char* map : {"x", "0", "0:1:2:3", "0:0:0", "-1:0:1", "0:0:x", "0:4294967296:1", "@0:0:1"}) {
    EXPECT_EQ(with_uidmap({map}), cat("error: --uidmap ", map, ": expected CONTAINER-ID:HOST-ID:COUNT"));
  }
  RunOptions both;
  both.userns = "keep-id";
  both.uidmap = {"0:0:1"};
  EXPECT_EQ(chosen(both), "error: --userns keep-id and --uidmap or --gidmap exclude each other");
  EXPECT_THAT(with_userns("container:x"), HasSubstr("--userns container:x is not supported"));
}

// Somebody of this machine who has subordinate ids, and the helper to use them.
std::optional<sys::Host> rich_user() {
  const Result<std::string> text = sys::read_file("/etc/subuid", 1u << 20);
  if (!text.ok() || !sys::find_program("newuidmap") || !sys::find_program("newgidmap")) return std::nullopt;
  for (const std::string_view line : split(*text, '\n')) {
    const std::string name(cut(line, ':').first);
    const passwd* entry = ::getpwnam(name.c_str());
    if (entry == nullptr || entry->pw_uid == 0) continue;
    const Result<sys::SubordinateIds> ids = sys::read_subordinate_ids(name, entry->pw_uid);
    if (ids.ok() && !ids->empty()) return sys::Host{.uid = entry->pw_uid, .gid = entry->pw_gid, .kernel = {6, 8}};
  }
  return std::nullopt;
}

TEST(IdMapChoice, KeepIdFillsEverythingAroundTheCallerWithSubordinateIds) {
  const std::optional<sys::Host> host = rich_user();
  if (!host) GTEST_SKIP() << "no user of this machine has subordinate ids, or there is no newuidmap";
  for (const char* userns : {"keep-id", "keep-id:uid=0,gid=0", "keep-id:uid=70000,gid=5"}) {
    RunOptions options;
    options.userns = userns;
    const Result<ChosenMap> map = choose_id_map(options, *host);
    ASSERT_TRUE(map.ok()) << error_of(map);
    uint64_t total = 0;
    uint32_t own = 0;
    for (const IdRange& range : map->map->uids) {
      if (range.outside == host->uid) {
        ++own;
        EXPECT_EQ(range.count, 1u);
      }
      total += range.count;
    }
    EXPECT_EQ(own, 1u) << userns;
    uint64_t granted = 1;
    const sys::SubordinateIds ids = *sys::read_subordinate_ids(sys::user_name(host->uid), host->uid);
    for (const IdRange& grant : ids.uids) granted += grant.count;
    EXPECT_EQ(total, granted) << userns;
    // In order and never twice.
    for (size_t i = 1; i < map->map->uids.size(); ++i) {
      EXPECT_GE(map->map->uids[i].inside, map->map->uids[i - 1].inside + map->map->uids[i - 1].count) << userns;
    }
  }
}

TEST(RemainingGroups, AreDroppedWhereMoreThanOneIdIsMapped) {
  EXPECT_THAT(*check_remaining_groups({{{0, 1, 2}}, {{0, 1, 2}}}, false), ::testing::IsEmpty());
  EXPECT_TRUE(check_remaining_groups({{{0, 1, 1}}, {{0, 1, 1}}}, true).ok());
}

}  // namespace
}  // namespace moss::engine
