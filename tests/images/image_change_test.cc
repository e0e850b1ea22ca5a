// The instructions of `import --change`.
#include "moss/engine/image_change.hh"

#include <gmock/gmock.h>

namespace moss::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

oci::ImageRunConfig changed(std::initializer_list<std::string_view> instructions) {
  oci::ImageRunConfig config;
  for (const std::string_view instruction : instructions) {
    const Result<Ok> done = apply_change(config, instruction);
    EXPECT_TRUE(done.ok()) << done.error().to_string();
  }
  return config;
}

std::string complaint(std::string_view instruction) {
  oci::ImageRunConfig config;
  config.cmd = {"before"};
  const oci::ImageRunConfig before = config;
  const Result<Ok> done = apply_change(config, instruction);
  EXPECT_EQ(config, before);
  return done.ok() ? "no error" : done.error().to_string();
}

TEST(ImageChange, CommandsAreListsOrLinesForAShell) {
  EXPECT_THAT(changed({"CMD [\"sh\", \"-l\"]"}).cmd, ElementsAre("sh", "-l"));
  EXPECT_THAT(changed({"CMD=sh -l"}).cmd, ElementsAre("/bin/sh", "-c", "sh -l"));
  EXPECT_THAT(changed({"entrypoint=[\"/init\"]"}).entrypoint, ElementsAre("/init"));
  EXPECT_THAT(changed({"CMD a", "CMD b"}).cmd, ElementsAre("/bin/sh", "-c", "b"));
}

TEST(ImageChange, VariablesAndLabelsAreNamedOnce) {
  EXPECT_THAT(changed({"ENV A=1 B='two words'", "ENV=A=3", "ENV C four"}).env,
              ElementsAre("B=two words", "A=3", "C=four"));
  EXPECT_THAT(changed({"LABEL a=\"x y\" b=", "LABEL=b=2"}).labels, ElementsAre(Pair("a", "x y"), Pair("b", "2")));
}

TEST(ImageChange, SetsGrow) {
  EXPECT_THAT(changed({"EXPOSE 80 53/udp", "EXPOSE=80/tcp"}).exposed_ports, ElementsAre("53/udp", "80/tcp"));
  EXPECT_THAT(changed({"VOLUME /b /a", "VOLUME [\"/b\"]"}).volumes, ElementsAre("/a", "/b"));
}

TEST(ImageChange, TheRestIsOneWord) {
  const oci::ImageRunConfig config = changed({" USER  1000:10 ", "WORKDIR=/work", "STOPSIGNAL SIGINT"});
  EXPECT_EQ(config.user, "1000:10");
  EXPECT_EQ(config.working_dir, "/work");
  EXPECT_EQ(config.stop_signal, "SIGINT");
}

TEST(ImageChange, WhatIsWrongIsToldAndNothingChanges) {
  EXPECT_THAT(complaint("RUN ls"), HasSubstr("change \"RUN ls\": only CMD, ENTRYPOINT"));
  EXPECT_THAT(complaint(""), HasSubstr("it has no value"));
  EXPECT_THAT(complaint("CMD"), HasSubstr("change \"CMD\": it has no value"));
  EXPECT_THAT(complaint("CMD [1]"), HasSubstr("a JSON list of strings is wanted"));
  EXPECT_THAT(complaint("CMD [\"a\""), HasSubstr("a JSON list of strings is wanted"));
  EXPECT_THAT(complaint("VOLUME [\"/a\", 1]"), HasSubstr("a JSON list of strings is wanted"));
  EXPECT_THAT(complaint("ENV A='1"), HasSubstr("a quote is not closed"));
  EXPECT_THAT(complaint("ENV A=1 B"), HasSubstr("NAME=VALUE is wanted, not \"B\""));
  EXPECT_THAT(complaint("LABEL =x"), HasSubstr("NAME=VALUE is wanted"));
}

}  // namespace
}  // namespace moss::engine
