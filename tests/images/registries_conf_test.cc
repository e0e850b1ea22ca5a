// registries.conf and short names, as containers-registries.conf(5) describes them.
#include "src/engine/images/registries_conf.hh"

#include "image_fixture.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using moss::test::succeeded;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

RegistriesConf conf(const std::vector<std::string>& files) {
  RegistriesConf out;
  for (const std::string& file : files) EXPECT_TRUE(succeeded(merge_registries_conf(out, file, "r.conf")));
  return out;
}

std::vector<Endpoint> places(const RegistriesConf& c, const std::string& repository, bool by_digest = false) {
  const auto found = endpoints(c, repository, by_digest);
  EXPECT_TRUE(succeeded(found));
  return found.ok() ? *found : std::vector<Endpoint>{};
}

TEST(ShortNames, MeanDockersHubWhereNothingIsConfigured) {
  EXPECT_THAT(resolve_short_name({}, "alpine").value(), ElementsAre("docker.io/library/alpine"));
  EXPECT_THAT(resolve_short_name({}, "org/app").value(), ElementsAre("docker.io/org/app"));
}

TEST(ShortNames, AreSearchedInTheConfiguredOrder) {
  const auto c = conf({"unqualified-search-registries = ['quay.io', 'docker.io', 'localhost:5000']"});
  EXPECT_THAT(resolve_short_name(c, "alpine").value(),
              ElementsAre("quay.io/alpine", "docker.io/library/alpine", "localhost:5000/alpine"));
}

TEST(ShortNames, AnAliasIsTheOnlyAnswer) {
  const auto c =
      conf({"unqualified-search-registries = ['quay.io']\n[aliases]\n'fedora' = 'registry.fedoraproject.org/fedora'"});
  EXPECT_THAT(resolve_short_name(c, "fedora").value(), ElementsAre("registry.fedoraproject.org/fedora"));
}

TEST(ShortNames, AnEmptySearchListSaysWhatToWrite) {
  EXPECT_THAT(error_of(resolve_short_name(conf({"unqualified-search-registries = []"}), "alpine")),
              HasSubstr("write docker.io/library/alpine"));
}

TEST(ShortNames, AmbiguityIsAnErrorWhereItIsForbidden) {
  const std::string mode = "short-name-mode = 'enforcing'\n";
  EXPECT_THAT(error_of(resolve_short_name(conf({mode + "unqualified-search-registries = ['a.io', 'b.io']"}), "x")),
              HasSubstr("may mean an image of a.io or b.io; write a.io/x"));
  EXPECT_THAT(resolve_short_name(conf({mode + "unqualified-search-registries = ['a.io']"}), "x").value(),
              ElementsAre("a.io/x"));
}

TEST(RegistriesConf, LaterFilesReplaceWhatTheyName) {
  const auto c =
      conf({"unqualified-search-registries = ['a.io']\n[aliases]\nx = 'a.io/x'\ny = 'a.io/y'\n[[registry]]\nprefix = "
            "'a.io'\nblocked = true",
            "unqualified-search-registries = ['b.io']\n[aliases]\nx = 'b.io/x'\ny = ''\n[[registry]]\nprefix = "
            "'a.io'\nlocation = 'mirror.io/a'"});
  EXPECT_THAT(resolve_short_name(c, "x").value(), ElementsAre("b.io/x"));
  EXPECT_THAT(resolve_short_name(c, "y").value(), ElementsAre("b.io/y"));
  EXPECT_THAT(places(c, "a.io/app"), ElementsAre(Endpoint{"mirror.io", "a/app", false}));
}

