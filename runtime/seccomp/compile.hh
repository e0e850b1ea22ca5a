// From a policy to BPF, through libseccomp. Shared by the build tool and the run time; the tool also compiles for
// architectures it does not run on.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/seccomp.hh"

namespace moss::runtime {

/// What the kernel takes at most: BPF_MAXINSNS.
inline constexpr size_t kMaxInstructions = 4096;

/// "SCMP_ARCH_X86_64" on x86_64: the architecture moss was built for.
std::string_view native_arch();

/// The program for a machine whose native architecture is `arch` ("SCMP_ARCH_…").
Result<std::vector<sock_filter>> compile_program(const oci::Seccomp& policy, std::string_view arch);

/// The flags for seccomp(2): those the policy names, and NEW_LISTENER where a rule notifies. Never calls libseccomp.
Result<uint32_t> filter_flags(const oci::Seccomp& policy);

/// Whether the kernel would take it: every jump forward and within the program, every load an aligned word of
/// seccomp_data, every path ending in a return. Instructions that no filter here needs are refused.
bool is_well_formed(std::span<const sock_filter> program);

}  // namespace moss::runtime
