// Policies of runtime-spec become filters, or one error that names what is wrong.
#include "compile.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bpf_evaluator.hh"
#include "moss/runtime/seccomp.hh"

namespace moss::runtime {
namespace {

using moss::test::kAllow;
using moss::test::refused;
using moss::test::run_filter;
using moss::test::Verdict;
using testing::HasSubstr;

constexpr std::string_view kX86_64 = "SCMP_ARCH_X86_64";
constexpr uint32_t kRead = 0;
constexpr uint32_t kGetpid = 39;
constexpr uint32_t kClone = 56;

oci::Seccomp policy(std::string default_action, std::vector<oci::SeccompRule> rules = {}) {
  oci::Seccomp out;
  out.default_action = std::move(default_action);
  out.syscalls = std::move(rules);
  return out;
}

Verdict ask(const oci::Seccomp& from, uint32_t number, std::array<uint64_t, 6> args = {},
            uint32_t arch = AUDIT_ARCH_X86_64) {
  const auto program = compile_program(from, kX86_64);
  EXPECT_TRUE(program.ok()) << program.error().to_string();
  EXPECT_TRUE(is_well_formed(*program));
  return run_filter(*program, arch, number, args);
}

std::string complaint(const oci::Seccomp& from) {
  const auto filter = compile_seccomp(from);
  return filter.ok() ? "none" : filter.error().to_string();
}

TEST(CompileSeccomp, EachActionIsItsReturnValue) {
  const std::vector<std::pair<std::string, Verdict>> actions = {
      {"SCMP_ACT_KILL", {SECCOMP_RET_KILL_THREAD, 0}},
      {"SCMP_ACT_KILL_THREAD", {SECCOMP_RET_KILL_THREAD, 0}},
      {"SCMP_ACT_KILL_PROCESS", {SECCOMP_RET_KILL_PROCESS, 0}},
      {"SCMP_ACT_TRAP", {SECCOMP_RET_TRAP, 0}},
      {"SCMP_ACT_ERRNO", {SECCOMP_RET_ERRNO, EPERM}},
      {"SCMP_ACT_TRACE", {SECCOMP_RET_TRACE, EPERM}},
      {"SCMP_ACT_LOG", {SECCOMP_RET_LOG, 0}},
      {"SCMP_ACT_NOTIFY", {SECCOMP_RET_USER_NOTIF, 0}},
  };
  for (const auto& [name, verdict] : actions) {
    const auto from = policy("SCMP_ACT_ALLOW", {{.names = {"getpid"}, .action = name}});
    EXPECT_EQ(ask(from, kGetpid), verdict) << name;
    EXPECT_EQ(ask(from, kRead), kAllow) << name;
  }
}

TEST(CompileSeccomp, ErrnosAreThePolicys) {
  auto from = policy("SCMP_ACT_ERRNO", {{.names = {"getpid"}, .action = "SCMP_ACT_ERRNO", .errno_ret = 13},
                                        {.names = {"clone"}, .action = "SCMP_ACT_TRACE", .errno_ret = 7}});
  from.default_errno_ret = 61;
  EXPECT_EQ(ask(from, kGetpid), refused(13));
  EXPECT_EQ(ask(from, kClone), (Verdict{SECCOMP_RET_TRACE, 7}));
  EXPECT_EQ(ask(from, kRead), refused(61));
}

TEST(CompileSeccomp, EachOperatorComparesWhole64Bits) {
  const uint64_t big = 0x1'0000'0005;
  struct Case {
    const char* op;
    bool below, equal, above;
  };
  for (const auto& [op, below, equal, above] :
       {Case{"SCMP_CMP_NE", true, false, true}, Case{"SCMP_CMP_LT", true, false, false},
        Case{"SCMP_CMP_LE", true, true, false}, Case{"SCMP_CMP_EQ", false, true, false},
        Case{"SCMP_CMP_GE", false, true, true}, Case{"SCMP_CMP_GT", false, false, true}}) {
    const auto from =
        policy("SCMP_ACT_KILL_PROCESS", {{.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .args = {{2, big, 0, op}}}});
    EXPECT_EQ(ask(from, kClone, {0, 0, 5}) == kAllow, below) << op;
    EXPECT_EQ(ask(from, kClone, {0, 0, big}) == kAllow, equal) << op;
    EXPECT_EQ(ask(from, kClone, {0, 0, big + (1ULL << 32)}) == kAllow, above) << op;
  }
}

TEST(CompileSeccomp, MaskedEqualityMasksTheArgument) {
  const auto from =
      policy("SCMP_ACT_KILL_PROCESS",
             {{.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .args = {{0, 0x7e020000, 0, "SCMP_CMP_MASKED_EQ"}}}});
  EXPECT_EQ(ask(from, kClone, {0x11}), kAllow);
  EXPECT_NE(ask(from, kClone, {0x10000011}), kAllow);
}

TEST(CompileSeccomp, DifferentArgumentsMustAllMatch) {
  const auto from = policy(
      "SCMP_ACT_KILL_PROCESS",
      {{.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .args = {{0, 1, 0, "SCMP_CMP_EQ"}, {1, 2, 0, "SCMP_CMP_EQ"}}}});
  EXPECT_EQ(ask(from, kClone, {1, 2}), kAllow);
  EXPECT_NE(ask(from, kClone, {1, 3}), kAllow);
  EXPECT_NE(ask(from, kClone, {0, 2}), kAllow);
}

TEST(CompileSeccomp, ConditionsOnOneArgumentAreAlternatives) {
  const auto from = policy(
      "SCMP_ACT_KILL_PROCESS",
      {{.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .args = {{0, 1, 0, "SCMP_CMP_EQ"}, {0, 2, 0, "SCMP_CMP_EQ"}}}});
  EXPECT_EQ(ask(from, kClone, {1}), kAllow);
  EXPECT_EQ(ask(from, kClone, {2}), kAllow);
  EXPECT_NE(ask(from, kClone, {3}), kAllow);
}

TEST(CompileSeccomp, CallsThatDoNotExistAreSkipped) {
  const auto from = policy("SCMP_ACT_ERRNO", {{.names = {"call_of_the_wild", "getpid"}, .action = "SCMP_ACT_ALLOW"}});
  EXPECT_EQ(ask(from, kGetpid), kAllow);
}

TEST(CompileSeccomp, CallsNewerThanAllKnownAnswerEnosysInsteadOfEperm) {
  auto from = policy("SCMP_ACT_ERRNO", {{.names = {"getpid"}, .action = "SCMP_ACT_ALLOW"}});
  EXPECT_EQ(ask(from, kGetpid), kAllow);
  EXPECT_EQ(ask(from, kRead), refused(EPERM));
  EXPECT_EQ(ask(from, 1000), refused(ENOSYS));
  from.default_errno_ret = 13;
  EXPECT_EQ(ask(from, 1000), refused(13));
  EXPECT_EQ(ask(policy("SCMP_ACT_KILL_PROCESS"), 1000), (Verdict{SECCOMP_RET_KILL_PROCESS, 0}));
}

TEST(CompileSeccomp, NewerCallsAreKnownByEachArchitecturesOwnNumbers) {
  auto from = policy("SCMP_ACT_ERRNO", {{.names = {"getpid"}, .action = "SCMP_ACT_ALLOW"}});
  from.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_ARM"};
  EXPECT_EQ(ask(from, kGetpid), kAllow);
  EXPECT_EQ(ask(from, 0x40000000 | kGetpid), kAllow) << "x32";
  EXPECT_EQ(ask(from, 0x40000000 | kRead), refused(EPERM)) << "x32";
  EXPECT_EQ(ask(from, 0x40000000 | 1000), refused(ENOSYS)) << "x32";
  EXPECT_EQ(ask(from, 20, {}, AUDIT_ARCH_I386), kAllow);
  EXPECT_EQ(ask(from, 3, {}, AUDIT_ARCH_I386), refused(EPERM));
  EXPECT_EQ(ask(from, 1000, {}, AUDIT_ARCH_I386), refused(ENOSYS));
  EXPECT_EQ(ask(from, 20, {}, AUDIT_ARCH_ARM), kAllow);
  EXPECT_EQ(ask(from, 1000, {}, AUDIT_ARCH_ARM), refused(ENOSYS));
  EXPECT_EQ(ask(from, 0x0f0005, {}, AUDIT_ARCH_ARM), refused(EPERM)) << "set_tls, one of arm's private calls";
}

TEST(CompileSeccomp, UnnamedArchitecturesAreKilledWhereTheDefaultKills) {
  EXPECT_EQ(ask(policy("SCMP_ACT_ALLOW"), 0, {}, AUDIT_ARCH_I386), refused(ENOSYS));
  EXPECT_EQ(ask(policy("SCMP_ACT_KILL_PROCESS"), 0, {}, AUDIT_ARCH_I386), (Verdict{SECCOMP_RET_KILL_PROCESS, 0}));
}

TEST(CompileSeccomp, FlagsBecomeTheKernels) {
  auto from = policy("SCMP_ACT_ALLOW", {{.names = {"getpid"}, .action = "SCMP_ACT_NOTIFY"}});
  from.flags = {"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  const auto filter = compile_seccomp(from);
  ASSERT_TRUE(filter.ok());
  EXPECT_EQ(filter->flags, 0b111111U) << "with NEW_LISTENER, and TSYNC_ESRCH that lets both be";
}

TEST(CompileSeccomp, WhatIsWrongIsNamed) {
  EXPECT_EQ(complaint(policy("SCMP_ACT_MAYBE")), "seccomp: unknown action \"SCMP_ACT_MAYBE\"");
  EXPECT_EQ(complaint(policy("SCMP_ACT_ALLOW", {{.names = {"read"}, .action = ""}})), "seccomp: unknown action \"\"");
  EXPECT_EQ(complaint(policy("SCMP_ACT_ERRNO",
                             {{.names = {"read"}, .action = "SCMP_ACT_ALLOW", .args = {{0, 0, 0, "SCMP_CMP_LIKE"}}}})),
            "seccomp: unknown operator \"SCMP_CMP_LIKE\"");
  EXPECT_EQ(complaint(policy("SCMP_ACT_ERRNO",
                             {{.names = {"read"}, .action = "SCMP_ACT_ALLOW", .args = {{6, 0, 0, "SCMP_CMP_EQ"}}}})),
            "seccomp: there is no argument 6; the last is 5");
  auto from = policy("SCMP_ACT_ALLOW");
  from.architectures = {"SCMP_ARCH_Z80"};
  EXPECT_EQ(complaint(from), "seccomp: unknown architecture \"SCMP_ARCH_Z80\"");
  from = policy("SCMP_ACT_ALLOW");
  from.flags = {"SECCOMP_FILTER_FLAG_FAST"};
  EXPECT_EQ(complaint(from), "seccomp: unknown flag \"SECCOMP_FILTER_FLAG_FAST\"");
  from.flags = {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  EXPECT_THAT(complaint(from), HasSubstr("needs a rule with SCMP_ACT_NOTIFY"));
}

TEST(CompileSeccomp, AnErrnoWhereTheActionHasNoneIsAnError) {
  EXPECT_EQ(complaint(policy("SCMP_ACT_ERRNO", {{.names = {"read"}, .action = "SCMP_ACT_ALLOW", .errno_ret = 1}})),
            "seccomp: action SCMP_ACT_ALLOW takes no errno");
  auto from = policy("SCMP_ACT_ALLOW");
  from.default_errno_ret = 1;
  EXPECT_EQ(complaint(from), "seccomp: action SCMP_ACT_ALLOW takes no errno");
}

TEST(CompileSeccomp, NobodyIsLeftWaitingForANotification) {
  EXPECT_EQ(complaint(policy("SCMP_ACT_NOTIFY")), "seccomp: the default action cannot be SCMP_ACT_NOTIFY");
  EXPECT_EQ(complaint(policy("SCMP_ACT_ALLOW", {{.names = {"write"}, .action = "SCMP_ACT_NOTIFY"}})),
            "seccomp: write cannot be notified");
  for (const char* name : {"sendmsg", "recvfrom"}) {
    EXPECT_EQ(complaint(policy("SCMP_ACT_ALLOW", {{.names = {"read", name}, .action = "SCMP_ACT_NOTIFY"}})),
              cat("seccomp: ", name, " cannot be notified"));
  }
}

TEST(CompileSeccomp, ArchitecturesOfTheOtherByteOrderAddNothing) {
  auto from = policy("SCMP_ACT_ALLOW", {{.names = {"getpid"}, .action = "SCMP_ACT_ERRNO"}});
  const auto without = compile_program(from, "SCMP_ARCH_X86_64");
  from.architectures = {"SCMP_ARCH_S390X", "SCMP_ARCH_MIPS64"};
  const auto with = compile_program(from, "SCMP_ARCH_X86_64");
  ASSERT_TRUE(without.ok() && with.ok());
  const auto same = [](const sock_filter& a, const sock_filter& b) {
    return a.code == b.code && a.jt == b.jt && a.jf == b.jf && a.k == b.k;
  };
  EXPECT_TRUE(std::equal(with->begin(), with->end(), without->begin(), without->end(), same));
}

TEST(CompileSeccomp, ATooLargePolicyIsAnErrorNotAKernelRefusal) {
  auto from = policy("SCMP_ACT_KILL_PROCESS", {{.names = {"getpid"}, .action = "SCMP_ACT_ALLOW"}});
  for (uint64_t i = 0; i < 2500; ++i) {
    from.syscalls.push_back(
        {.names = {"clone"}, .action = "SCMP_ACT_ALLOW", .args = {{0, i << 32 | (i + 1), 0, "SCMP_CMP_EQ"}}});
  }
  EXPECT_THAT(complaint(from), HasSubstr("the kernel takes 4096"));
}

TEST(WellFormedFilters, EndInAReturnAndJumpWithinThemselves) {
  const sock_filter ret = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_filter load = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
  using Program = std::vector<sock_filter>;
  EXPECT_TRUE(is_well_formed(Program{ret}));
  EXPECT_TRUE(is_well_formed(Program{load, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0), ret, ret}));
  EXPECT_FALSE(is_well_formed(Program{}));
  EXPECT_FALSE(is_well_formed(Program{load}));
  EXPECT_FALSE(is_well_formed(Program{ret, load}));
  EXPECT_FALSE(is_well_formed(Program{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0), ret}));
  EXPECT_FALSE(is_well_formed(Program{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1), ret}));
  EXPECT_FALSE(is_well_formed(Program{BPF_STMT(BPF_JMP | BPF_JA, 1), ret}));
  EXPECT_FALSE(is_well_formed(Program{BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ret}));
  EXPECT_FALSE(is_well_formed(Program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ret})) << "not aligned";
  EXPECT_FALSE(is_well_formed(Program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ret})) << "behind the data";
  EXPECT_FALSE(is_well_formed(Program{BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ret})) << "not for seccomp";
  EXPECT_FALSE(is_well_formed(Program(4097, ret)));
}

}  // namespace
}  // namespace moss::runtime
