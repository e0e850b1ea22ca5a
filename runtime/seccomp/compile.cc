// Policy to BPF.
//
// libseccomp does the work, with its binary tree: a call costs about nine comparisons instead of up to three hundred.
// In front of its program goes, where wanted, a short piece of our own: calls newer than libseccomp's tables answer
// ENOSYS instead of the default EPERM, so that a C library that knows them falls back to the calls they replace.
// Spec: runtime-spec config-linux.md "Seccomp"; seccomp_rule_add(3), seccomp_attr_set(3).
#include "compile.hh"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "moss/base/fd.hh"
#include "moss/base/named.hh"
#include "moss/base/text.hh"
#include "moss/runtime/seccomp.hh"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace moss::runtime {
namespace {

constexpr Named<uint32_t> kArchs[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64},
};

constexpr Named<scmp_compare> kOperators[] = {
    {"SCMP_CMP_NE", SCMP_CMP_NE},
    {"SCMP_CMP_LT", SCMP_CMP_LT},
    {"SCMP_CMP_LE", SCMP_CMP_LE},
    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
    {"SCMP_CMP_GE", SCMP_CMP_GE},
    {"SCMP_CMP_GT", SCMP_CMP_GT},
    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

/// ERRNO and TRACE are completed with a number.
constexpr Named<uint32_t> kActions[] = {
    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
    {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
};

constexpr Named<uint32_t> kFlags[] = {
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
};

template <typename Value, size_t count>
Result<Value> lookup(const Named<Value> (&table)[count], std::string_view name, std::string_view what) {
  const std::optional<Value> found = find_named(table, name);
  if (!found) return Error(0, "seccomp: unknown ", what, " \"", printable(name), "\"");
  return *found;
}

Result<uint32_t> action_of(const std::string& name, std::optional<uint32_t> errno_ret) {
  const uint32_t action = TRY(lookup(kActions, name, "action"));
  if (action != SCMP_ACT_ERRNO(0) && action != SCMP_ACT_TRACE(0)) {
    if (errno_ret) return Error(0, "seccomp: action ", name, " takes no errno");
    return action;
  }
  const uint32_t code = errno_ret.value_or(EPERM);
  if (code > 0xffff) return Error(0, "seccomp: errno ", code, " does not fit in 16 bits");
  return action | code;
}

struct ContextDeleter {
  void operator()(void* context) const { seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextDeleter>;

/// libseccomp answers with a negative errno.
Result<Ok> check(int code, std::string_view doing, std::string_view name = {}) {
  if (code < 0) return Error(-code, "seccomp: ", doing, name);
  return Ok{};
}

bool is_kill(uint32_t action) {
  return action == SCMP_ACT_KILL_PROCESS || action == SCMP_ACT_KILL_THREAD || action == SCMP_ACT_TRAP;
}

Result<Context> make_context(uint32_t default_action, uint32_t arch, const std::vector<uint32_t>& others) {
  // Which actions there are would else be asked of the running kernel, and the kernel a filter is built on is not
  // the one it runs on. seccomp(2) has the last word.
  seccomp_api_set(6);
  Context context(seccomp_init(default_action));
  if (!context) return Error(ENOMEM, "seccomp: prepare a filter");
  scmp_filter_ctx c = context.get();
  TRY(check(seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2), "ask for a binary tree"));
  const uint32_t foreign = is_kill(default_action) ? default_action : SCMP_ACT_ERRNO(ENOSYS);
  TRY(check(seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, foreign), "set the action for other architectures"));
  if (arch != seccomp_arch_native()) {
    TRY(check(seccomp_arch_remove(c, SCMP_ARCH_NATIVE), "leave out the build machine's architecture"));
    TRY(check(seccomp_arch_add(c, arch), "add the native architecture"));
  }
  for (const uint32_t other : others) {
    const int code = seccomp_arch_add(c, other);
    if (code != -EEXIST) TRY(check(code, "add an architecture"));
  }
  return context;
}

Result<Ok> add_rule(scmp_filter_ctx context, uint32_t action, const std::string& name,
                    const std::vector<scmp_arg_cmp>& args) {
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number == __NR_SCMP_ERROR) return Ok{};
  const int code = seccomp_rule_add_array(context, action, number, static_cast<unsigned>(args.size()), args.data());
  // The very same rule once more.
  if (code == -EEXIST) return Ok{};
  return check(code, "add a rule for ", name);
}

Result<Ok> add_rules(scmp_filter_ctx context, uint32_t default_action, const oci::SeccompRule& rule) {
  const uint32_t action = TRY(action_of(rule.action, rule.errno_ret));
  std::vector<scmp_arg_cmp> args;
  bool repeats = false;
  for (const oci::SeccompArg& arg : rule.args) {
    const scmp_compare op = TRY(lookup(kOperators, arg.op, "operator"));
    if (arg.index > 5) return Error(0, "seccomp: there is no argument ", arg.index, "; the last is 5");
    repeats = repeats || std::any_of(args.begin(), args.end(), [&](auto& seen) { return seen.arg == arg.index; });
    args.push_back({arg.index, op, arg.value, arg.value_two});
  }
  if (action == SCMP_ACT_NOTIFY) {
    // The runtime hands the listener on after the filter is in place; calls it needs for that would wait for an answer
    // that cannot come yet.
    for (const char* needed : {"write", "sendmsg", "recvfrom"}) {
      if (std::find(rule.names.begin(), rule.names.end(), needed) == rule.names.end()) continue;
      return Error(0, "seccomp: ", needed, " cannot be notified");
    }
  }
  // libseccomp would answer EACCES; the default does it anyway.
  if (action == default_action) return Ok{};
  for (const std::string& name : rule.names) {
    if (!repeats) {
      TRY(add_rule(context, action, name, args));
      continue;
    }
    // libseccomp takes each argument once a rule; like other runtimes, several conditions on one are alternatives.
    for (const scmp_arg_cmp& arg : args) TRY(add_rule(context, action, name, {arg}));
  }
  return Ok{};
}

Result<std::vector<sock_filter>> export_program(scmp_filter_ctx context) {
  const Fd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) return sys_error("seccomp: memfd_create");
  TRY(check(seccomp_export_bpf(context, file.get()), "compile the filter"));
  const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
  if (bytes < 0) return sys_error("seccomp: read the compiled filter");
  std::vector<sock_filter> program(static_cast<size_t>(bytes) / sizeof(sock_filter));
  if (::pread(file.get(), program.data(), static_cast<size_t>(bytes), 0) != bytes) {
    return sys_error("seccomp: read the compiled filter");
  }
  return program;
}

