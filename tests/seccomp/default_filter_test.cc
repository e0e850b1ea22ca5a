// What the default policy says to each call, on both architectures it is built for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <seccomp.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bpf_evaluator.hh"
#include "compile.hh"
#include "default.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/file.hh"
#include "profile.hh"

namespace moss::runtime {
namespace {

using moss::test::kAllow;
using moss::test::refused;
using moss::test::run_filter;
using moss::test::Verdict;

using Capabilities = std::vector<std::string>;
using Args = std::array<uint64_t, 6>;

const Capabilities kPodmanDefault = {"CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
                                     "CAP_KILL",    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP",   "CAP_SETGID",
                                     "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};

Capabilities all_capabilities() {
  Capabilities out;
  for (const std::string_view name : embedded_capabilities()) out.emplace_back(name);
  return out;
}

Capabilities default_and(std::initializer_list<std::string> more) {
  Capabilities out = kPodmanDefault;
  out.insert(out.end(), more);
  return out;
}

struct Machine {
  std::string_view name;
  uint32_t audit;
  std::string_view compat_name;
  uint32_t compat_audit;
};
constexpr Machine kX86{"SCMP_ARCH_X86_64", AUDIT_ARCH_X86_64, "SCMP_ARCH_X86", AUDIT_ARCH_I386};
constexpr Machine kArm{"SCMP_ARCH_AARCH64", AUDIT_ARCH_AARCH64, "SCMP_ARCH_ARM", AUDIT_ARCH_ARM};

int number_of(uint32_t arch, const char* name) { return seccomp_syscall_resolve_name_arch(arch, name); }

/// The default filter of one machine for one capability set.
class DefaultFilter : public testing::TestWithParam<Machine> {
 protected:
  static std::span<const sock_filter> program(const Capabilities& held = kPodmanDefault, Compat compat = Compat::no) {
    const EmbeddedFilter* filter = find_prebuilt(capability_bits(held), GetParam().name, compat);
    EXPECT_TRUE(filter) << "not prebuilt";
    return filter ? filter->program : std::span<const sock_filter>();
  }
  static Verdict call(const char* name, const Args& args = {}, const Capabilities& held = kPodmanDefault) {
    const int number = number_of(GetParam().audit, name);
    EXPECT_GE(number, 0) << name << " is no call of " << GetParam().name;
    return run_filter(program(held), GetParam().audit, static_cast<uint32_t>(number), args);
  }
};

TEST_P(DefaultFilter, AllowsEverydayCalls) {
  for (const char* name :
       {"read",       "write",  "openat", "close",   "mmap",  "execve",     "clone",     "clone3",      "futex",
        "exit_group", "wait4",  "getuid", "setuid",  "chown", "prctl",      "seccomp",   "epoll_ctl",   "rseq",
        "ptrace",     "keyctl", "mount",  "unshare", "setns", "pivot_root", "renameat2", "memfd_create"}) {
    if (number_of(GetParam().audit, name) < 0) continue;
    EXPECT_EQ(call(name), kAllow) << name;
  }
}

TEST_P(DefaultFilter, LetsClone3ThroughWhole) {
  EXPECT_EQ(call("clone3", {0x1000, 88}), kAllow);
  EXPECT_EQ(call("clone", {0x10000000}), kAllow) << "with CLONE_NEWUSER";
}

TEST_P(DefaultFilter, OpensLocalAndInternetSockets) {
  for (const uint64_t family : {1, 2, 10}) {
    EXPECT_EQ(call("socket", {family, 1, 0}), kAllow) << family;
    EXPECT_EQ(call("socket", {family, 2, 17}), kAllow) << family;
    EXPECT_EQ(call("socketpair", {family, 1, 0}), kAllow) << family;
  }
}

TEST_P(DefaultFilter, RefusesEveryOtherSocketFamily) {
  for (uint64_t family = 0; family < 64; ++family) {
    if (family == 1 || family == 2 || family == 10 || family == 16) continue;
    for (const uint64_t protocol : {0, 1, 9, 40}) {
      EXPECT_EQ(call("socket", {family, 5, protocol}), refused(EPERM)) << family;
      EXPECT_EQ(call("socketpair", {family, 5, protocol}), refused(EPERM)) << family;
    }
  }
}

TEST_P(DefaultFilter, RefusesVsockSocketsEvenWithEveryCapability) {
  for (const uint64_t family : {40 /* vsock */, 38 /* alg */, 15 /* key */, 33 /* rxrpc */}) {
    EXPECT_EQ(call("socket", {family, 1, 0}, all_capabilities()), refused(EPERM));
    EXPECT_EQ(call("socket", {family | 0xabcd'0000'0000, 1, 0}), refused(EPERM)) << "the kernel looks at the low half";
  }
}

TEST_P(DefaultFilter, TakesAFamilyAsTheKernelDoesByItsLowHalf) {
  EXPECT_EQ(call("socket", {2 | 0xabcd'0000'0000, 1, 0}), kAllow);
}

TEST_P(DefaultFilter, OpensOnlyEverydayNetlinkProtocols) {
  for (uint64_t protocol = 0; protocol < 40; ++protocol) {
    const bool everyday = protocol == 0 || protocol == 2 || protocol == 4 || protocol == 7 || protocol == 11 ||
                          protocol == 15 || protocol == 16 || protocol == 20;
    const Verdict wanted = everyday ? kAllow : protocol == 9 ? refused(EINVAL) : refused(EPERM);
    EXPECT_EQ(call("socket", {16, 3, protocol}), wanted) << protocol;
    EXPECT_EQ(call("socket", {16, 3, protocol | 1ULL << 32}), wanted) << protocol << " with high bits";
  }
}

TEST_P(DefaultFilter, NetworkAdministratorsReachNetfilterAndXfrm) {
  for (const uint64_t protocol : {6, 12}) {
    EXPECT_EQ(call("socket", {16, 3, protocol}, default_and({"CAP_NET_ADMIN"})), kAllow);
  }
  EXPECT_EQ(call("socket", {16, 3, 21}, default_and({"CAP_NET_ADMIN"})), refused(EPERM)) << "netlink crypto";
}

TEST_P(DefaultFilter, RawNetworkRightsOpenPacketSockets) {
  EXPECT_EQ(call("socket", {17, 3, 768}, default_and({"CAP_NET_RAW"})), kAllow);
  EXPECT_EQ(call("socket", {17, 3, 768}), refused(EPERM));
}

TEST_P(DefaultFilter, AuditIsAbsentWithoutItsCapability) {
  EXPECT_EQ(call("socket", {16, 3, 9}), refused(EINVAL));
  EXPECT_EQ(call("socket", {16, 3, 9}, default_and({"CAP_NET_RAW", "CAP_AUDIT_WRITE"})), kAllow);
}

TEST_P(DefaultFilter, NobodyTypesIntoTheTerminal) {
  for (const uint64_t request : {0x5412 /* TIOCSTI */, 0x541c /* TIOCLINUX */}) {
    for (const uint64_t high : {0ULL, 1ULL << 32, 0xffff'ffff'0000'0000ULL}) {
      for (const uint64_t fd : {0ULL, 3ULL, 0xffff'ffff'ffff'ffffULL}) {
        EXPECT_EQ(call("ioctl", {fd, request | high, 1}), refused(EPERM));
        EXPECT_EQ(call("ioctl", {fd, request | high, 1}, all_capabilities()), refused(EPERM));
      }
    }
  }
}

TEST_P(DefaultFilter, OtherDeviceRequestsPass) {
  for (uint64_t request = 0x5400; request < 0x5480; ++request) {
    if (request == 0x5412 || request == 0x541c) continue;
    for (const uint64_t fd : {0ULL, 3ULL, 0xffff'ffffULL, 0xffff'ffff'ffff'ffffULL}) {
      EXPECT_EQ(call("ioctl", {fd, request}), kAllow) << std::hex << request;
    }
  }
}

TEST_P(DefaultFilter, PersonalityMayBePlainOrAskedFor) {
  for (const uint64_t value : {0x0, 0x8, 0x20000, 0x20008}) EXPECT_EQ(call("personality", {value}), kAllow);
  EXPECT_EQ(call("personality", {0xffffffff}), kAllow);
  EXPECT_EQ(call("personality", {0x0040000}), refused(ENOSYS)) << "ADDR_NO_RANDOMIZE";
}

TEST_P(DefaultFilter, KnownDangersAnswerEperm) {
  for (const char* name : {"kexec_load", "swapon", "userfaultfd", "vmsplice", "move_pages", "io_pgetevents", "acct",
                           "bpf", "perf_event_open", "init_module", "open_by_handle_at", "settimeofday", "kcmp"}) {
    EXPECT_EQ(call(name), refused(EPERM)) << name;
  }
}

TEST_P(DefaultFilter, CapabilitiesOpenTheirCalls) {
  const std::multimap<std::string, const char*> calls = {
      {"CAP_SYS_ADMIN", "bpf"},
      {"CAP_SYS_ADMIN", "sethostname"},
      {"CAP_SYS_PTRACE", "kcmp"},
      {"CAP_SYS_CHROOT", "chroot"},
  };
  for (const auto& [capability, name] : calls) {
    EXPECT_EQ(call(name, {}, default_and({capability})), kAllow) << name;
    EXPECT_EQ(call(name, {}, {}), refused(EPERM)) << name;
  }
  for (const char* name : {"acct", "init_module", "settimeofday", "vhangup", "open_by_handle_at", "quotactl"}) {
    EXPECT_EQ(call(name, {}, all_capabilities()), kAllow) << name;
  }
}

TEST_P(DefaultFilter, MountIsAllowedWithoutCapabilities) { EXPECT_EQ(call("mount", {}, {}), kAllow); }

TEST_P(DefaultFilter, UnknownCallsAnswerEnosys) {
  for (const uint32_t number : {451U, 480U, 600U, 5000U, 0x3fffffffU}) {
    EXPECT_EQ(run_filter(program(), GetParam().audit, number), refused(ENOSYS)) << number;
  }
  EXPECT_EQ(call("io_uring_setup"), refused(ENOSYS));
}

TEST_P(DefaultFilter, ForeignArchitecturesAnswerEnosys) {
  for (const uint32_t arch :
       std::initializer_list<uint32_t>{AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM,
                                       AUDIT_ARCH_RISCV64, AUDIT_ARCH_MIPS64, AUDIT_ARCH_S390X}) {
    if (arch == GetParam().audit) continue;
    for (uint32_t number = 0; number < 600; ++number) {
      ASSERT_EQ(run_filter(program(), arch, number), refused(ENOSYS)) << std::hex << arch;
    }
  }
}

TEST_P(DefaultFilter, X32CallsAnswerEnosys) {
  if (GetParam().audit != AUDIT_ARCH_X86_64) return;  // the bit means nothing elsewhere
  for (const Compat compat : {Compat::no, Compat::yes}) {
    for (uint32_t number = 0; number < 600; ++number) {
      ASSERT_EQ(run_filter(program(kPodmanDefault, compat), AUDIT_ARCH_X86_64, 0x40000000 | number), refused(ENOSYS));
    }
  }
}

TEST_P(DefaultFilter, ACompatArchitectureComesInWhenAsked) {
  const auto compat = program(kPodmanDefault, Compat::yes);
  const uint32_t arch = GetParam().compat_audit;
  const auto ask = [&](const char* name, const Args& args = {}) {
    return run_filter(compat, arch, static_cast<uint32_t>(number_of(arch, name)), args);
  };
  EXPECT_EQ(ask("read"), kAllow);
  EXPECT_EQ(ask("mmap2"), kAllow);
  EXPECT_EQ(ask("clock_gettime64"), kAllow);
  // libseccomp knows x86's socket(2) only behind socketcall(2); the kernel has had it as a call of its own since 4.3.
  const uint32_t socket = arch == AUDIT_ARCH_I386 ? 359 : static_cast<uint32_t>(number_of(arch, "socket"));
  EXPECT_EQ(run_filter(compat, arch, socket, {2, 1}), kAllow);
  EXPECT_EQ(run_filter(compat, arch, socket, {16, 3, 0}), kAllow);
  EXPECT_EQ(run_filter(compat, arch, socket, {16, 3, 12}), refused(EPERM));
  EXPECT_EQ(run_filter(compat, arch, socket, {40, 1}), refused(EPERM));
  EXPECT_EQ(ask("ioctl", {0, 0x5412}), refused(EPERM));
  EXPECT_EQ(ask("ioctl", {0, 0x5401}), kAllow);
  EXPECT_EQ(ask("kexec_load"), refused(EPERM));
  // The native half is what it was.
  for (uint32_t number = 0; number < 600; ++number) {
    for (const Args& args : {Args{}, Args{40, 0x5412, 9}, Args{16, 1, 12}}) {
      EXPECT_EQ(run_filter(compat, GetParam().audit, number, args),
                run_filter(program(), GetParam().audit, number, args));
    }
  }
}

TEST_P(DefaultFilter, ACallCostsFewComparisons) {
  size_t most = 0;
  for (uint32_t number = 0; number < 450; ++number) {
    most = std::max(most, run_filter(program(), GetParam().audit, number).steps);
  }
  // A linear filter of this size takes up to 300 steps for one call.
  EXPECT_LE(most, 60U);
}

/// Any filter and the profile it was built from, compiled now, agree on every call.
TEST_P(DefaultFilter, PrebuiltIsWhatTheProfileSays) {
  const auto text = sys::read_file(MOSS_DEFAULT_PROFILE, 1024 * 1024);
  ASSERT_TRUE(text.ok());
  const auto profile = parse_profile(*text);
  ASSERT_TRUE(profile.ok()) << profile.error().to_string();
  std::mt19937_64 random(1);
  for (const EmbeddedFilter& filter : embedded_filters()) {
    if (filter.arch != GetParam().name) continue;
    Capabilities held;
    for (size_t i = 0; i < embedded_capabilities().size(); ++i) {
      if (filter.capabilities >> i & 1) held.emplace_back(embedded_capabilities()[i]);
    }
    const oci::Seccomp policy = select(*profile, {std::string(filter.arch), filter.compat, held, {}});
    EXPECT_EQ(policy, default_policy(filter.capabilities, filter.arch, filter.compat ? Compat::yes : Compat::no));
    const auto fresh = compile_program(policy, filter.arch);
    ASSERT_TRUE(fresh.ok()) << fresh.error().to_string();
    EXPECT_TRUE(is_well_formed(filter.program));
    for (const uint32_t arch : {GetParam().audit, GetParam().compat_audit}) {
      for (uint32_t number = 0; number <= 600; ++number) {
        for (const Args& args : {Args{}, Args{16, 0x5412, 9}, Args{random(), random(), random()},
                                 Args{random() % 48, 0x5400 + random() % 0x30, random() % 24}}) {
          ASSERT_EQ(run_filter(filter.program, arch, number, args), run_filter(*fresh, arch, number, args)) << number;
        }
      }
    }
  }
}

/// The machine's own Podman policy, if there is one: ours differs in what README.md says, and in nothing else.
TEST_P(DefaultFilter, DiffersFromPodmansOnlyWhereItSaysSo) {
  const char* path = "/usr/share/containers/seccomp.json";
  if (!sys::exists(path)) GTEST_SKIP() << "no " << path << " (package golang-github-containers-common)";
  const auto text = sys::read_file(path, 1024 * 1024);
  ASSERT_TRUE(text.ok());
  const auto profile = parse_profile(*text);
  ASSERT_TRUE(profile.ok()) << profile.error().to_string();
  for (const Capabilities& held : {kPodmanDefault, Capabilities{}, all_capabilities()}) {
    const auto podman =
        compile_program(select(*profile, {std::string(GetParam().name), false, held, {6, 1}}), GetParam().name);
    ASSERT_TRUE(podman.ok()) << podman.error().to_string();
    for (uint32_t number = 0; number <= 600; ++number) {
      std::unique_ptr<char, decltype(&std::free)> name(
          seccomp_syscall_resolve_num_arch(GetParam().audit, static_cast<int>(number)), &std::free);
      const std::string_view call_name = name ? name.get() : "";
      for (const Args& args :
           {Args{}, Args{2, 0x5401, 0}, Args{16, 3, 0}, Args{8}, Args{0xffffffff}, Args{40, 0x5412}}) {
        const bool tightened = (call_name.starts_with("socket") && args[0] != 2 && args[0] != 16) ||
                               (call_name == "ioctl" && args[1] == 0x5412);
        if (tightened) continue;
        EXPECT_EQ(run_filter(program(held), GetParam().audit, number, args),
                  run_filter(*podman, GetParam().audit, number, args))
            << call_name << " " << number << " " << args[0];
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, DefaultFilter, testing::Values(kX86, kArm),
                         [](const auto& machine) { return std::string(machine.param.name.substr(10)); });

TEST(DefaultSeccomp, UsualCapabilitySetsArePrebuilt) {
  for (const Capabilities& held : {kPodmanDefault, Capabilities{}, all_capabilities()}) {
    for (const Compat compat : {Compat::no, Compat::yes}) {
      const auto filter = default_seccomp_filter(held, compat);
      ASSERT_TRUE(filter.ok());
      EXPECT_FALSE(filter->prebuilt.empty());
      EXPECT_TRUE(filter->compiled.empty());
      EXPECT_EQ(filter->flags, 0U);
    }
  }
}

TEST(DefaultSeccomp, CapabilitiesThePolicyIgnoresChangeNothing) {
  const auto plain = default_seccomp_filter(kPodmanDefault);
  const auto more = default_seccomp_filter(default_and({"CAP_MKNOD", "CAP_BLOCK_SUSPEND"}));
  ASSERT_TRUE(plain.ok() && more.ok());
  EXPECT_EQ(plain->program().data(), more->program().data());
}

TEST(DefaultSeccomp, UnusualSetsAreCompiledFromTheSamePolicy) {
  const Capabilities held = {"CAP_SYS_TIME", "CAP_SYS_RAWIO"};
  const auto filter = default_seccomp_filter(held);
  ASSERT_TRUE(filter.ok()) << filter.error().to_string();
  EXPECT_TRUE(filter->prebuilt.empty());
  const auto expected = compile_seccomp(default_seccomp_policy(held));
  ASSERT_TRUE(expected.ok());
  ASSERT_EQ(filter->program().size(), expected->program().size());
  EXPECT_EQ(std::memcmp(filter->program().data(), expected->program().data(), filter->program().size_bytes()), 0);
}

TEST(DefaultSeccomp, ItsOwnPolicyInAConfigIsRecognised) {
  const auto filter = seccomp_filter(default_seccomp_policy(kPodmanDefault));
  ASSERT_TRUE(filter.ok());
  EXPECT_EQ(filter->program().data(), default_seccomp_filter(kPodmanDefault)->program().data());

  oci::Seccomp changed = default_seccomp_policy(kPodmanDefault);
  changed.syscalls.pop_back();
  const auto other = seccomp_filter(changed);
  ASSERT_TRUE(other.ok());
  EXPECT_TRUE(other->prebuilt.empty());
}

}  // namespace
}  // namespace moss::runtime
