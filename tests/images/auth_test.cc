// Challenges, tokens, stored credentials.
#include "src/engine/images/auth.hh"

#include "image_fixture.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using moss::test::succeeded;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(Challenges, OneHeaderMayHoldSeveral) {
  EXPECT_THAT(
      parse_challenges(R"(Bearer realm="https://auth.example/token",service="reg, \"one\"", Basic realm=plain)"),
      ElementsAre(Challenge{"bearer", {{"realm", "https://auth.example/token"}, {"service", "reg, \"one\""}}},
                  Challenge{"basic", {{"realm", "plain"}}}));
}

TEST(Challenges, NamesAreReadInAnyCaseAndWithBlanks) {
  EXPECT_THAT(parse_challenges("  bEARER  Realm = \"https://a/\" , SCOPE=\"x\""),
              ElementsAre(Challenge{"bearer", {{"realm", "https://a/"}, {"scope", "x"}}}));
}

TEST(Challenges, NonsenseGivesNone) {
  EXPECT_THAT(parse_challenges(""), IsEmpty());
  EXPECT_THAT(parse_challenges("=\"x\""), IsEmpty());
  EXPECT_THAT(parse_challenges("realm=\"x\""), IsEmpty());
  EXPECT_THAT(parse_challenges("Bearer realm=\"never closed"),
              ElementsAre(Challenge{"bearer", {{"realm", "never closed"}}}));
}

TEST(TokenUrl, AsksForServiceAndScope) {
  const Challenge bearer{"bearer", {{"realm", "https://auth.example/token?a=b"}, {"service", "my registry"}}};
  const auto url = token_url(bearer, "repository:a/b:pull", false);
  ASSERT_TRUE(succeeded(url));
  EXPECT_EQ(*url, "https://auth.example/token?a=b&service=my%20registry&scope=repository%3Aa%2Fb%3Apull");
}

TEST(TokenUrl, NothingIsSentOverPlainHttp) {
  const Challenge bearer{"bearer", {{"realm", "http://auth.example/token"}}};
  EXPECT_THAT(error_of(token_url(bearer, "s", false)), HasSubstr("which is not https"));
  EXPECT_TRUE(succeeded(token_url(bearer, "s", true)));
  EXPECT_TRUE(succeeded(token_url({"bearer", {{"realm", "http://127.0.0.1:5001/token"}}}, "s", false)));
  for (const char* elsewhere :
       {"http://127.0.0.1:80@auth.example/", "http://127.0.0.1.auth.example/", "http:///127.0.0.1"}) {
    EXPECT_THAT(error_of(token_url({"bearer", {{"realm", elsewhere}}}, "s", false)), HasSubstr("which is not https"));
  }
  EXPECT_THAT(error_of(token_url({"bearer", {{"realm", "file:///etc/passwd"}}}, "s", true)),
              HasSubstr("which is not https"));
}

TEST(Token, IsReadUnderBothNames) {
  EXPECT_EQ(parse_token(R"({"token":"abc"})").value(), "abc");
  EXPECT_EQ(parse_token(R"({"access_token":"def","expires_in":60})").value(), "def");
}

TEST(Token, NeverEndsAHeaderLine) {
  EXPECT_EQ(error_of(parse_token(R"({"token":"a\r\nX-Evil: 1"})")), "the token server's answer holds no token");
  EXPECT_EQ(error_of(parse_token(R"({"token":7})")), "the token server's answer holds no token");
  EXPECT_EQ(error_of(parse_token("<html>")), "the token server's answer holds no token");
}

TEST(Credentials, TheLongestKeyThatLeadsThereIsTaken) {
  // "u1:host", "u2:org", "u3:hub"
  const std::string file = R"({"auths":{"quay.io":{"auth":"dTE6aG9zdA=="},"quay.io/org":{"auth":"dTI6b3Jn"},
                               "https://index.docker.io/v1/":{"auth":"dTM6aHVi"},"empty.io":{}}})";
  EXPECT_EQ(find_credentials(file, "quay.io/other/app").value(), "u1:host");
  EXPECT_EQ(find_credentials(file, "quay.io/org/app").value(), "u2:org");
  EXPECT_EQ(find_credentials(file, "quay.io/organisation/app").value(), "u1:host");
  EXPECT_EQ(find_credentials(file, "docker.io/library/alpine").value(), "u3:hub");
  EXPECT_EQ(find_credentials(file, "quay.io.evil.example/x").value(), std::nullopt);
  EXPECT_EQ(find_credentials(file, "empty.io/x").value(), std::nullopt);
}

TEST(Credentials, BecomeABasicAuthorization) {
  EXPECT_EQ(basic_authorization("Aladdin:open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  EXPECT_EQ(basic_authorization("a:bc"), "Basic YTpiYw==");
  EXPECT_EQ(basic_authorization("a:b"), "Basic YTpi");
}

}  // namespace

}  // namespace moss::engine