/// In the token of an architecture (linux/audit.h).
constexpr uint32_t kLittleEndian = 0x40000000;

constexpr uint32_t kX32Bit = 0x40000000;
/// Where 32-bit arm keeps its private calls, far above the others.
constexpr uint32_t kArmPrivate = 0x0f0000;

/// The first number of an architecture's calls.
uint32_t first_call(uint32_t arch) {
  switch (arch) {
    case SCMP_ARCH_X32:
      return kX32Bit;
    case SCMP_ARCH_MIPS:
    case SCMP_ARCH_MIPSEL:
      return 4000;
    case SCMP_ARCH_MIPS64:
    case SCMP_ARCH_MIPSEL64:
      return 5000;
    case SCMP_ARCH_MIPS64N32:
    case SCMP_ARCH_MIPSEL64N32:
      return 6000;
    default:
      return 0;
  }
}

uint32_t newest_call(uint32_t arch) {
  const uint32_t first = first_call(arch);
  for (uint32_t number = first + 1023; number > first; --number) {
    char* name = seccomp_syscall_resolve_num_arch(arch, static_cast<int>(number));
    if (!name) continue;
    std::free(name);
    return number;
  }
  return first + 1023;
}

sock_filter load(size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
sock_filter jump(uint16_t test, uint32_t value, size_t if_true, size_t if_false) {
  return BPF_JUMP(static_cast<uint16_t>(BPF_JMP | BPF_K | test), value, static_cast<uint8_t>(if_true),
                  static_cast<uint8_t>(if_false));
}

/// Calls above the newest known one answer ENOSYS, for each architecture of the filter; everything else falls out at
/// the end, where libseccomp's program begins.
std::vector<sock_filter> newer_calls_prefix(const std::vector<uint32_t>& archs) {
  const bool x32 = std::find(archs.begin(), archs.end(), SCMP_ARCH_X32) != archs.end();
  std::vector<sock_filter> out = {load(offsetof(seccomp_data, arch))};
  std::vector<size_t> to_end;
  const auto jump_to_end = [&] {
    to_end.push_back(out.size());
    out.push_back(BPF_STMT(BPF_JMP | BPF_JA, 0));
  };
  const auto refuse_above = [&](uint32_t newest) {
    out.push_back(jump(BPF_JGT, newest, 0, 1));
    out.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS));
    jump_to_end();
  };
  for (const uint32_t arch : archs) {
    // The kernel gives both the same name and tells them apart by a bit of the number.
    if (arch == SCMP_ARCH_X32) continue;
    const size_t test = out.size();
    out.push_back(jump(BPF_JEQ, arch, 0, 0));
    out.push_back(load(offsetof(seccomp_data, nr)));
    if (arch == SCMP_ARCH_X86_64 && x32) {
      out.push_back(jump(BPF_JGE, kX32Bit, 0, 3));
      refuse_above(newest_call(SCMP_ARCH_X32));
    }
    if (arch == SCMP_ARCH_ARM) {
      out.push_back(jump(BPF_JGE, kArmPrivate, 0, 1));
      jump_to_end();
    }
    refuse_above(newest_call(arch));
    out[test].jf = static_cast<uint8_t>(out.size() - test - 1);
  }
  for (const size_t at : to_end) out[at].k = static_cast<uint32_t>(out.size() - at - 1);
  return out;
}

}  // namespace

