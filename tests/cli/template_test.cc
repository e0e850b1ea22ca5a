// Templates: what Go's text/template makes of the same words.
#include "moss/cli/template.hh"

#include <gmock/gmock.h>

namespace moss::cli::format {
namespace {

using ::testing::HasSubstr;

Value image() {
  Value config = Value::structure();
  config.set("Cmd", std::vector<std::string>{"sh", "-c"}).set("Tty", false).set("Healthcheck", Value());
  Value value = Value::structure();
  value.set("ID", "b06c7a26ebf5")
      .set("Size", 8090705)
      .set("Ratio", 2.5)
      .set("Dangling", false)
      .set("Names", std::vector<std::string>{"a:1", "b:2"})
      .set("Labels", std::map<std::string, std::string>{{"z", "last"}, {"a", "<first>"}})
      .set("Config", std::move(config))
      .set_hidden("Id", "b06c7a26ebf5");
  return value;
}

std::string write(std::string_view text) {
  const Result<Template> parsed = Template::parse(text);
  if (!parsed.ok()) return "parse: " + parsed.error().to_string();
  const Result<std::string> written = parsed->execute(image());
  return written.ok() ? *written : "execute: " + written.error().to_string();
}

struct Case {
  const char* text;
  const char* written;
};

// The right-hand sides are text/template's, by Podman 4.3 where its functions are concerned.
constexpr Case kCases[] = {
    {"plain", "plain"},
    {"{{.ID}}", "b06c7a26ebf5"},
    {"{{.Id}} {{.Size}} {{.Ratio}} {{.Dangling}}", "b06c7a26ebf5 8090705 2.5 false"},
    {"{{.Names}}", "[a:1 b:2]"},
    {"{{.Labels}}", "map[a:<first> z:last]"},
    {"{{.Labels.z}} {{.Labels.none}}", "last <no value>"},
    {"{{.Config}}", "{[sh -c] false <nil>}"},
    {"{{.Config.Healthcheck}}", "<nil>"},
    {"{{.Config.Cmd}}{{/* silent */}}!", "[sh -c]!"},
    {"{{json .Names}} {{json .Labels}}", R"(["a:1","b:2"] {"a":"\u003cfirst\u003e","z":"last"})"},
    {"{{json .Config}}", R"({"Cmd":["sh","-c"],"Tty":false,"Healthcheck":null})"},
    {"{{range .Names}}<{{.}}>{{end}}", "<a:1><b:2>"},
    {"{{range $i, $e := .Names}}{{$i}}={{$e}} {{end}}", "0=a:1 1=b:2 "},
    {"{{range $k, $v := .Labels}}{{$k}}:{{$v}};{{end}}", "a:<first>;z:last;"},
    {"{{range .Names}}{{if eq . \"b:2\"}}{{break}}{{end}}{{.}}{{end}}", "a:1"},
    {"{{range .Names}}{{if eq . \"a:1\"}}{{continue}}{{end}}{{.}}{{end}}", "b:2"},
    {"{{range .Config.Healthcheck}}x{{else}}none{{end}}", "none"},
    {"{{if .Dangling}}yes{{else}}no{{end}}", "no"},
    {"{{if .Dangling}}1{{else if gt .Size 1000}}2{{else}}3{{end}}", "2"},
    {"{{with .Config}}{{.Tty}} {{$.ID}}{{end}}", "false b06c7a26ebf5"},
    {"{{with .Config.Healthcheck}}{{.Test}}{{else}}-{{end}}", "-"},
    {"a {{- .ID -}}  b", "ab06c7a26ebf5b"},
    {"{{$x := .ID}}{{$x}}{{$x = \"new\"}} {{$x}}", "b06c7a26ebf5 new"},
    {"{{$n := 0}}{{range .Names}}{{$n = .}}{{end}}{{$n}}", "b:2"},
    {"{{join .Names \", \"}}", "a:1, b:2"},
    {"{{join .Names \", \" | upper | printf \"%s!\"}}", "A:1, B:2!"},
    {"{{index .Names 1}} {{index .Labels \"z\"}} {{index .Labels \"none\"}}.", "b:2 last ."},
    {"{{len .Names}} {{len .ID}} {{len .Labels}}", "2 12 2"},
    {"{{slice .ID 0 4}} {{slice .Names 1}}", "b06c [b:2]"},
    {"{{upper \"ab\"}} {{lower \"AB\"}} {{title \"two words\"}}", "AB ab Two Words"},
    {"{{range split \"a,b,c\" \",\"}}{{.}};{{end}}", "a;b;c;"},
    {"{{pad .ID 1 2}}|{{truncate .ID 3}}", " b06c7a26ebf5  |b06"},
    {"{{printf \"%-5s|%5d|%05d|%x|%q|%v|%t|%.1f%%\" \"ab\" 42 -42 255 \"q\\\"\" .Names true .Ratio}}",
     "ab   |   42|-0042|ff|\"q\\\"\"|[a:1 b:2]|true|2.5%"},
    {"{{printf \"%d\" \"x\"}} {{printf \"%s\"}}", "%!d(string=x) %!s(MISSING)"},
    {"{{println \"a\" 1}}", "a 1\n"},
    {"{{print \"a\" 1 2 \"b\"}}", "a1 2b"},
    {"{{eq .ID \"x\" \"b06c7a26ebf5\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1.5 1}} {{ge \"a\" \"b\"}}",
     "true true true true true false"},
    {"{{and true \"\"}}|{{and 1 2}}|{{or \"\" \"x\"}}|{{not .Dangling}}", "|2|x|true"},
    // The second word of an "or" that is decided is not looked at.
    {"{{or true .NoSuchField}}", "true"},
    {"{{(index .Names 0)}} {{(.Config).Tty}}", "a:1 false"},
    {"{{if and (not .Dangling) (eq (len .Names) 2)}}both{{end}}", "both"},
    {"{{\"\\u00e9\\x41\\t\"}}{{`raw\\n`}}", "\u00e9A\traw\\n"},
    {"{{html \"<a>\"}} {{js \"'\"}} {{urlquery \"a b&\"}}", "&lt;a&gt; \\' a+b%26"},
    {"{{1}} {{-1}} {{0x10}} {{true}}", "1 -1 16 true"},
};

TEST(Template, WritesWhatGoDoes) {
  for (const Case& one : kCases) EXPECT_EQ(write(one.text), one.written) << one.text;
}

TEST(Template, SaysWhatIsWrongAndWhere) {
  constexpr Case kWrong[] = {
      {"{{.Foo}}", "1:3: <.Foo>: can't evaluate field Foo; there are ID, Size"},
      {"ab\n  {{.Config.Nope}}", "2:5: <.Config.Nope>: can't evaluate field Nope; there are Cmd, Tty, Healthcheck"},
      {"{{.ID.X}}", "1:3: <.ID.X>: string has no fields"},
      {"{{.ID", "1:1: {{ is never closed"},
      {"{{joi .Names}}", "1:3: no function named \"joi\""},
      {"{{join .Names}}", "1:3: join takes 2 arguments, not 1"},
      {"{{join .ID \",\"}}", "1:3: join: expected a list, found string"},
      {"{{index .Names 9}}", "1:3: index: index 9 is out of range: there are 2"},
      {"{{eq .ID 1}}", "1:3: eq: cannot compare string with integer"},
      {"{{if .ID}}x", "1:1: has no {{end}}"},
      {"{{end}}", "1:1: {{end}} with nothing open"},
      {"{{else}}", "1:1: {{else}} with nothing open"},
      {"{{if .ID}}{{else}}{{else}}{{end}}", "1:19: a second {{else}}"},
      {"{{break}}", "1:1: {{break}} outside of a range"},
      {"{{$x}}", "1:3: no variable named $x"},
      {"{{if true}}{{$x := 1}}{{end}}{{$x}}", "no variable named $x"},
      {"{{$x = 1}}", "1:3: no variable named $x"},
      {"{{range .Size}}{{end}}", "cannot range over integer 8090705"},
      {"{{.ID .Size}}", "1:7: a value before it that is no function takes no arguments"},
      {"{{.ID | .Size}}", "1:9: \"|\" leads to what is no function"},
      {"{{(.ID}}", "1:3: ( is never closed"},
      {"{{\"abc}}", "1:3: the text is never closed"},
      {"{{\"\\z\"}}", "no such escape"},
      {"{{}}", "1:3: a value is missing"},
      {"{{1x}}", "1:3: not a number: 1x"},
      {"{{/* }}", "1:1: the comment is never closed"},
      {"{{define \"x\"}}{{end}}", "1:1: {{define}} is not supported"},
      {"{{template \"x\"}}", "1:1: {{template}} is not supported"},
      {"{{call .ID}}", "1:3: \"call\" is not supported"},
      {"{{printf \"%99999d\" 1}}", "printf: a width is 0..10000"},
      {"{{and}}", "1:3: and needs arguments"},
  };
  for (const Case& one : kWrong) EXPECT_THAT(write(one.text), HasSubstr(one.written)) << one.text;
}

std::string repeated(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Template, HostileOnesEndSoonWithAnError) {
  EXPECT_THAT(write(repeated("{{if true}}", 5000)), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(write("{{" + repeated("(", 20000)), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(write("{{if 0}}" + repeated("{{else if 0}}", 4000)), HasSubstr("nested more than 100 deep"));
  EXPECT_THAT(write(std::string(1u << 20, 'x')), HasSubstr("longer than 65536 bytes"));
  EXPECT_THAT(write("{{$x := \"0123456789\"}}" + repeated("{{$x = print $x $x}}", 200)),
              HasSubstr("the text is too long"));
  EXPECT_THAT(write("{{$x := \"0123456789\"}}" + repeated("{{$x = printf \"%s%s\" $x $x}}", 200)),
              HasSubstr("the text is too long"));
  // Loops in loops: 10 characters, six deep and more.
  const std::string loops = repeated("{{range split \"0123456789\" \"\"}}", 9) + "x" + repeated("{{end}}", 9);
  EXPECT_THAT(write(loops), HasSubstr("without end"));
}

// Every beginning of every template above, and each with a byte changed: an answer, whatever it is, and no crash.
TEST(Template, BrokenOnesAreAnswered) {
  size_t answered = 0;
  for (const Case& one : kCases) {
    const std::string whole = one.text;
    for (size_t length = 0; length <= whole.size(); ++length) answered += write(whole.substr(0, length)).size();
    for (size_t at = 0; at < whole.size(); ++at) {
      for (const char c : {'{', '}', '|', '"', '(', ')', '$', '.', '\\', '\0', '\xff', '-', ' '}) {
        std::string changed = whole;
        changed[at] = c;
        answered += write(changed).size();
      }
    }
  }
  EXPECT_GT(answered, 1000u);
}

TEST(Template, KnowsWhatItMentions) {
  const auto mentions = [](std::string_view text, std::string_view name) {
    return Template::parse(text)->mentions(name);
  };
  EXPECT_TRUE(mentions("{{if .A}}{{range $x := (len .Size | print)}}{{end}}{{end}}", "Size"));
  EXPECT_TRUE(mentions("{{json .}}", "Size"));
  EXPECT_FALSE(mentions("{{.ID}} Size", "Size"));
}

TEST(Value, ReadsJsonWithMapsWherePodmanHasThem) {
  const Value value = *parse_json(R"({"Labels":{"b":"2","a":"1"},"Config":{"Cmd":null,"X":1.5},"Annotations":null})");
  EXPECT_EQ(value.text(), "{map[a:1 b:2] {[] 1.5} map[]}");
  EXPECT_EQ(value.json(), R"({"Labels":{"a":"1","b":"2"},"Config":{"Cmd":null,"X":1.5},"Annotations":null})");
  EXPECT_EQ(value.find("Labels")->json("  "), "{\n  \"a\": \"1\",\n  \"b\": \"2\"\n}");
  EXPECT_EQ(
      *Template::parse("{{len .Annotations}}{{.Annotations.x}}{{index .Annotations `x`}}{{range .Config.Cmd}}x{{end}}")
           ->execute(value),
      "0<no value>");
  EXPECT_FALSE(parse_json("{").ok());
}

}  // namespace
}  // namespace moss::cli::format
