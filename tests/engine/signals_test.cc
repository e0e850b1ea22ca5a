// Names and numbers of signals.
#include <gtest/gtest.h>
#include <signal.h>

#include "moss/engine/container.hh"

namespace moss::engine {
namespace {

TEST(ParseSignal, TakesNamesInAnyFormAndNumbers) {
  const std::pair<const char*, int> signals[] = {{"TERM", SIGTERM},   {"SIGTERM", SIGTERM}, {"sigkill", SIGKILL},
                                                 {"Hup", SIGHUP},     {"15", 15},           {"64", 64},
                                                 {"WINCH", SIGWINCH}, {"RTMIN", 34},        {"SIGRTMIN+3", 37},
                                                 {"RTMAX", 64},       {"RTMAX-1", 63},      {"SYS", SIGSYS}};
  for (const auto& [name, number] : signals) {
    ASSERT_TRUE(parse_signal(name).ok()) << name;
    EXPECT_EQ(*parse_signal(name), number) << name;
  }
}

TEST(ParseSignal, RefusesTheRest) {
  for (const char* name : {"", "0", "-1", "65", "SIG", "NOPE", "TERM ", "RTMIN+31", "RTMIN-1", "RTMAX+1", "RTMIN+",
                           "RTMIN+-1", "15x", "SIGSIGTERM"}) {
    const Result<int> parsed = parse_signal(name);
    EXPECT_FALSE(parsed.ok()) << name;
  }
  EXPECT_EQ(parse_signal("\x1b[2J").error().to_string(), "no signal \\x1b[2J");
}

}  // namespace
}  // namespace moss::engine