std::string_view native_arch() {
#if defined(__x86_64__) && defined(__ILP32__)
  return "SCMP_ARCH_X32";
#elif defined(__x86_64__)
  return "SCMP_ARCH_X86_64";
#elif defined(__i386__)
  return "SCMP_ARCH_X86";
#elif defined(__aarch64__)
  return "SCMP_ARCH_AARCH64";
#elif defined(__arm__)
  return "SCMP_ARCH_ARM";
#elif defined(__riscv) && __riscv_xlen == 64
  return "SCMP_ARCH_RISCV64";
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
  return "SCMP_ARCH_PPC64LE";
#elif defined(__s390x__)
  return "SCMP_ARCH_S390X";
#else
#error "seccomp: name this architecture here"
#endif
}

Result<std::vector<sock_filter>> compile_program(const oci::Seccomp& policy, std::string_view arch) {
  const uint32_t default_action = TRY(action_of(policy.default_action, policy.default_errno_ret));
  if (default_action == SCMP_ACT_NOTIFY) return Error(0, "seccomp: the default action cannot be SCMP_ACT_NOTIFY");
  std::vector<uint32_t> archs = {TRY(lookup(kArchs, arch, "architecture"))};
  for (const std::string& name : policy.architectures) {
    const uint32_t token = TRY(lookup(kArchs, name, "architecture"));
    // libseccomp cannot build for both byte orders, and need not: this machine runs programs of its own one alone.
    if (((token ^ archs.front()) & kLittleEndian) != 0) continue;
    if (std::find(archs.begin(), archs.end(), token) == archs.end()) archs.push_back(token);
  }

  const Context context = TRY(make_context(default_action, archs[0], archs));
  for (const oci::SeccompRule& rule : policy.syscalls) TRY(add_rules(context.get(), default_action, rule));
  std::vector<sock_filter> program = TRY(export_program(context.get()));

  if (default_action == SCMP_ACT_ERRNO(EPERM)) {
    const auto prefix = newer_calls_prefix(archs);
    program.insert(program.begin(), prefix.begin(), prefix.end());
  }
  if (program.size() > kMaxInstructions) {
    return Error(0, "seccomp: the policy needs ", program.size(), " instructions, and the kernel takes ",
                 kMaxInstructions, "; name fewer architectures or argument values");
  }
  return program;
}

Result<uint32_t> filter_flags(const oci::Seccomp& policy) {
  uint32_t flags = 0;
  for (const std::string& name : policy.flags) flags |= TRY(lookup(kFlags, name, "flag"));
  const bool notifies = std::any_of(policy.syscalls.begin(), policy.syscalls.end(),
                                    [](const oci::SeccompRule& rule) { return rule.action == "SCMP_ACT_NOTIFY"; });
  if (notifies) {
    flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // Both answer with a number, and only one can be a descriptor (seccomp(2)).
    if (flags & SECCOMP_FILTER_FLAG_TSYNC) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  } else if (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
    return Error(0, "seccomp: flag SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV needs a rule with SCMP_ACT_NOTIFY");
  }
  return flags;
}

bool is_well_formed(std::span<const sock_filter> program) {
  if (program.empty() || program.size() > kMaxInstructions) return false;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    const size_t left = program.size() - at - 1;
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (step.k % 4 != 0 || step.k >= sizeof(seccomp_data)) return false;
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        break;
      case BPF_RET | BPF_K:
        continue;
      case BPF_JMP | BPF_JA:
        if (step.k >= left) return false;
        continue;
      case BPF_JMP | BPF_JEQ | BPF_K:
      case BPF_JMP | BPF_JGT | BPF_K:
      case BPF_JMP | BPF_JGE | BPF_K:
      case BPF_JMP | BPF_JSET | BPF_K:
        if (step.jt >= left || step.jf >= left) return false;
        continue;
      default:
        return false;
    }
    // Whatever goes on to the next instruction must have one.
    if (left == 0) return false;
  }
  return true;
}

SeccompWords seccomp_words() {
  SeccompWords words;
  for (const auto& entry : kActions) words.actions.emplace_back(entry.name);
  for (const auto& entry : kOperators) words.operators.emplace_back(entry.name);
  for (const auto& entry : kArchs) words.archs.emplace_back(entry.name);
  for (const auto& entry : kFlags) words.flags.push_back({entry.name, entry.value});
  return words;
}

}  // namespace moss::runtime
