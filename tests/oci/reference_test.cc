// Image names: the ones people type, and the ones made to escape from a path or a URL.
#include "moss/oci/reference.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expect.hh"

namespace moss::oci {
namespace {

using ::testing::HasSubstr;

TEST(References, AreCutIntoParts) {
  const auto parsed = [](std::string_view text) { return value_of(parse_reference(text)); };
  EXPECT_EQ(parsed("quay.io/podman/hello:v1"), (Reference{"quay.io", "podman/hello", "v1", ""}));
  EXPECT_EQ(parsed("quay.io/podman/hello"), (Reference{"quay.io", "podman/hello", "latest", ""}));
  EXPECT_EQ(parsed("quay.io/a@" + kDigestA), (Reference{"quay.io", "a", "", kDigestA}));
  EXPECT_EQ(parsed("quay.io/a:v1@" + kDigestA), (Reference{"quay.io", "a", "v1", kDigestA}));
  EXPECT_EQ(parsed("localhost/a"), (Reference{"localhost", "a", "latest", ""}));
  EXPECT_EQ(parsed("localhost:5000/a/b/c:x"), (Reference{"localhost:5000", "a/b/c", "x", ""}));
  EXPECT_EQ(parsed("registry:5000/a"), (Reference{"registry:5000", "a", "latest", ""}));
  EXPECT_EQ(parsed("[::1]:5000/a:x"), (Reference{"[::1]:5000", "a", "x", ""}));
  EXPECT_EQ(parsed("[fe80::A]/a"), (Reference{"[fe80::A]", "a", "latest", ""}));
  EXPECT_EQ(parsed("GHCR.io/a"), (Reference{"GHCR.io", "a", "latest", ""}));
  EXPECT_EQ(parsed("x.y/a.b_c__d---e/0"), (Reference{"x.y", "a.b_c__d---e/0", "latest", ""}));
  EXPECT_EQ(parsed("x.y/a:_A.-"), (Reference{"x.y", "a", "_A.-", ""}));
}

TEST(References, DockerHubsNamesAreWrittenOut) {
  const auto full = [](std::string_view text) { return to_string(value_of(parse_reference(text))); };
  EXPECT_EQ(full("docker.io/alpine"), "docker.io/library/alpine:latest");
  EXPECT_EQ(full("docker.io/library/alpine:3"), "docker.io/library/alpine:3");
  EXPECT_EQ(full("index.docker.io/alpine@" + kDigestA), "docker.io/library/alpine@" + kDigestA);
  EXPECT_EQ(full("docker.io/user/app"), "docker.io/user/app:latest");
}

TEST(References, WhatIsWrittenIsReadBack) {
  for (const std::string& text : {std::string("docker.io/library/alpine:3.20"), "quay.io/a/b@" + kDigestA,
                                  "localhost:5000/x:y@" + kDigestB, std::string("[::1]:1/a:b")}) {
    EXPECT_EQ(to_string(value_of(parse_reference(text))), text);
  }
  EXPECT_EQ(repository_name(value_of(parse_reference("quay.io/a/b:c"))), "quay.io/a/b");
}

TEST(References, AShortNameNamesNoRegistry) {
  for (const char* name : {"alpine", "alpine:3.20", "user/app", "user/app:1.2", "a/b/c", "localhost", "library/a.b"}) {
    EXPECT_TRUE(is_short_name(name)) << name;
  }
  for (const char* name : {"quay.io/a", "localhost/a", "host:5000/a", "localhost:5000/a", "a.b/c/d"}) {
    EXPECT_FALSE(is_short_name(name)) << name;
  }
  EXPECT_TRUE(is_short_name("alpine@" + kDigestA));
}

TEST(References, ShortNamesKeepTheirParts) {
  EXPECT_EQ(value_of(parse_short_name("alpine")), (Reference{"", "alpine", "latest", ""}));
  EXPECT_EQ(value_of(parse_short_name("user/app:1.2")), (Reference{"", "user/app", "1.2", ""}));
  EXPECT_EQ(to_string(value_of(parse_short_name("alpine@" + kDigestA))), "alpine@" + kDigestA);
  EXPECT_EQ(error_of(parse_short_name("quay.io/a")), "\"quay.io/a\" is not a short name: it names a registry");
  EXPECT_EQ(error_of(parse_reference("alpine")),
            "bad image name \"alpine\": it names no registry; write docker.io/alpine or the like");
  EXPECT_THAT(error_of(parse_short_name(std::string(64, 'a'))), HasSubstr("64 hex digits are an image id, not a name"));
}

TEST(References, ErrorsSayWhichPartIsWrong) {
  const auto error = [](std::string_view text) { return error_of(parse_reference(text)); };
  EXPECT_EQ(error(""), "bad image name \"\": it is empty");
  EXPECT_EQ(error("quay.io/Alpine"), "bad image name \"quay.io/Alpine\": a repository is written in lower case");
  EXPECT_EQ(error("quay.io/"), "bad image name \"quay.io/\": the repository is missing");
  EXPECT_EQ(error("quay.io/../a"),
            "bad image name \"quay.io/../a\": bad part \"..\": expected lower-case letters and digits, with '.', '_', "
            "'__' or '-' between them");
  EXPECT_EQ(error("quay.io/a:.x"),
            "bad image name \"quay.io/a:.x\": bad tag \".x\": expected at most 128 letters, digits, '_', '.' and '-', "
            "not beginning with '.' or '-'");
  EXPECT_THAT(error("quay.io/a@sha256:../../x"), HasSubstr("bad digest \"sha256:../../x\": expected sha256: and"));
  EXPECT_EQ(error("quay.io:0/a"),
            "bad image name \"quay.io:0/a\": bad registry \"quay.io:0\": expected a host, perhaps with a :port");
  EXPECT_EQ(error("docker://quay.io/a"),
            "bad image name \"docker://quay.io/a\": expected a name such as quay.io/podman/hello, found a URL");
  EXPECT_EQ(error("quay.io/a\x1b[2m"),
            "bad image name \"quay.io/a\\x1b[2m\": bad part \"a\\x1b[2m\": expected lower-case "
            "letters and digits, with '.', '_', '__' or '-' between them");
}

TEST(References, NothingThatCouldLeaveAPathIsAccepted) {
  for (const char* text : {"../a",
                           "/a",
                           "quay.io//a",
                           "quay.io/a/",
                           "quay.io/a/..",
                           "quay.io/./a",
                           "quay.io/a..b",
                           "quay.io/a___b",
                           "quay.io/a._b",
                           "quay.io/-a",
                           "quay.io/a-",
                           "quay.io/a b",
                           "quay.io/a:",
                           "quay.io/a:../x",
                           "quay.io/a:x/../y",
                           "quay.io/a@",
                           "quay.io/a@b@c",
                           "quay.io/a:b:c",
                           "quay..io/a",
                           ".quay.io/a",
                           "quay.io./a",
                           "-q.io/a",
                           "q.io-/a",
                           "q.io:/a",
                           "q.io:65536/a",
                           "q.io:1:2/a",
                           "q.io:+1/a",
                           "[]/a.b",
                           "[::1/a",
                           "[::g]/a",
                           "[::1]:/a",
                           "q_.io/a",
                           "quay.io/\xc3\xa9",
                           "quay.io/a?x",
                           "quay.io/a%2f",
                           "quay.io/a#b",
                           "user@quay.io/a"}) {
    EXPECT_NE(error_of(parse_reference(text)), "no error") << text;
  }
  EXPECT_NE(error_of(parse_reference(std::string_view("quay.io/a\0b", 11))), "no error");
}

TEST(References, LengthsAreLimited) {
  const std::string longest = "quay.io/" + std::string(255, 'a');
  EXPECT_EQ(error_of(parse_reference(longest + ":" + std::string(128, 't'))), "no error");
  EXPECT_THAT(error_of(parse_reference(longest + "a")), HasSubstr("the repository is longer than 255 bytes"));
  EXPECT_THAT(error_of(parse_reference("docker.io/" + std::string(250, 'a'))),
              HasSubstr("the repository is longer than 255 bytes"));
  EXPECT_THAT(error_of(parse_reference("quay.io/a:" + std::string(129, 't'))), HasSubstr("bad tag"));
  EXPECT_EQ(error_of(parse_reference("quay.io/a:" + std::string(5000, 't'))), "bad image name: longer than 1024 bytes");
}

TEST(References, ErrorsStayShort) {
  EXPECT_LT(error_of(parse_reference("quay.io/" + std::string(1000, '\x01'))).size(), 1200u);
  EXPECT_LT(error_of(parse_reference("quay.io/a@" + std::string(1000, '\x01'))).size(), 1200u);
}

}  // namespace
}  // namespace moss::oci
