// registries.d, as containers-registries.d(5) describes it.
#include "src/engine/trust/lookaside.hh"

#include <nlohmann/json.hpp>

#include "errors.hh"
#include "src/engine/trust/yaml.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using testing::HasSubstr;

RegistriesD conf(const std::string& yaml) {
  RegistriesD out;
  EXPECT_EQ(error_of(merge_registries_d(out, yaml, "d.yaml")), "no error");
  return out;
}

TEST(RegistriesD, TheMostPreciseScopeAloneCounts) {
  const RegistriesD d = conf(
      "default-docker:\n  lookaside: https://all\ndocker:\n  a.io:\n    lookaside: file:///a\n"
      "    use-sigstore-attachments: true\n  a.io/x:\n    sigstore: file:///x\n");
  EXPECT_EQ(find_place(d, {"a.io/x:1", "a.io/x", "a.io"}).lookaside, "file:///x");
  EXPECT_FALSE(find_place(d, {"a.io/x:1", "a.io/x", "a.io"}).attachments);
  EXPECT_TRUE(find_place(d, {"a.io/y:1", "a.io/y", "a.io"}).attachments);
  EXPECT_EQ(find_place(d, {"b.io/y:1", "b.io/y", "b.io"}).lookaside, "https://all");
  EXPECT_THAT(find_place({}, {"b.io"}).lookaside, HasSubstr("containers/sigstore"));
}

TEST(RegistriesD, MistakesAreNamed) {
  RegistriesD d;
  EXPECT_THAT(error_of(merge_registries_d(d, "docker: [", "d.yaml")), HasSubstr("read d.yaml: line "));
  EXPECT_THAT(error_of(merge_registries_d(d, "dokcer: {}", "d.yaml")), HasSubstr("unknown member \"dokcer\""));
  EXPECT_THAT(error_of(merge_registries_d(d, "docker: {a.io: {look: x}}", "d.yaml")), HasSubstr("unknown member"));
  EXPECT_THAT(error_of(merge_registries_d(d, "docker: {a: {}, a: {}}", "d.yaml")), HasSubstr("is there twice"));
  EXPECT_THAT(error_of(merge_registries_d(d, "docker: {a: {use-sigstore-attachments: maybe}}", "d.yaml")),
              HasSubstr("expected true or false"));
  EXPECT_EQ(error_of(merge_registries_d(d, "", "d.yaml")), "no error");
  EXPECT_EQ(error_of(merge_registries_d(d, "docker: {b.io: {}}", "one.yaml")), "no error");
  EXPECT_THAT(error_of(merge_registries_d(d, "docker: {b.io: {}}", "two.yaml")), HasSubstr("b.io is in one.yaml too"));
}

TEST(RegistriesD, ALookasideLeavesOutTheHost) {
  EXPECT_EQ(signature_url("file:///s/", "a.io:5000/org/x:1", "sha256:ab", 2), "file:///s/org/x@sha256=ab/signature-2");
  EXPECT_EQ(signature_url("http://s", "a.io/x@sha256:ab", "sha256:ab", 1), "http://s/x@sha256=ab/signature-1");
}

TEST(Yaml, IsBounded) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  char name = 'a';
  for (int i = 0; i < 8; ++i, ++name) {
    const std::string alias = cat("*", name);
    bomb += cat(static_cast<char>(name + 1), ": &", static_cast<char>(name + 1), " [");
    for (int k = 0; k < 10; ++k) bomb += cat(k > 0 ? "," : "", alias);
    bomb += "]\n";
  }
  EXPECT_THAT(error_of(parse_yaml(bomb)), HasSubstr("too deep or too large"));
  EXPECT_THAT(error_of(parse_yaml("&a [*a]")), HasSubstr("too deep or too large"));
  EXPECT_THAT(error_of(parse_yaml(std::string(2000, '['))), HasSubstr("line "));
}

}  // namespace

}  // namespace moss::engine
