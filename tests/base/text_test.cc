// Text helpers: each with its edge cases in one look.
#include "moss/base/text.hh"

#include <gmock/gmock.h>

#include "moss/base/id_range.hh"

namespace moss {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Cat, WritesTextAndNumbersOneAfterTheOther) {
  EXPECT_EQ(cat("a", 'b', std::string("c"), -1, 0u, INT64_MIN, UINT64_MAX),
            "abc-10-922337203685477580818446744073709551615");
  EXPECT_EQ(cat(), "");
}

TEST(Split, KeepsEmptyPartsAndGivesNothingForAnEmptyText) {
  EXPECT_THAT(split("a,b,,c", ','), ElementsAre("a", "b", "", "c"));
  EXPECT_THAT(split(",", ','), ElementsAre("", ""));
  EXPECT_THAT(split("a,", ','), ElementsAre("a", ""));
  EXPECT_THAT(split(",a", ','), ElementsAre("", "a"));
  EXPECT_THAT(split("a", ','), ElementsAre("a"));
  EXPECT_THAT(split("", ','), IsEmpty());
}

TEST(Cut, TellsAnEmptySecondPartFromNone) {
  EXPECT_THAT(cut("a=b=c", '='), Pair("a", std::optional<std::string_view>("b=c")));
  EXPECT_THAT(cut("a=", '='), Pair("a", std::optional<std::string_view>("")));
  EXPECT_THAT(cut("=a", '='), Pair("", std::optional<std::string_view>("a")));
  EXPECT_THAT(cut("a", '='), Pair("a", std::optional<std::string_view>()));
  EXPECT_THAT(cut("", '='), Pair("", std::optional<std::string_view>()));
}

TEST(Join, PutsSeparatorsBetweenPartsAlsoEmptyOnes) {
  const std::string parts[] = {"", "a", "", "b"};
  EXPECT_EQ(join(parts, ", "), ", a, , b");
  EXPECT_EQ(join({}, ","), "");
}

TEST(Trim, TakesBlanksFromBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(TakeDecimal, TakesWhatIsOneAndLeavesTheRest) {
  const auto take = [](std::string_view text) {
    const std::optional<double> number = take_decimal(text);
    return std::pair(number.value_or(-1), std::string(text));
  };
  EXPECT_EQ(take("1.5h30m"), std::pair(1.5, std::string("h30m")));
  EXPECT_EQ(take("+2e3"), std::pair(2000.0, std::string()));
  EXPECT_EQ(take(".5."), std::pair(0.5, std::string(".")));
  for (const char* text : {"", " 1", "h", "inf", "nan", "-", "e5"}) EXPECT_EQ(take(text), std::pair(-1.0, std::string(text)));
  EXPECT_EQ(take("0x10"), std::pair(0.0, std::string("x10")));
}

TEST(ParseNumber, TakesWholeDecimalNumbersThatFit) {
  EXPECT_EQ(parse_number<uint32_t>("4294967295"), 4294967295u);
  EXPECT_EQ(parse_number<int>("-5"), -5);
  EXPECT_EQ(parse_number<uint32_t>("007"), 7u);
  EXPECT_EQ(parse_number<uint32_t>("0755", 8), 0755u);
}

TEST(ParseNumber, RefusesEverythingElse) {
  for (const char* text : {"", "+1", " 1", "1 ", "1x", "0x1", "-1", "4294967296", "18446744073709551616", "1.0"}) {
    EXPECT_EQ(parse_number<uint32_t>(text), std::nullopt) << text;
  }
  EXPECT_EQ(parse_number<uint32_t>("8", 8), std::nullopt);
}

TEST(Printable, MakesControlBytesVisible) {
  EXPECT_EQ(printable(std::string_view("a\n\x1b[31m\0\x7f\xc3\xa4", 10)), "a\\x0a\\x1b[31m\\x00\\x7f\xc3");
  EXPECT_EQ(printable("\xc3\xa4"), "\xc3\xa4");
}

TEST(Excerpt, NeverEndsInsideACharacter) {
  EXPECT_EQ(excerpt("abc", 3), "abc");
  EXPECT_EQ(excerpt("abcd", 3), "abc...");
  EXPECT_EQ(excerpt("ab\xc3\xa4", 3), "ab...");
  EXPECT_EQ(excerpt("\xe2\x82\xac"
                    "1",
                    3),
            "\xe2\x82\xac...");
  EXPECT_EQ(excerpt("\x80\x80\x80", 2), "...");
}

TEST(IdMap, SaysInOneLineWhatItMaps) {
  EXPECT_EQ(to_string({{0, 1001, 1}, {1, 100000, 65536}}), "0:1001:1,1:100000:65536");
  EXPECT_EQ(to_string(std::vector<IdRange>{}), "");
  EXPECT_TRUE((IdMap{{{0, 1001, 1}}, {{0, 1001, 1}}}.is_single()));
  EXPECT_FALSE((IdMap{{{0, 1001, 1}}, {{0, 1001, 2}}}.is_single()));
  EXPECT_FALSE(IdMap{}.is_single());
}

}  // namespace
}  // namespace moss
