// Users' profile files: our form, Podman's, Docker's.
#include "profile.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf_evaluator.hh"
#include "compile.hh"
#include "default.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/file.hh"

namespace moss::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const ProfileTarget kTarget{"SCMP_ARCH_X86_64", false, {"CAP_SYS_ADMIN"}, {6, 1}};

oci::Seccomp chosen(std::string_view text, const ProfileTarget& target = kTarget) {
  const auto profile = parse_profile(text);
  EXPECT_TRUE(profile.ok()) << profile.error().to_string();
  return profile.ok() ? select(*profile, target) : oci::Seccomp{};
}

std::vector<std::string> names(const oci::Seccomp& policy) {
  std::vector<std::string> out;
  for (const oci::SeccompRule& rule : policy.syscalls) out.insert(out.end(), rule.names.begin(), rule.names.end());
  return out;
}

std::string complaint(std::string_view text) {
  const auto profile = parse_profile(text);
  return profile.ok() ? "none" : profile.error().to_string();
}

TEST(SeccompProfiles, APodmanProfileBecomesThePolicyOfItsTarget) {
  const oci::Seccomp policy = chosen(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
    "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
      {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 16, "valueTwo": 3, "op": "SCMP_CMP_EQ"}],
       "errnoRet": 22, "errno": "EINVAL"},
      {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "args": null}]})");
  oci::Seccomp wanted;
  wanted.default_action = "SCMP_ACT_ERRNO";
  wanted.default_errno_ret = 38;
  wanted.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
  wanted.syscalls = {
      {.names = {"read", "write"}, .action = "SCMP_ACT_ALLOW"},
      {.names = {"socket"}, .action = "SCMP_ACT_ERRNO", .errno_ret = 22, .args = {{0, 16, 3, "SCMP_CMP_EQ"}}},
      {.names = {"bpf"}, .action = "SCMP_ACT_ALLOW"},
  };
  EXPECT_EQ(policy, wanted);
}

