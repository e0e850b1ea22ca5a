// Subordinate ids and mapped work.
#include "moss/sys/ids.hh"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "temporary.hh"

namespace moss::sys {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SubordinateIds, AreTheUsersLinesByNameOrNumber) {
  EXPECT_THAT(parse_subordinate_ids("u1:100000:65536\nu2:200000:65536\n1001:300000:10\n", "u1", 1001),
              ElementsAre(IdRange{0, 100000, 65536}, IdRange{0, 300000, 10}));
}

TEST(SubordinateIds, LinesThatAreNotWellFormedGrantNothing) {
  for (const char* line : {"u1", "u1:1", "u1:1:2:3", "u1:x:1", "u1:1:x", "u1:1:0", "u1:-1:5", "u1: 1:5",
                           "u1:4294967295:1", "u1:4294967290:6", "u1:4294967296:1", "u10:1:5", "#u1:1:5", ""}) {
    EXPECT_THAT(parse_subordinate_ids(line, "u1", 1001), IsEmpty()) << line;
  }
  EXPECT_THAT(parse_subordinate_ids("  u1:4294967290:5 \r\n", "u1", 1001), ElementsAre(IdRange{0, 4294967290, 5}));
}

TEST(IdRanges, RootInsideIsTheCallerOutside) {
  const IdRange grant[] = {{.outside = 100000, .count = 65536}};
  EXPECT_THAT(id_ranges(1001, grant), ElementsAre(IdRange{0, 1001, 1}, IdRange{1, 100000, 65536}));
}

TEST(IdRanges, SeveralGrantsFollowWithoutGaps) {
  const IdRange grants[] = {{.outside = 100000, .count = 10}, {.outside = 500000, .count = 20}};
  EXPECT_THAT(id_ranges(1001, grants),
              ElementsAre(IdRange{0, 1001, 1}, IdRange{1, 100000, 10}, IdRange{11, 500000, 20}));
  EXPECT_THAT(id_ranges(7, {}), ElementsAre(IdRange{0, 7, 1}));
}

IdMap own_id_only() { return {{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}}; }

class UserNamespace : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    const Result<int> works = run_in_user_namespace(own_id_only(), [] { return 0; });
    if (!works.ok()) GTEST_SKIP() << "user namespaces are closed here: " << works.error().to_string();
  }
};

TEST_F(UserNamespace, TheBodyIsRootInsideAndItsExitCodeComesBack) {
  EXPECT_EQ(*run_in_user_namespace(own_id_only(), [] { return ::getuid() == 0 && ::getgid() == 0 ? 42 : 1; }), 42);
}

TEST_F(UserNamespace, FilesMadeInsideBelongToTheCallerOutside) {
  const std::string file = path("f");
  EXPECT_EQ(*run_in_user_namespace(own_id_only(), [&] { return create_file(file, "x").ok() ? 0 : 1; }), 0);
  struct stat status;
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, ::geteuid());
}

TEST_F(UserNamespace, ABodyThatIsKilledIsAnError) {
  const Result<int> killed = run_in_user_namespace(own_id_only(), [] { return ::raise(SIGKILL); });
  EXPECT_EQ(error_of(killed), "work in a user namespace was killed by signal 9");
}

TEST_F(UserNamespace, AChildThatIsNotLetGoDoesNothing) {
  const std::string before = path("before"), after = path("after");
  {
    Result<NamespaceChild> child = NamespaceChild::start(
        own_id_only(), [&] { return create_file(after, "x").ok() ? 0 : 1; }, [&] { (void)create_file(before, "x"); });
    ASSERT_TRUE(child.ok());
    EXPECT_FALSE(child->runs());
  }
  EXPECT_FALSE(exists(before));
  EXPECT_FALSE(exists(after));
}

TEST_F(UserNamespace, AChildWorksWhileItsIdsAreMapped) {
  const std::string before = path("before"), after = path("after");
  Result<NamespaceChild> child = NamespaceChild::start(
      own_id_only(), [&] { return exists(before) && create_file(after, "x").ok() ? 7 : 1; },
      [&] { (void)::mkdir(before.c_str(), 0700); });
  ASSERT_TRUE(child.ok());
  ASSERT_TRUE(child->begin_mapping().ok());
  ASSERT_TRUE(child->begin_mapping().ok());
  EXPECT_FALSE(child->runs());
  ASSERT_TRUE(child->run().ok());
  ASSERT_TRUE(child->run().ok());
  EXPECT_TRUE(child->runs());
  EXPECT_EQ(std::move(*child).take().wait()->code, 7);
  EXPECT_TRUE(exists(after));
}

TEST_F(UserNamespace, SubordinateIdsAreThereWhereTheUserHasThem) {
  const Result<SubordinateIds> ids = read_subordinate_ids(user_name(::geteuid()), ::geteuid());
  ASSERT_TRUE(ids.ok());
  if (ids->empty() || !find_program("newuidmap")) GTEST_SKIP() << "this user has no subordinate ids, or no newuidmap";
  const IdMap map{id_ranges(::geteuid(), ids->uids), id_ranges(::getegid(), ids->gids)};
  const std::string file = path("f");
  ASSERT_EQ(*run_in_user_namespace(map,
                                   [&] {
                                     return create_file(file, "x").ok() && ::chown(file.c_str(), 1, 1) == 0 &&
                                                    ::getgroups(0, nullptr) == 0
                                                ? 0
                                                : 1;
                                   }),
            0);
  struct stat status;
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, ids->uids.front().outside);
  EXPECT_EQ(status.st_gid, ids->gids.front().outside);
}

TEST_F(UserNamespace, AMapOfOthersIdsIsRefusedInWords) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may map any id";
  const Result<int> refused = run_in_user_namespace({{{0, 0, 1}}, {{0, 0, 1}}}, [] { return 0; });
  EXPECT_THAT(error_of(refused), HasSubstr("map one id: write /proc/"));
}

}  // namespace
}  // namespace moss::sys
