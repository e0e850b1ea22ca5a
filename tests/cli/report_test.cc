// --format: tables, templates and JSON as Podman tells them apart.
#include "moss/cli/report.hh"

#include <gmock/gmock.h>

namespace moss::cli::format {
namespace {

using ::testing::HasSubstr;

constexpr std::pair<std::string_view, std::string_view> kTitles[] = {{"ID", "IMAGE ID"}};
constexpr std::string_view kUsual = "table {{.ID}}\\t{{.Tag}}";

Value::List rows() {
  Value::List rows;
  for (const char* tag : {"3", "x"}) {
    rows.push_back(Value::structure());
    rows.back().set("ID", "b06c7a26ebf5").set("Tag", tag).set("RepoTags", std::vector<std::string>{"a"});
  }
  return rows;
}

std::string list(std::string_view format, bool with_titles = true) {
  const Result<Report> report = Report::parse(format, kUsual, kTitles);
  if (!report.ok()) return report.error().to_string();
  const Result<std::string> text = report->text(rows(), "", with_titles);
  return text.ok() ? *text : text.error().to_string();
}

TEST(Report, ATableIsTheUsualOne) {
  const char* const table =
      "IMAGE ID      TAG\n"
      "b06c7a26ebf5  3\n"
      "b06c7a26ebf5  x\n";
  EXPECT_EQ(list(""), table);
  EXPECT_EQ(list("table"), table);
  EXPECT_EQ(list("table {{.ID}} {{.Tag}}"), table);
  EXPECT_EQ(list("table {{range .}}{{.ID}}\\t{{.Tag}}\\n{{end -}}"), table);
  EXPECT_EQ(list("", false), "b06c7a26ebf5  3\nb06c7a26ebf5  x\n");
}

TEST(Report, ATemplateIsNoTable) {
  EXPECT_EQ(list("{{.ID}} {{.Tag}}"), "b06c7a26ebf5 3\nb06c7a26ebf5 x\n");
  EXPECT_EQ(list("{{.Tag}}\\t{{.ID}}"), "3\tb06c7a26ebf5\nx\tb06c7a26ebf5\n");
  EXPECT_EQ(list("{{range .}}{{.Tag}} {{end}}"), "3 x \n");
}

TEST(Report, AFieldWithoutATitleHasItsWords) {
  EXPECT_EQ(list("table {{.RepoTags}}\\t{{.Tag}}"), "REPO TAGS   TAG\n[a]         3\n[a]         x\n");
}

TEST(Report, ATableOfNothingHasItsTitles) {
  EXPECT_EQ(*Report::parse("", kUsual, kTitles)->list({}), "IMAGE ID    TAG\n");
  EXPECT_EQ(*Report::parse("{{.ID}}", kUsual, kTitles)->list({}), "");
}

TEST(Report, JsonIsTheCallers) {
  EXPECT_TRUE(Report::parse("json", kUsual)->is_json());
  EXPECT_EQ(list("json"),
            R"([{"ID":"b06c7a26ebf5","Tag":"3","RepoTags":["a"]},{"ID":"b06c7a26ebf5","Tag":"x","RepoTags":["a"]}])"
            "\n");
  EXPECT_TRUE(Report::parse("{{ json . }}", kUsual)->is_json());
  EXPECT_FALSE(Report::parse("{{json .ID}}", kUsual)->is_json());
}

TEST(Report, SaysWhichOptionIsWrong) {
  EXPECT_THAT(list("{{.Foo}}"), HasSubstr("--format: template: 1:3: <.Foo>: can't evaluate field Foo; there are ID"));
  EXPECT_THAT(list("{{.ID"), HasSubstr("--format: template: 1:1: {{ is never closed"));
}

TEST(Report, KnowsWhatIsLookedAt) {
  EXPECT_TRUE(Report::parse("", "table {{.Size}}")->mentions("Size"));
  EXPECT_FALSE(Report::parse("{{.ID}}", "table {{.Size}}")->mentions("Size"));
}

}  // namespace
}  // namespace moss::cli::format
