// A container's scope in systemd's words.
#include "runtime/cgroup/unit.hh"

#include <gmock/gmock.h>

namespace moss::runtime {
namespace {

std::string named(const std::string& path, const std::string& id, bool user) {
  const Result<ScopeName> name = scope_name(path, id, user);
  return name.ok() ? cat(name->slice, ' ', name->unit) : "error: " + name.error().to_string();
}

TEST(ScopeName, ComesFromThePathOrTheId) {
  EXPECT_EQ(named("", "web", false), "system.slice moss-web.scope");
  EXPECT_EQ(named("", "web", true), "user.slice moss-web.scope");
  EXPECT_EQ(named("machine.slice:libpod:abc", "web", false), "machine.slice libpod-abc.scope");
  EXPECT_EQ(named("::abc", "web", true), "user.slice abc.scope");
  EXPECT_EQ(named("", "a+b", false), "system.slice moss-a\\x2bb.scope");
}

TEST(ScopeName, OtherFormsAreRefused) {
  EXPECT_EQ(named("/a/b", "web", false),
            "error: linux.cgroupsPath: for systemd it is \"slice:prefix:name\", not \"/a/b\"");
  EXPECT_EQ(named("a:b:", "web", false),
            "error: linux.cgroupsPath: for systemd it is \"slice:prefix:name\", not \"a:b:\"");
  EXPECT_EQ(named("a:b:c", "web", false), "error: linux.cgroupsPath: \"a\" is no slice of systemd's");
  EXPECT_EQ(named("../x.slice:b:c", "web", false), "error: linux.cgroupsPath: \"../x.slice\" is no slice of systemd's");
}

std::string texts(const std::vector<UnitProperty>& properties) {
  std::string out;
  for (const UnitProperty& property : properties) {
    out += cat(property.name, ' ', property.signature, ' ', join(property.values, ","), '\n');
  }
  return out;
}

std::string scoped(std::string_view json, bool v2 = true) {
  const auto properties = scope_properties(oci::decode_resources(json).value(), v2);
  return properties.ok() ? texts(*properties) : "error: " + properties.error().to_string();
}

TEST(ScopeProperties, OfLimits) {
  EXPECT_EQ(scoped(R"({"memory": {"limit": 4096, "swap": 8192, "reservation": 1024}, "pids": {"limit": -1},
                       "cpu": {"shares": 1024, "quota": 15000, "period": 100000, "cpus": "0-1,9", "mems": "0"}})"),
            "MemorySwapMax t 4096\n"
            "MemoryMax t 4096\n"
            "MemoryLow t 1024\n"
            "CPUWeight t 100\n"
            "TasksMax t 18446744073709551615\n"
            "CPUQuotaPerSecUSec t 150000\n"
            "CPUQuotaPeriodUSec t 100000\n"
            "AllowedCPUs ay 3,2\n"
            "AllowedMemoryNodes ay 1\n");
  EXPECT_EQ(scoped(R"({"cpu": {"quota": 15001}})"), "CPUQuotaPerSecUSec t 160000\n");
  EXPECT_EQ(scoped(R"({"cpu": {"quota": -1}})"), "CPUQuotaPerSecUSec t 18446744073709551615\n");
  EXPECT_EQ(scoped(R"({"unified": {"memory.high": "5000", "io.weight": "7"}})"), "MemoryHigh t 5000\n");
}

TEST(ScopeProperties, OfV1HaveTheDevices) {
  EXPECT_EQ(scoped(R"({"memory": {"limit": 4096}, "devices": [{"allow": true, "access": "rwm"}]})", false),
            "MemoryLimit t 4096\n");
  EXPECT_EQ(
      scoped(R"({"devices": [{"allow": false}, {"allow": true, "type": "b", "major": 8, "access": "r"}]})", false),
      "DevicePolicy s strict\n"
      "DeviceAllow a(ss) block-8,r,char-*,m,block-*,m,/dev/char/1:3,rwm,/dev/char/1:5,rwm,/dev/char/1:7,rwm,"
      "/dev/char/1:8,rwm,/dev/char/1:9,rwm,/dev/char/5:0,rwm,/dev/char/5:2,rwm,char-136,rwm\n");
}

std::string parsed(const std::string& name, std::string_view text) {
  const Result<UnitProperty> property = parse_property(name, text);
  return property.ok() ? texts({*property}) : "error: " + property.error().to_string() + '\n';
}

TEST(UnitProperties, AreReadFromGVariantText) {
  EXPECT_EQ(parsed("A", "uint64 18446744073709551615"), "A t 18446744073709551615\n");
  EXPECT_EQ(parsed("A", "-5"), "A i -5\n");
  EXPECT_EQ(parsed("A", "1.5"), "A d 1.5\n");
  EXPECT_EQ(parsed("A", "true"), "A b true\n");
  EXPECT_EQ(parsed("A", "'it\\'s'"), "A s it's\n");
  EXPECT_EQ(parsed("A", "\"a b\""), "A s a b\n");
  EXPECT_EQ(parsed("A", "['a', 'b']"), "A as a,b\n");
  EXPECT_EQ(parsed("A", "@as []"), "A as \n");
  EXPECT_EQ(parsed("TimeoutStopSec", "uint64 3"), "TimeoutStopUSec t 3000000\n");
  EXPECT_EQ(parsed("TimeoutStopUSec", "uint64 3"), "TimeoutStopUSec t 3\n");
}

TEST(UnitProperties, NonsenseIsRefused) {
  for (const char* text : {"", "text", "uint32 -1", "byte 256", "'open", "['a'", "[1]", "true false", "uint64",
                           "@t 'x'", "'a\\", "99999999999", "boolean 1"}) {
    EXPECT_THAT(parsed("A", text), testing::StartsWith("error: ")) << text;
  }
  EXPECT_THAT(parsed("TimeoutStopSec", "'x'"), testing::StartsWith("error: "));
}

TEST(UnitProperties, OfAnnotationsReplaceThoseOfLimits) {
  std::vector<UnitProperty> properties = {{"MemoryMax", "t", {"1"}}, {"TasksMax", "t", {"2"}}};
  ASSERT_TRUE(
      add_annotated_properties(properties, {{"org.systemd.property.MemoryMax", "uint64 9"}, {"other", "x"}}).ok());
  EXPECT_EQ(texts(properties), "TasksMax t 2\nMemoryMax t 9\n");
  EXPECT_EQ(add_annotated_properties(properties, {{"org.systemd.property.Memory-Max", "1"}}).error().to_string(),
            "annotation org.systemd.property.Memory-Max: no property of systemd has that name");
  EXPECT_THAT(add_annotated_properties(properties, {{"org.systemd.property.MemoryMax", "x"}}).error().to_string(),
              testing::StartsWith("annotation org.systemd.property.MemoryMax: \"x\" is no value"));
}

}  // namespace
}  // namespace moss::runtime
