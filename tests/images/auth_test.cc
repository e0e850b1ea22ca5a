// Challenges and tokens.
#include "src/engine/images/auth.hh"

#include "image_fixture.hh"
#include "moss/base/base64.hh"

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

TEST(TokenUrl, ALoginAsksForNothing) {
  const Challenge bearer{"bearer", {{"realm", "https://auth.io/t"}, {"service", "s"}}};
  EXPECT_EQ(token_url(bearer, "", false).value(), "https://auth.io/t?service=s");
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

TEST(Base64, GoesThereAndBack) {
  EXPECT_EQ(basic_authorization({"Aladdin", "open sesame"}), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  for (const char* text : {"", "a", "ab", "abc", "abcd"}) EXPECT_EQ(base64_decode(base64_encode(text)), text);
  EXPECT_EQ(base64_encode("a:b"), "YTpi");
  EXPECT_EQ(base64_decode("a b"), std::nullopt);
}

}  // namespace

}  // namespace moss::engine
