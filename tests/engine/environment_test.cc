// Where a workload's variables come from.
#include "src/engine/containers/environment.hh"

#include <gmock/gmock.h>
#include <stdlib.h>

#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class EnvironmentOf : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    ::setenv("MOSS_TEST_ONE", "1", 1);
    ::setenv("MOSS_TEST_TWO", "a=b", 1);
    ::unsetenv("MOSS_TEST_NONE");
  }
};

TEST_F(EnvironmentOf, ALaterValueReplacesAnEarlierOne) {
  Environment env({"A=1", "AB=2"});
  env.set("A", "3");
  EXPECT_TRUE(env.has("A"));
  EXPECT_FALSE(env.has("B"));
  EXPECT_THAT(std::move(env).take(), ElementsAre("AB=2", "A=3"));
}

TEST_F(EnvironmentOf, ABareNameTakesTheCallersValueIfThereIsOne) {
  Environment env;
  for (const char* text : {"MOSS_TEST_TWO", "MOSS_TEST_NONE", "SET=x=y", "EMPTY="}) {
    EXPECT_TRUE(env.add_from_caller(text).ok()) << text;
  }
  for (const char* text : {"=nothing", "=", ""}) EXPECT_FALSE(env.add_from_caller(text).ok()) << text;
  EXPECT_THAT(std::move(env).take(), ElementsAre("MOSS_TEST_TWO=a=b", "SET=x=y", "EMPTY="));
}

TEST_F(EnvironmentOf, AStarTakesAllThatBeginSo) {
  Environment env;
  ASSERT_TRUE(env.add_from_caller("MOSS_TEST_*").ok());
  EXPECT_THAT(std::move(env).take(), ::testing::UnorderedElementsAre("MOSS_TEST_ONE=1", "MOSS_TEST_TWO=a=b"));
}

TEST_F(EnvironmentOf, AFileHasOneALine) {
  write(path("env"), "# comment\n\n  A=1\r\nB=two words \nMOSS_TEST_ONE\nMOSS_TEST_NONE\n");
  Environment env;
  ASSERT_TRUE(env.add_file(path("env")).ok());
  EXPECT_THAT(std::move(env).take(), ElementsAre("A=1", "B=two words ", "MOSS_TEST_ONE=1"));
}

TEST_F(EnvironmentOf, AMissingFileIsAnError) {
  Environment env;
  EXPECT_EQ(error_of(env.add_file(path("none"))),
            cat("--env-file: open ", path("none"), ": No such file or directory"));
  EXPECT_THAT(std::move(env).take(), IsEmpty());
}

}  // namespace
}  // namespace moss::engine
