// An eBPF machine as far as device filters need one: what a program says to an access, without a kernel.
#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstring>
#include <span>
#include <stdexcept>

namespace moss::test {

/// Runs `program` on a context; gives r0. Throws on anything that the kernel's verifier would refuse too.
inline uint64_t run_device_filter(std::span<const bpf_insn> program, const bpf_cgroup_dev_ctx& context) {
  std::array<uint64_t, 11> reg{};
  std::array<bool, 11> is_set{};
  bool context_in_r1 = true;
  const auto read = [&](uint8_t number) {
    if (!is_set[number]) throw std::runtime_error("reads a register that was never set");
    return reg[number];
  };
  const auto write = [&](uint8_t number, uint64_t value) {
    reg[number] = value;
    is_set[number] = true;
    if (number == BPF_REG_1) context_in_r1 = false;
  };
  for (size_t at = 0; at < program.size(); ++at) {
    const bpf_insn& step = program[at];
    const auto immediate = static_cast<uint64_t>(static_cast<int64_t>(step.imm));
    switch (step.code) {
      case BPF_LDX | BPF_W | BPF_MEM: {
        uint32_t word;
        if (step.src_reg != BPF_REG_1 || !context_in_r1) throw std::runtime_error("loads from no context");
        if (step.off < 0 || step.off + sizeof word > sizeof context)
          throw std::runtime_error("loads outside the context");
        std::memcpy(&word, reinterpret_cast<const char*>(&context) + step.off, sizeof word);
        write(step.dst_reg, word);
        break;
      }
      case BPF_ALU | BPF_MOV | BPF_X:
        write(step.dst_reg, static_cast<uint32_t>(read(step.src_reg)));
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        write(step.dst_reg, immediate);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        write(step.dst_reg, static_cast<uint32_t>(read(step.dst_reg) & immediate));
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        write(step.dst_reg, static_cast<uint32_t>(read(step.dst_reg)) >> step.imm);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        if (read(step.dst_reg) == immediate) at += static_cast<size_t>(step.off);
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (read(step.dst_reg) != immediate) at += static_cast<size_t>(step.off);
        break;
      case BPF_JMP | BPF_EXIT:
        return read(BPF_REG_0);
      default:
        throw std::runtime_error("an instruction that no filter of ours uses");
    }
  }
  throw std::runtime_error("the program ran off its end");
}

}  // namespace moss::test
