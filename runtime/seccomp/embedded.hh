// The default profile as moss carries it: written by seccomp-profiles/compile_profile.cc when moss is built, as
// constants, so that neither JSON nor libseccomp is touched when a container starts.
#pragma once

#include <linux/filter.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace moss::runtime {

struct EmbeddedArg {
  uint32_t index;
  uint64_t value;
  uint64_t value_two;
  std::string_view op;
};

/// One rule of the profile. Capabilities are bits, in the order of `embedded_capabilities()`.
struct EmbeddedRule {
  std::string_view names;  ///< separated by spaces
  std::string_view on;     ///< architectures, separated by spaces; empty means all
  std::string_view action;
  int32_t errno_ret;  ///< -1: none
  uint32_t with;
  uint32_t without;
  uint32_t arg_count;
  std::array<EmbeddedArg, 2> args;
};

struct EmbeddedFilter {
  std::string_view arch;  ///< "SCMP_ARCH_X86_64"
  bool compat;
  uint32_t capabilities;  ///< of those that the profile looks at, the ones held
  uint64_t policy_hash;   ///< fnv1a() of the policy's canonical_text()
  std::span<const sock_filter> program;
};

/// The capabilities that the profile's conditions name. Others make no difference to the filter.
std::span<const std::string_view> embedded_capabilities();
std::string_view embedded_default_action();
int32_t embedded_default_errno();
std::span<const EmbeddedRule> embedded_rules();
/// For every architecture the tool compiles for, not the native one alone.
std::span<const EmbeddedFilter> embedded_filters();

}  // namespace moss::runtime
