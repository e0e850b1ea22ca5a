// A container's state as others read it, and moss's record of it.
#include "moss/oci/state.hh"

#include <gmock/gmock.h>

#include "expect.hh"

namespace moss::oci {
namespace {

using ::testing::HasSubstr;

ContainerRecord full_record() {
  return {
      .id = "web",
      .bundle = "/b\"\n",
      .rootfs = "/b/rootfs",
      .created = "2026-11-27T10:00:00Z",
      .owner = 1001,
      .annotations = {{"a", "b\nc"}},
      .pid = 42,
      .start_time = UINT64_MAX,
      .pidfd_inode = 7,
      .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
      .own_pid_namespace = true,
      .cgroup = {.folders = {{"", "/sys/fs/cgroup/web"}, {"cpu,cpuacct", "/sys/fs/cgroup/cpu/web"}},
                 .made = {"/sys/fs/cgroup/web"},
                 .unit = "moss-web.scope",
                 .user_bus = true,
                 .rootless = true},
      .has_poststart = true,
      .has_poststop = true,
      .steps = {"load the seccomp filter", "execute sh"},
      .first_step = 30,
      .command = "sh",
  };
}

TEST(ContainerRecord, ComesBackAsItWasWritten) {
  const Result<ContainerRecord> back = decode_record(encode_record(full_record()));
  ASSERT_TRUE(back.ok()) << back.error().to_string();
  EXPECT_EQ(*back, full_record());
}

TEST(ContainerRecord, CutOffAnywhereIsAnErrorAndNoContainer) {
  const std::string whole = encode_record(full_record());
  for (size_t length = 0; length < whole.size(); ++length) {
    const Result<ContainerRecord> record = decode_record(std::string_view(whole).substr(0, length));
    ASSERT_FALSE(record.ok()) << "cut at " << length;
    EXPECT_THAT(record.error().to_string(), HasSubstr("state.json"));
  }
}

TEST(ContainerRecord, OfAnotherVersionIsRefusedByNumber) {
  ContainerRecord record = full_record();
  record.version = 2;
  const Result<ContainerRecord> read = decode_record(encode_record(record));
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().to_string(), HasSubstr("state.json: version: expected 1"));
}

TEST(ContainerRecord, GarbageIsAnError) {
  for (const char* text : {"", "null", "[]", "{}", "\177ELF", "{\"version\":1}", "{\"version\":1,\"pid\":-1}"}) {
    EXPECT_FALSE(decode_record(text).ok()) << text;
  }
}

TEST(State, HasWhatTheSpecRequiresAndThePidAlsoWhenStopped) {
  const State state{.id = "web", .status = "stopped", .bundle = "/b"};
  EXPECT_EQ(encode_hook_state(state), R"({"ociVersion":"1.3.0","id":"web","pid":0,"status":"stopped","bundle":"/b"})");
}

TEST(State, ComesBackAsItWasWritten) {
  const State state{.id = "web", .status = "running", .pid = 5, .bundle = "/b", .annotations = {{"a", "b"}}};
  const Result<State> back = decode_state(encode_state(state));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, state);
}

}  // namespace
}  // namespace moss::oci