TEST(SeccompProfiles, IncludesAndExcludesChooseRules) {
  const char* text = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["with"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["with-two"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"]}},
    {"names": ["without"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
    {"names": ["amd64"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x32"]}},
    {"names": ["arm64"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
    {"names": ["not-amd64"], "action": "SCMP_ACT_ALLOW", "excludes": {"arches": ["amd64"]}},
    {"names": ["4.8"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
    {"names": ["6.2"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "6.2"}}]})";
  EXPECT_THAT(names(chosen(text)), ElementsAre("with", "amd64", "4.8"));
  EXPECT_THAT(names(chosen(text, {"SCMP_ARCH_AARCH64", false, {}, {7, 0}})),
              ElementsAre("without", "arm64", "not-amd64", "4.8", "6.2"));
}

TEST(SeccompProfiles, ErrnosMayBeNamed) {
  const auto policy = chosen(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSYS",
    "syscalls": [{"name": "read", "action": "SCMP_ACT_ERRNO", "errno": "EACCES"}]})");
  EXPECT_EQ(policy.default_errno_ret, uint32_t{ENOSYS});
  EXPECT_EQ(policy.syscalls[0].errno_ret, uint32_t{EACCES});
  EXPECT_THAT(names(policy), ElementsAre("read"));
}

TEST(SeccompProfiles, ACasesValuesAreAlternativesAndItsArgumentsAllMatch) {
  const auto policy =
      chosen(R"({"format": "moss-seccomp-1", "default": "ENOSYS", "constants": {"TWO": 2, "HEX": "0x10"},
    "groups": [{"name": "n", "why": "w", "calls": ["socket"], "cases": [
      {"arg0": [1, "TWO"], "arg2": ["HEX"], "do": "allow"},
      {"arg0": [9], "without": ["CAP_SYS_ADMIN"], "do": "EINVAL"},
      {"do": "EPERM"}]}]})");
  const auto equals = [](uint32_t index, uint64_t value) {
    return oci::SeccompArg{index, 0xffffffff, value, "SCMP_CMP_MASKED_EQ"};
  };
  EXPECT_THAT(
      policy.syscalls,
      ElementsAre(
          oci::SeccompRule{.names = {"socket"}, .action = "SCMP_ACT_ALLOW", .args = {equals(0, 1), equals(2, 16)}},
          oci::SeccompRule{.names = {"socket"}, .action = "SCMP_ACT_ALLOW", .args = {equals(0, 2), equals(2, 16)}},
          oci::SeccompRule{.names = {"socket"},
                           .action = "SCMP_ACT_ERRNO",
                           .errno_ret = EPERM,
                           .args = {{0, 0, 0, "SCMP_CMP_GE"}}}));
  EXPECT_THAT(policy.architectures, ElementsAre("SCMP_ARCH_X86_64"));
}

TEST(SeccompProfiles, NeedsAndOtherwiseAreTwoSidesOfACapability) {
  const char* text = R"({"format": "moss-seccomp-1", "default": "ENOSYS", "groups": [
    {"name": "n", "why": "w", "calls": ["bpf"], "needs": ["CAP_SYS_ADMIN"], "otherwise": "EPERM"}]})";
  EXPECT_THAT(chosen(text).syscalls, ElementsAre(oci::SeccompRule{.names = {"bpf"}, .action = "SCMP_ACT_ALLOW"}));
  EXPECT_THAT(chosen(text, {"SCMP_ARCH_X86_64", false, {}, {}}).syscalls,
              ElementsAre(oci::SeccompRule{.names = {"bpf"}, .action = "SCMP_ACT_ERRNO", .errno_ret = EPERM}));
}

TEST(SeccompProfiles, CompatAddsThe32BitArchitecture) {
  EXPECT_THAT(chosen(R"({"defaultAction": "SCMP_ACT_ALLOW"})", {"SCMP_ARCH_AARCH64", true, {}, {}}).architectures,
              ElementsAre("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"));
}

TEST(SeccompProfiles, WhatIsWrongIsSaidWithItsPlace) {
  EXPECT_EQ(complaint("{"), "not valid JSON");
  EXPECT_EQ(complaint("[]"), "expected an object, found array");
  EXPECT_EQ(complaint("{}"), "profile.defaultAction: missing");
  EXPECT_EQ(complaint(R"({"defaultAction": 3})"), "profile.defaultAction: expected text, found number");
  EXPECT_EQ(complaint(R"({"defaultAction": "A", "syscalls": {}})"), "profile.syscalls: expected a list, found object");
  EXPECT_EQ(complaint(R"({"defaultAction": "A", "syscalls": [{"action": "B"}]})"),
            "profile.syscalls[0]: names no system call");
  EXPECT_EQ(complaint(R"({"defaultAction": "A", "syscalls": [{"names": ["a", 1]}]})"),
            "profile.syscalls[0].names[1]: expected text, found number");
  EXPECT_EQ(complaint(R"({"defaultAction": "A", "syscalls": [{"names": ["a"], "args": [{"index": 6}]}]})"),
            "profile.syscalls[0].args[0].index: expected an integer in 0..5");
  EXPECT_EQ(complaint(R"({"defaultAction": "A", "syscalls": [{"names": ["a"], "errno": "EWHAT"}]})"),
            "profile.syscalls[0].errno: unknown error name \"EWHAT\"");
  EXPECT_EQ(complaint(R"({"format": "moss-seccomp-9"})"),
            "profile.format: this moss reads \"moss-seccomp-1\", not \"moss-seccomp-9\"");
  EXPECT_EQ(complaint(R"({"format": "moss-seccomp-1", "default": "EPERM", "groups": [{"calls": ["a"], "neds": []}]})"),
            "profile.groups[0]: unknown field \"neds\"");
  EXPECT_EQ(complaint(std::string(100, '[')), "nested more than 32 deep");
}

class SeccompProfileFiles : public testing::Test {
 protected:
  std::string write(std::string_view text) {
    auto made = sys::TemporaryDir::create(testing::TempDir(), "moss-profile-");
    EXPECT_TRUE(made.ok());
    folder_.emplace(std::move(*made));
    const std::string path = folder_->path() + "/profile.json";
    EXPECT_TRUE(sys::create_file(path, text).ok());
    return path;
  }
  std::optional<sys::TemporaryDir> folder_;
};

TEST_F(SeccompProfileFiles, ErrorsNameTheFile) {
  const std::string path = write("{]");
  EXPECT_EQ(load_seccomp_profile(path, {}).error().to_string(), "seccomp profile " + path + ": not valid JSON");
  EXPECT_THAT(load_seccomp_profile("/no/such/file", {}).error().to_string(),
              testing::AllOf(HasSubstr("/no/such/file"), HasSubstr("No such file")));
}

TEST_F(SeccompProfileFiles, OurDefaultAsAFileIsTheDefault) {
  const std::vector<std::string> held = {"CAP_SYS_CHROOT"};
  const auto policy = load_seccomp_profile(MOSS_DEFAULT_PROFILE, held);
  ASSERT_TRUE(policy.ok()) << policy.error().to_string();
  EXPECT_EQ(*policy, default_seccomp_policy(held));
  EXPECT_EQ(seccomp_filter(*policy)->program().data(), default_seccomp_filter(held)->program().data());
}

TEST_F(SeccompProfileFiles, PodmansOwnFileLoadsAndCompiles) {
  const char* path = "/usr/share/containers/seccomp.json";
  if (!sys::exists(path)) GTEST_SKIP() << "no " << path << " (package golang-github-containers-common)";
  for (const std::vector<std::string>& held : {std::vector<std::string>{}, {"CAP_SYS_CHROOT", "CAP_SYS_ADMIN"}}) {
    const auto policy = load_seccomp_profile(path, held);
    ASSERT_TRUE(policy.ok()) << policy.error().to_string();
    const auto filter = compile_seccomp(*policy);
    ASSERT_TRUE(filter.ok()) << filter.error().to_string();
    EXPECT_TRUE(is_well_formed(filter->program()));
    EXPECT_EQ(test::run_filter(filter->program(), AUDIT_ARCH_X86_64, 9999), test::refused(ENOSYS));
  }
}

}  // namespace
}  // namespace moss::runtime
