// Every step has words, and text from a config or an image comes out harmless.
#include <gtest/gtest.h>

#include <set>
#include <utility>

#include "moss/runtime/step.hh"

namespace moss::runtime {
namespace {

// A step of each kind, its text where it has any.
template <typename S>
Step example() {
  S step{};
  if constexpr (requires { step.source; }) step.source = "/source";
  if constexpr (requires { step.destination; }) step.destination = "/destination";
  if constexpr (requires { step.path; }) step.path = "/path";
  if constexpr (requires { step.target; }) step.target = "/target";
  if constexpr (requires { step.type = "tmpfs"; }) step.type = "tmpfs";
  if constexpr (requires { step.data; }) step.data = "data";
  if constexpr (requires { step.file; }) step.file = "file";
  if constexpr (requires { step.text; }) step.text = "text";
  if constexpr (requires { step.name; }) step.name = "name";
  if constexpr (requires { step.kind; }) step.kind = "kind";
  if constexpr (requires { step.label; }) step.label = "label";
  if constexpr (requires { step.score; }) step.score = "1";
  if constexpr (requires { step.message; }) step.message = Message::ids_mapped;
  return step;
}

template <size_t... I>
std::vector<Step> examples(std::index_sequence<I...>) {
  return {example<std::variant_alternative_t<I, Step>>()...};
}

TEST(Describe, EveryStepHasWordsOfItsOwn) {
  std::set<std::string> seen;
  for (const Step& step : examples(std::make_index_sequence<std::variant_size_v<Step>>())) {
    const std::string words = describe(step);
    EXPECT_FALSE(words.empty()) << "step kind " << step.index();
    EXPECT_TRUE(words.empty() || (words.front() >= 'a' && words.front() <= 'z')) << words;
    EXPECT_TRUE(seen.insert(words).second) << "twice: " << words;
  }
}

TEST(Describe, ControlBytesOfAConfigAreMadeVisible) {
  EXPECT_EQ(describe(SetHostname{"a\nb"}), "set hostname a\\x0ab");
  EXPECT_EQ(describe(Attach{.destination = "/\x1b[2J"}), "mount at /\\x1b[2J");
  const char* const args[] = {"sh", "-c", "a\nb"};
  EXPECT_EQ(describe(Exec{.args = args}), "execute sh -c a\\x0ab");
  const char* const options[] = {"mode=755\n", "size=1k"};
  EXPECT_EQ(describe(PrepareMount{.type = "tmpfs", .options = options}), "make a tmpfs mount: mode=755\\x0a,size=1k");
}

TEST(Describe, SaysWhatMatters) {
  EXPECT_EQ(describe(SetUmask{0022}), "set umask 022");
  EXPECT_EQ(describe(SetRlimit{7, 1024, UINT64_MAX}), "limit resource 7 to 1024:unlimited");
  EXPECT_EQ(describe(DropBounding{0}), "limit capabilities for good to: none");
  EXPECT_EQ(describe(SetAmbient{1 | 1 << 5}), "pass on capabilities: CHOWN, KILL");
  EXPECT_EQ(describe(BecomeRoot{.uid = 0, .gid = 0, .drop_groups = true}), "become id 0:0 and drop every group");
}

}  // namespace
}  // namespace moss::runtime
