// Stored logins, as containers-auth.json(5) describes them.
#include "src/engine/images/credentials.hh"

#include "image_fixture.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using moss::test::succeeded;
using testing::ElementsAre;
using testing::HasSubstr;

std::string user_for(const std::string& file, const std::string& repository) {
  const auto entry = find_auth_entry(file, repository);
  EXPECT_TRUE(succeeded(entry));
  if (!entry.ok()) return "";
  return entry->credentials ? entry->credentials->user + ":" + entry->credentials->secret : "none";
}

TEST(Logins, TheLongestKeyThatLeadsThereIsTaken) {
  // "u1:host", "u2:org", "u3:hub"
  const std::string file = R"({"auths":{"quay.io":{"auth":"dTE6aG9zdA=="},"quay.io/org":{"auth":"dTI6b3Jn"},
                               "https://index.docker.io/v1/":{"auth":"dTM6aHVi"},"empty.io":{}}})";
  EXPECT_EQ(user_for(file, "quay.io/other/app"), "u1:host");
  EXPECT_EQ(user_for(file, "quay.io/org/app"), "u2:org");
  EXPECT_EQ(user_for(file, "quay.io/organisation/app"), "u1:host");
  EXPECT_EQ(user_for(file, "docker.io/library/alpine"), "u3:hub");
  EXPECT_EQ(user_for(file, "quay.io.evil.example/x"), "none");
  EXPECT_EQ(user_for(file, "empty.io/x"), "none");
  EXPECT_EQ(user_for("", "empty.io/x"), "none");
}

TEST(Logins, AnIdentityTokenComesBeforeAPassword) {
  EXPECT_EQ(user_for(R"({"auths":{"a.io":{"auth":"dTE6aG9zdA==","identitytoken":"t"}}})", "a.io/x"), "<token>:t");
}

TEST(Logins, AHelperIsNamedForOneRegistryOrForAll) {
  const std::string file = R"({"credHelpers":{"a.io":"one"},"credsStore":"all"})";
  EXPECT_EQ(find_auth_entry(file, "a.io/x")->helper, "one");
  EXPECT_TRUE(find_auth_entry(file, "a.io/x")->only_for_it);
  EXPECT_EQ(find_auth_entry(file, "b.io/x")->helper, "all");
  EXPECT_FALSE(find_auth_entry(file, "b.io/x")->only_for_it);
}

TEST(Logins, WhatIsNotOfTheFormatSaysSo) {
  EXPECT_THAT(error_of(find_auth_entry("[]", "a.io/x")), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(find_auth_entry(R"({"auths":[]})", "a.io/x")), HasSubstr("auths: expected an object"));
  EXPECT_THAT(error_of(find_auth_entry(R"({"auths":{"a.io":{"auth":"YWI="}}})", "a.io/x")),
              HasSubstr("the entry for a.io is not base64 of user:password"));
  EXPECT_THAT(error_of(parse_credentials("joe")), HasSubstr("expected USER:PASSWORD"));
}

TEST(Logins, KeysLeadFromTheRepositoryToItsHost) {
  EXPECT_THAT(auth_keys("a.io/b/c"), ElementsAre("a.io/b/c", "a.io/b", "a.io"));
}

TEST(LoginKeys, AreHostsOrRepositories) {
  EXPECT_EQ(login_key("https://quay.io/").value(), "quay.io");
  EXPECT_EQ(login_key("127.0.0.1:5000").value(), "127.0.0.1:5000");
  EXPECT_EQ(login_key("https://index.docker.io/v1/").value(), "docker.io");
  EXPECT_EQ(login_key("quay.io/org/app").value(), "quay.io/org/app");
  EXPECT_THAT(error_of(login_key("quay.io/org/app:1")), HasSubstr("without a tag"));
  EXPECT_THAT(error_of(login_key("bob@quay.io")), HasSubstr("is not a registry's name"));
}

}  // namespace

}  // namespace moss::engine