TEST(RegistriesConf, TheLongestPrefixRules) {
  const auto c = conf({R"(
[[registry]]
prefix = "example.com"
location = "one.internal"
[[registry]]
prefix = "example.com/foo"
location = "two.internal/bar"
insecure = true
)"});
  EXPECT_THAT(places(c, "example.com/app"), ElementsAre(Endpoint{"one.internal", "app", false}));
  EXPECT_THAT(places(c, "example.com/foo/app"), ElementsAre(Endpoint{"two.internal", "bar/app", true}));
  EXPECT_THAT(places(c, "example.com/foobar"), ElementsAre(Endpoint{"one.internal", "foobar", false}));
  EXPECT_THAT(places(c, "example.com.evil/foo"), ElementsAre(Endpoint{"example.com.evil", "foo", false}));
}

TEST(RegistriesConf, AStarStandsForEveryHostBelow) {
  const auto c = conf({"[[registry]]\nprefix = '*.example.com'\ninsecure = true"});
  EXPECT_THAT(places(c, "a.example.com/x"), ElementsAre(Endpoint{"a.example.com", "x", true}));
  EXPECT_THAT(places(c, "a.b.example.com/x"), ElementsAre(Endpoint{"a.b.example.com", "x", true}));
  EXPECT_THAT(places(c, "example.com/x"), ElementsAre(Endpoint{"example.com", "x", false}));
  EXPECT_THAT(places(c, "badexample.com/x"), ElementsAre(Endpoint{"badexample.com", "x", false}));
}

TEST(RegistriesConf, AStarMayHaveAPathBehindIt) {
  const auto c = conf({"[[registry]]\nprefix = '*.example.com/a'\nlocation = 'in.side/b'"});
  EXPECT_THAT(places(c, "x.example.com/a/app"), ElementsAre(Endpoint{"in.side", "b/app", false}));
  EXPECT_THAT(places(c, "x.example.com.example.com/a/app"), ElementsAre(Endpoint{"in.side", "b/app", false}));
  EXPECT_THAT(places(c, "x.example.com/ab"), ElementsAre(Endpoint{"x.example.com", "ab", false}));
  EXPECT_THAT(places(c, "y.io/x.example.com/a"), ElementsAre(Endpoint{"y.io", "x.example.com/a", false}));
}

TEST(RegistriesConf, MirrorsForTagsAreNotForDigests) {
  const auto c =
      conf({"[[registry]]\nlocation = 'a.io'\n[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = 'tag-only'"});
  EXPECT_THAT(places(c, "a.io/x", true), ElementsAre(Endpoint{"a.io", "x"}));
  EXPECT_THAT(places(c, "a.io/x"), ElementsAre(Endpoint{"m.io", "x", false, true}, Endpoint{"a.io", "x"}));
}

TEST(RegistriesConf, ADigestOnlyRegistryHasNoMirrorsForTags) {
  const auto c =
      conf({"[[registry]]\nlocation = 'a.io'\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = 'm.io'"});
  EXPECT_THAT(places(c, "a.io/x"), ElementsAre(Endpoint{"a.io", "x"}));
  EXPECT_THAT(places(c, "a.io/x", true), ElementsAre(Endpoint{"m.io", "x", false, true}, Endpoint{"a.io", "x"}));
}

TEST(RegistriesConf, ALoginIsKeptUnderTheNameThatUsersKnow) {
  EXPECT_EQ(places({}, "docker.io/library/alpine").at(0).login(), "docker.io");
  EXPECT_EQ(places({}, "quay.io/x").at(0).login(), "quay.io");
}

TEST(RegistriesConf, NamesItsCredentialHelpers) {
  EXPECT_THAT(conf({"credential-helpers = ['containers-auth.json', 'pass']"}).credential_helpers,
              ElementsAre("containers-auth.json", "pass"));
}

TEST(RegistriesConf, MirrorsComeBeforeTheLocation) {
  const auto c = conf({R"(
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "mirror.one/hub"
[[registry.mirror]]
location = "mirror.two"
insecure = true
pull-from-mirror = "digest-only"
)"});
  EXPECT_THAT(places(c, "docker.io/library/alpine"),
              ElementsAre(Endpoint{"mirror.one", "hub/library/alpine", false, true},
                          Endpoint{"registry-1.docker.io", "library/alpine", false}));
  EXPECT_THAT(places(c, "docker.io/library/alpine", true),
              ElementsAre(Endpoint{"mirror.one", "hub/library/alpine", false, true},
                          Endpoint{"mirror.two", "library/alpine", true, true},
                          Endpoint{"registry-1.docker.io", "library/alpine", false}));
}

TEST(RegistriesConf, ABlockedRegistryIsNotAsked) {
  EXPECT_EQ(error_of(endpoints(conf({"[[registry]]\nprefix = 'bad.io'\nblocked = true"}), "bad.io/x", false)),
            "registry bad.io is blocked in registries.conf");
}

TEST(RegistriesConf, MistakesAreNamedWithTheirLine) {
  RegistriesConf c;
  EXPECT_EQ(error_of(merge_registries_conf(c, "\n[[registry]]\nprefix = 'a'\ninsecure = 'yes'", "r.conf")),
            "r.conf:4: insecure: expected true or false");
  EXPECT_EQ(error_of(merge_registries_conf(c, "unqualified-search-registries = ['https://a.io']", "r.conf")),
            "r.conf:1: unqualified-search-registries: expected host names, without http://");
  EXPECT_EQ(error_of(merge_registries_conf(c, "unqualified-search-registries = ['a\tb']", "r.conf")),
            "r.conf:1: unqualified-search-registries: expected host names, without http://");
  EXPECT_THAT(error_of(merge_registries_conf(c, "a = = 1", "r.conf")), HasSubstr("r.conf:1: "));
  const std::string registry = "[[registry]]\nlocation = 'a.io'\n";
  const std::string mirror = "[[registry.mirror]]\nlocation = 'm.io'\npull-from-mirror = ";
  EXPECT_EQ(error_of(merge_registries_conf(c, registry + mirror + "'sometimes'", "r.conf")),
            "r.conf:3: pull-from-mirror: expected all, digest-only or tag-only");
  EXPECT_THAT(error_of(merge_registries_conf(c, registry + "mirror-by-digest-only = true\n" + mirror + "'all'", "r")),
              HasSubstr("exclude each other"));
  EXPECT_THAT(error_of(merge_registries_conf(c, "[[registry]]\nprefix = 'a.*.io'", "r")), HasSubstr("begins with"));
  EXPECT_EQ(error_of(merge_registries_conf(c, "short-name-mode = 'strict'", "r.conf")),
            "r.conf:1: short-name-mode: expected enforcing, permissive or disabled");
  EXPECT_THAT(error_of(merge_registries_conf(c, "[registries.search]\nregistries = ['a']", "r.conf")),
              HasSubstr("version 1"));
}

TEST(RegistriesConf, ATablesNameIsOne) {
  // toml++ takes for granted that it begins as one; in a debug build it ends there, otherwise anything may happen.
  for (const char* text : {"[[=", "[=]", "[", "[[", " [ [ a ]", "[[$a]]", "[\x1b]", "[[\x7f]]", "[[#", "[\xc3\xa9]"}) {
    RegistriesConf c;
    EXPECT_EQ(error_of(merge_registries_conf(c, cat("a = 1\n", text, "\n"), "r.conf")),
              "r.conf:2: expected a table's name after [")
        << text;
  }
  RegistriesConf c;
  EXPECT_EQ(error_of(merge_registries_conf(c, "\xef\xbb\xbf[\x03", "r.conf")),
            "r.conf:1: expected a table's name after [");
  EXPECT_TRUE(succeeded(merge_registries_conf(c, "\xef\xbb\xbf[aliases]", "r.conf")));
  EXPECT_TRUE(succeeded(merge_registries_conf(c, "  [ \"aliases\" ]\n[[ 'registry' ]]\nprefix = \"a\"", "r.conf")));
}

TEST(RegistriesConf, BeyondAsciiIsWhatIsQuoted) {
  // toml++ takes for granted that some of these letters never come: anything may happen then.
  for (const char* text : {"\xc5\x91ms = 1", "a = 1 \xc3\xa9", "a\xc3\xa9 = 1", "a = 4\"\xd2\x96", "a = [[4\"\xd2\x96",
                           "a = [1,}2]", "a = '' \xc5\x91", "a = \"\"\"\\\xc5\x91\"\"\""}) {
    RegistriesConf c;
    EXPECT_THAT(error_of(merge_registries_conf(c, cat("b = 1\n", text, "\n"), "r.conf")), StartsWith("r.conf:2: "))
        << text;
  }
  RegistriesConf c;
  EXPECT_TRUE(succeeded(merge_registries_conf(
      c, "# \xc5\x91\n\"\xc5\x91\" = '\xc5\x91'\nb = \"\"\"\\\n\xc5\x91\"\"\"\n[aliases]\n\"a\" = \"quay.io/a\"\n",
      "r.conf")));
  EXPECT_EQ(c.aliases.size(), 1U);
}

TEST(Loopback, IsThisMachineAlone) {
  for (const char* host : {"127.0.0.1:5000", "127.8.9.10", "localhost", "localhost:80", "[::1]:5000", "[::1]"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host :
       {"127.0.0.1.evil.io", "localhost.evil.io", "128.0.0.1", "127.0.0.256", "[::2]", "[::1]evil", "10.0.0.1"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

}  // namespace

}  // namespace moss::engine
