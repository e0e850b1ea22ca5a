// A seccomp policy as runtime-spec writes it (config-linux.md "Seccomp"). Data only; runtime/seccomp compiles it, and
// reads profiles that stand in files of their own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moss::oci {

/// One condition on a syscall's argument. `value_two` serves SCMP_CMP_MASKED_EQ alone.
struct SeccompArg {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  std::string op;  ///< "SCMP_CMP_EQ", …
  bool operator==(const SeccompArg&) const = default;
};

/// One rule: all of `args` must hold for `action` to be taken.
struct SeccompRule {
  std::vector<std::string> names;
  std::string action;  ///< "SCMP_ACT_ALLOW", …
  std::optional<uint32_t> errno_ret;
  std::vector<SeccompArg> args;
  bool operator==(const SeccompRule&) const = default;
};

struct Seccomp {
  std::string default_action;
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures;  ///< "SCMP_ARCH_X86_64", …; the native one is always meant
  std::vector<std::string> flags;          ///< "SECCOMP_FILTER_FLAG_LOG", …
  std::optional<std::string> listener_path;
  std::optional<std::string> listener_metadata;
  std::vector<SeccompRule> syscalls;
  bool operator==(const Seccomp&) const = default;
};

}  // namespace moss::oci
