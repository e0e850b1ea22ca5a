// Device rules: what the eBPF program of v2 answers, and the same rules as writes for v1.
#include <gmock/gmock.h>

#include "moss/runtime/cgroup.hh"
#include "tests/cgroup/ebpf_evaluator.hh"

namespace moss::runtime {
namespace {

using Rules = std::vector<oci::DeviceRule>;

oci::DeviceRule rule(bool allow, const char* type, std::optional<int64_t> major, std::optional<int64_t> minor,
                     const char* access) {
  return {.allow = allow, .type = type, .major = major, .minor = minor, .access = access};
}
oci::DeviceRule allow(const char* type, std::optional<int64_t> major, std::optional<int64_t> minor,
                      const char* access) {
  return rule(true, type, major, minor, access);
}
oci::DeviceRule deny(const char* type, std::optional<int64_t> major, std::optional<int64_t> minor, const char* access) {
  return rule(false, type, major, minor, access);
}
const oci::DeviceRule kDenyAll = deny("a", {}, {}, "rwm");

uint32_t access_bits(std::string_view access) {
  uint32_t bits = 0;
  for (const char c : access) {
    bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return bits;
}

// May a container with these rules do that to that device?
bool may(const Rules& rules, char type, uint32_t major, uint32_t minor, std::string_view access) {
  const std::vector<bpf_insn> program = device_filter(rules).value();
  if (program.empty()) return true;
  const uint32_t kind = type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK;
  return test::run_device_filter(program, {access_bits(access) << 16 | kind, major, minor}) == 1;
}

std::string error_of(const Rules& rules) {
  const auto program = device_filter(rules);
  return program.ok() ? "no error" : program.error().to_string();
}

TEST(DeviceFilter, WithoutRulesOnlyTheDefaultDevicesAreThere) {
  for (const auto& [major, minor] :
       {std::pair(1, 3), {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, 0}, {136, 99}}) {
    EXPECT_TRUE(may({}, 'c', major, minor, "rw")) << major << ':' << minor;
  }
  EXPECT_FALSE(may({}, 'c', 1, 1, "r"));  // memory
  EXPECT_FALSE(may({}, 'b', 8, 0, "r"));
  EXPECT_FALSE(may({}, 'b', 1, 3, "r"));  // a block device is not the character device of that number
  EXPECT_FALSE(may({}, 'c', 10, 200, "rw"));
}

TEST(DeviceFilter, NodesMayBeMadeButNotOpened) {
  EXPECT_TRUE(may({}, 'b', 8, 0, "m"));
  EXPECT_TRUE(may({kDenyAll}, 'c', 1, 1, "m"));
  EXPECT_FALSE(may({}, 'b', 8, 0, "rm"));
}

TEST(DeviceFilter, TheLastMatchDecides) {
  EXPECT_TRUE(may({kDenyAll, allow("c", 10, 229, "rwm")}, 'c', 10, 229, "rw"));
  EXPECT_FALSE(may({allow("c", 10, 229, "rwm"), kDenyAll}, 'c', 10, 229, "rw"));
  EXPECT_FALSE(may({allow("c", 10, {}, "rwm"), deny("c", 10, 229, "rwm")}, 'c', 10, 229, "r"));
  EXPECT_TRUE(may({allow("c", 10, {}, "rwm"), deny("c", 10, 229, "rwm")}, 'c', 10, 200, "r"));
}

TEST(DeviceFilter, EachAccessIsDecidedByItself) {
  const Rules read_then_write = {allow("b", 8, 0, "r"), allow("b", 8, 0, "w")};
  EXPECT_TRUE(may(read_then_write, 'b', 8, 0, "rw"));
  const Rules all_but_write = {allow("b", 8, 0, "rwm"), deny("b", 8, 0, "w")};
  EXPECT_TRUE(may(all_but_write, 'b', 8, 0, "r"));
  EXPECT_FALSE(may(all_but_write, 'b', 8, 0, "w"));
  EXPECT_FALSE(may(all_but_write, 'b', 8, 0, "rw"));
  EXPECT_FALSE(may({allow("b", 8, 0, "r")}, 'b', 8, 0, "rw"));
}

TEST(DeviceFilter, AbsentNumbersMeanAllOfThem) {
  EXPECT_TRUE(may({allow("b", 8, {}, "r")}, 'b', 8, 17, "r"));
  EXPECT_TRUE(may({allow("b", {}, 3, "r")}, 'b', 99, 3, "r"));
  EXPECT_TRUE(may({allow("", {}, {}, "r")}, 'b', 99, 3, "r"));
  EXPECT_FALSE(may({allow("", {}, {}, "r")}, 'c', 99, 3, "w"));
  EXPECT_TRUE(may({allow("b", -1, -1, "r")}, 'b', 99, 3, "r"));  // an older way to say so
  EXPECT_TRUE(may({allow("b", 8, 0, "")}, 'b', 8, 0, "rwm"));
}

TEST(DeviceFilter, APrivilegedContainerNeedsNone) {
  EXPECT_TRUE(device_filter({kDenyAll, allow("a", {}, {}, "rwm")}).value().empty());
  EXPECT_FALSE(device_filter({allow("a", {}, {}, "rwm"), deny("b", 8, 0, "rwm")}).value().empty());
  EXPECT_FALSE(may({allow("a", {}, {}, "rwm"), deny("b", 8, 0, "rwm")}, 'b', 8, 0, "r"));
  EXPECT_TRUE(may({allow("a", {}, {}, "rwm"), deny("b", 8, 0, "rwm")}, 'b', 8, 1, "rw"));
}

TEST(DeviceFilter, NonsenseIsRefused) {
  EXPECT_EQ(error_of({allow("x", {}, {}, "r")}), "devices: type \"x\" is not a, b or c");
  EXPECT_EQ(error_of({allow("c", 1, 3, "rx")}), "devices: access \"rx\" has more than r, w and m");
  EXPECT_EQ(error_of({allow("c", 5000, 3, "r")}), "devices: major 5000 is not in 0..4095");
  EXPECT_EQ(error_of({allow("c", 1, -7, "r")}), "devices: minor -7 is not in 0..1048575");
}

// ---- v1 ----

std::string v1(const Rules& rules) {
  oci::Resources resources;
  resources.devices = rules;
  const auto writes = cgroup_writes_v1(resources);
  if (!writes.ok()) return "error: " + writes.error().to_string();
  std::string out;
  for (const CgroupWrite& write : *writes) {
    out += cat(write.file == "devices.allow" ? "+" : "-", write.value, '\n');
  }
  return out;
}

constexpr std::string_view kDefaults =
    "+c *:* m\n+b *:* m\n+c 1:3 rwm\n+c 1:5 rwm\n+c 1:7 rwm\n+c 1:8 rwm\n+c 1:9 rwm\n+c 5:0 rwm\n+c 5:2 rwm\n"
    "+c 136:* rwm\n";

TEST(DeviceWritesV1, DenyAllThenRulesThenDefaults) {
  EXPECT_EQ(v1({}), cat("-a\n", kDefaults));
  EXPECT_EQ(v1({kDenyAll, allow("c", 10, 229, "rw"), allow("a", 7, {}, "r")}),
            cat("-a\n+c 10:229 rw\n+c 7:* r\n+b 7:* r\n", kDefaults));
  EXPECT_EQ(v1({kDenyAll, allow("a", {}, {}, "rwm")}), "+a\n");
}

TEST(DeviceWritesV1, AllOfOneNumberIsNotAll) {
  // The kernel takes "a 8:0 rwm" for "a", and would open everything.
  EXPECT_EQ(v1({allow("a", 8, 0, "rwm")}), cat("-a\n+c 8:0 rwm\n+b 8:0 rwm\n", kDefaults));
}

TEST(DeviceWritesV1, WhatAListOfExceptionsCannotSayIsRefused) {
  EXPECT_EQ(v1({kDenyAll, allow("c", 10, {}, "rwm"), deny("c", 10, 229, "w")}),
            "error: devices: cgroup v1 cannot deny c 10:229 w out of what an earlier rule allows, c 10:* rwm");
  EXPECT_EQ(v1({kDenyAll, allow("c", 10, 229, "rwm"), deny("c", 10, 229, "w")}),
            cat("-a\n+c 10:229 rwm\n-c 10:229 w\n", kDefaults));
}

}  // namespace
}  // namespace moss::runtime
