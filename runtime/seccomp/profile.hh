// Profiles: policies that still depend on the container's capabilities, the architecture and the kernel.
//
// A profile file becomes a list of rules, each with the conditions under which it counts; select() then picks those
// that hold for one container. The build tool and the run time share this.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/seccomp.hh"

namespace moss::runtime {

/// One architecture under its three names.
struct ArchName {
  std::string_view scmp;   ///< runtime-spec's: "SCMP_ARCH_X86_64"
  std::string_view uname;  ///< the kernel's, and our profiles': "x86_64"
  std::string_view go;     ///< Podman's and Docker's profiles': "amd64"
};

struct KernelVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

/// What a profile is applied to.
struct ProfileTarget {
  std::string arch;  ///< "SCMP_ARCH_X86_64"
  bool compat = false;
  std::vector<std::string> capabilities;
  KernelVersion kernel;
};

struct ProfileRule {
  oci::SeccompRule rule;
  std::vector<std::string> with;     ///< capabilities, all of which must be held
  std::vector<std::string> without;  ///< capabilities, none of which may be held
  std::vector<std::string> on;       ///< architectures by any of their names; empty means all
  std::vector<std::string> not_on;
  KernelVersion min_kernel;
};

struct Profile {
  struct ArchMap {
    std::string arch;
    std::vector<std::string> sub_architectures;
  };
  oci::Seccomp head;  ///< everything but the rules
  std::vector<ArchMap> arch_map;
  bool native_only = false;  ///< our own form: architectures follow from ProfileTarget alone
  std::vector<ProfileRule> rules;
};

/// Our own form, Podman's, Docker's or runtime-spec's. Errors say where: "groups[3].cases[0].do: …".
Result<Profile> parse_profile(std::string_view text);

/// The rules of `profile` that hold for `target`.
oci::Seccomp select(const Profile& profile, const ProfileTarget& target);

/// "SCMP_ARCH_X86" for "SCMP_ARCH_X86_64"; empty where there is none.
std::string_view compat_arch(std::string_view arch);

/// Whether `name` is one of the names of `arch` ("SCMP_ARCH_…").
bool is_arch(std::string_view name, std::string_view arch);

/// A policy as one unambiguous text: equal texts mean equal policies. Part of cache keys.
std::string canonical_text(const oci::Seccomp& policy);

}  // namespace moss::runtime
