// Seccomp profiles in files of their own.
#include "moss/oci/seccomp.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expect.hh"

namespace moss::oci {
namespace {

using ::testing::HasSubstr;

TEST(SeccompProfile, IsReadAndWrittenBack) {
  const Seccomp seccomp = value_of(decode_seccomp(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "architectures": ["SCMP_ARCH_X86_64"], "flags": null, "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": []},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
         "args": [{"index": 5, "value": 18446744073709551615, "op": "SCMP_CMP_EQ"}]}]})"));
  Seccomp expected;
  expected.default_action = "SCMP_ACT_ERRNO";
  expected.default_errno_ret = 1;
  expected.architectures = {"SCMP_ARCH_X86_64"};
  expected.syscalls = {{.names = {"read"}, .action = "SCMP_ACT_ALLOW"},
                       {.names = {"clone"},
                        .action = "SCMP_ACT_ERRNO",
                        .errno_ret = 38,
                        .args = {{.index = 5, .value = UINT64_MAX, .op = "SCMP_CMP_EQ"}}}};
  EXPECT_EQ(seccomp, expected);
  EXPECT_EQ(value_of(decode_seccomp(encode_seccomp(seccomp))), seccomp);
}

TEST(SeccompProfile, ErrorsNameTheJsonPath) {
  EXPECT_EQ(error_of(decode_seccomp("{}")), "seccomp profile: defaultAction is missing");
  EXPECT_EQ(error_of(decode_seccomp(R"({"defaultAction": "x", "syscalls": [{"names": ["read"]}]})")),
            "seccomp profile: syscalls[0]: action is missing");
  EXPECT_EQ(error_of(decode_seccomp(R"({"syscalls": [{"args": [{"value": -1}]}]})")),
            "seccomp profile: syscalls[0].args[0].value: expected an integer in 0..2^64-1, found -1");
}

// Read as the runtime-spec's form, its conditions would be lost, and more allowed than it says.
TEST(SeccompProfile, DockersFormIsRefused) {
  EXPECT_THAT(error_of(decode_seccomp(R"({"defaultAction": "x", "archMap": []})")),
              HasSubstr("seccomp profile: archMap: this profile is in Docker's form"));
  EXPECT_THAT(error_of(decode_seccomp(R"({"syscalls": [{"names": ["bpf"], "includes": {"caps": ["CAP_BPF"]}}]})")),
              HasSubstr("seccomp profile: syscalls[0].includes: this profile is in Docker's form"));
}

}  // namespace
}  // namespace moss::oci
