// Times as people and files write them.
#include "moss/base/time.hh"

#include <gmock/gmock.h>
#include <time.h>

#include <cstdlib>

namespace moss {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(Now, IsRfc3339InUtcWithAsManyDigitsAsAskedFor) {
  constexpr const char* kSeconds = "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]";
  EXPECT_THAT(now_rfc3339(), MatchesRegex(std::string(kSeconds) + "\\.[0-9]{9}Z"));
  EXPECT_THAT(now_rfc3339(6), MatchesRegex(std::string(kSeconds) + "\\.[0-9]{6}Z"));
  EXPECT_THAT(now_rfc3339(0), MatchesRegex(std::string(kSeconds) + "Z"));
  EXPECT_LE(std::abs(*epoch_of(now_rfc3339()) - ::time(nullptr)), 1);
}

TEST(EpochOf, KnowsOffsets) {
  EXPECT_EQ(epoch_of("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(epoch_of("2026-11-23T01:02:03.999Z"), 1795395723);
  EXPECT_EQ(epoch_of("2026-11-23T03:02:03+02:00"), 1795395723);
  EXPECT_EQ(epoch_of("2026-11-22T23:32:03-01:30"), 1795395723);
  for (const char* text :
       {"", "2026-11-23", "2026-13-23T01:02:03Z", "2026-11-23T01:02:03+2", "2026-11-23T01:02:03Zx"}) {
    EXPECT_EQ(epoch_of(text), std::nullopt) << text;
  }
}

TEST(FractionOf, EndsWithoutZeros) {
  EXPECT_EQ(fraction_of("2026-11-23T01:02:03.0500Z"), "05");
  EXPECT_EQ(fraction_of("2026-11-23T01:02:03.000+01:00"), "");
  EXPECT_EQ(fraction_of("2026-11-23T01:02:03Z"), "");
}

TEST(ParseDuration, TakesWhatGoWritesAndDays) {
  EXPECT_EQ(parse_duration_ms("1h30m"), 5'400'000);
  EXPECT_EQ(parse_duration_ms("2.5s"), 2500);
  EXPECT_EQ(parse_duration_ms("500ms"), 500);
  EXPECT_EQ(parse_duration_ms("0.29s"), 290);
  EXPECT_EQ(parse_duration_ms("2d"), 172'800'000);
  for (const char* text : {"", "5", "s", "-1s", "1 s", "1x", "5m3", "1e30h", "infs"}) {
    EXPECT_EQ(parse_duration_ms(text), std::nullopt) << text;
  }
}

TEST(ParseMoment, ComparesAsTextWithWhatNowGives) {
  const auto moment = [](std::string_view text) {
    const Result<std::string> parsed = parse_moment(text);
    return parsed.ok() ? *parsed : parsed.error().to_string();
  };
  EXPECT_EQ(moment("1795395723"), "2026-11-23T01:02:03");
  EXPECT_EQ(moment("-1"), "1969-12-31T23:59:59");
  EXPECT_EQ(moment("2026-11-23"), "2026-11-23T00:00:00");
  EXPECT_EQ(moment("2026-11-23T01:02"), "2026-11-23T01:02:00");
  EXPECT_EQ(moment("2026-11-23T03:02:03.5+02:00"), "2026-11-23T01:02:03.5");
  EXPECT_LE(moment("0s"), now_rfc3339());
  EXPECT_LT(moment("2s"), moment("1s"));
  for (const char* text : {"", "yesterday", "2026-99-99", "-5m", "999999999999999"}) {
    EXPECT_THAT(moment(text), HasSubstr("is no time; give")) << text;
  }
}

}  // namespace
}  // namespace moss
