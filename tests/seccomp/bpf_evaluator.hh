// A classic BPF machine as seccomp(2) runs it: what a filter says to a call, on any architecture, without a kernel.
#pragma once

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <span>
#include <stdexcept>

namespace moss::test {

struct Verdict {
  uint32_t action = 0;  ///< SECCOMP_RET_… without its data
  uint32_t data = 0;    ///< the errno of ERRNO
  size_t steps = 0;     ///< instructions run
  bool operator==(const Verdict& other) const { return action == other.action && data == other.data; }
};

inline Verdict run_filter(std::span<const sock_filter> program, const seccomp_data& call) {
  uint32_t accumulator = 0;
  size_t steps = 0;
  for (size_t at = 0; at < program.size(); ++at) {
    const sock_filter& step = program[at];
    ++steps;
    const auto branch = [&](bool taken) { at += taken ? step.jt : step.jf; };
    switch (step.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (step.k + 4 > sizeof call) throw std::runtime_error("load outside seccomp_data");
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&call) + step.k, 4);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= step.k;
        break;
      case BPF_JMP | BPF_JA:
        at += step.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        branch(accumulator == step.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        branch(accumulator > step.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        branch(accumulator >= step.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        branch((accumulator & step.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return {step.k & SECCOMP_RET_ACTION_FULL, step.k & SECCOMP_RET_DATA, steps};
      default:
        throw std::runtime_error("an instruction that no filter of ours uses");
    }
  }
  throw std::runtime_error("the program ran off its end");
}

inline Verdict run_filter(std::span<const sock_filter> program, uint32_t arch, uint32_t number,
                          std::array<uint64_t, 6> args = {}) {
  seccomp_data call{};
  call.arch = arch;
  call.nr = static_cast<int>(number);
  std::memcpy(call.args, args.data(), sizeof call.args);
  return run_filter(program, call);
}

inline constexpr Verdict kAllow{SECCOMP_RET_ALLOW, 0};
inline constexpr Verdict refused(uint32_t code) { return {SECCOMP_RET_ERRNO, code}; }

inline std::ostream& operator<<(std::ostream& out, const Verdict& verdict) {
  return out << "action " << std::hex << verdict.action << std::dec << " data " << verdict.data;
}

}  // namespace moss::test
