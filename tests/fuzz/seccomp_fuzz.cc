// Fuzzes the way from a profile's JSON to a policy to BPF. Whatever comes in, what comes out is an error or a program
// that the kernel would take and that gives every call a verdict.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "../seccomp/bpf_evaluator.hh"
#include "compile.hh"
#include "profile.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss::runtime;
  // Compiling grows faster than the input, and large profiles teach nothing that small ones do not.
  if (size > 8192) return 0;
  const auto profile = parse_profile({reinterpret_cast<const char*>(data), size});
  if (!profile.ok()) return 0;
  for (const bool compat : {false, true}) {
    const auto policy = select(*profile, {"SCMP_ARCH_X86_64", compat, {"CAP_SYS_ADMIN"}, {6, 1}});
    const auto flags = filter_flags(policy);
    const auto program = compile_program(policy, "SCMP_ARCH_X86_64");
    if (!program.ok()) continue;
    if (!is_well_formed(*program)) std::abort();
    for (const uint32_t number : {0U, 16U, 41U, 56U, 1000U, 0x40000001U}) {
      moss::test::run_filter(*program, AUDIT_ARCH_X86_64, number, {16, 0x5412, 9});
    }
    (void)flags.ok();
  }
  return 0;
}
