// Seccomp filters: from a policy, or a capability set, to the BPF program that seccomp(2) takes.
//
//   default policy  ──▶ prebuilt when moss was built   (about a microsecond, no library)
//   any policy      ──▶ cache file ──▶ libseccomp      (0.1 ms where cached, several ms where not)
//
// All of this is for the parent: the child only hands `program()` and `flags` to seccomp(2). See
// runtime/seccomp/README.md.
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

/// A filter ready for seccomp(SECCOMP_SET_MODE_FILTER, flags, &sock_fprog{…}). Copies are independent of each other.
struct SeccompFilter {
  std::span<const sock_filter> prebuilt;  ///< static data; used where `compiled` is empty
  std::vector<sock_filter> compiled;
  /// SECCOMP_FILTER_FLAG_… With NEW_LISTENER, seccomp(2) returns the descriptor that goes to the policy's listener.
  uint32_t flags = 0;

  /// The instructions, at most 4096, valid as long as this value.
  std::span<const sock_filter> program() const { return compiled.empty() ? prebuilt : std::span(compiled); }
};

/// Whether the 32-bit architecture beside the native one is let in too (x86 beside x86_64, arm beside aarch64).
/// An image for that platform needs it. Everything else, x32 included, answers ENOSYS to every call.
enum class Compat : bool { no, yes };

/// The default policy's filter for a container that holds `capabilities` ("CAP_CHOWN", …; its bounding set).
/// The usual sets are prebuilt; the others go through libseccomp once and then lie in `cache_dir` (see seccomp_filter).
/// Errors: only libseccomp's own.
Result<SeccompFilter> default_seccomp_filter(const std::vector<std::string>& capabilities, Compat compat = Compat::no,
                                             const std::string& cache_dir = {});

/// The same policy as runtime-spec data, for a config.json that any runtime can run. Reads no file.
oci::Seccomp default_seccomp_policy(const std::vector<std::string>& capabilities, Compat compat = Compat::no);

/// A user's profile file as a policy for these capabilities, this machine's architecture and this kernel's version.
/// Takes the form of seccomp-profiles/default.json, and Podman's and Docker's (defaultAction, archMap, syscalls with
/// includes and excludes); a plain runtime-spec "seccomp" object is a special case of those.
/// Errors name the file and the place in it: unreadable, larger than 4 MiB, not JSON, a field of the wrong kind.
Result<oci::Seccomp> load_seccomp_profile(const std::string& path, const std::vector<std::string>& capabilities,
                                          Compat compat = Compat::no);

/// The filter of any policy, in the cheapest way: prebuilt where it is the default policy, else from `cache_dir`, else
/// compiled and left there for the next time. An empty `cache_dir` caches nothing.
/// The folder is the caller's own ($XDG_RUNTIME_DIR/moss/seccomp), made 0700 if missing. A folder or entry that
/// belongs to somebody else or that others may write is not used, and neither is one that is damaged: the policy is
/// then compiled as if there were no cache. Failing to write the cache is no error.
/// Errors: those of compile_seccomp.
Result<SeccompFilter> seccomp_filter(const oci::Seccomp& policy, const std::string& cache_dir = {});

/// A flag of seccomp(2) by its name in config.json.
struct SeccompFlag {
  std::string_view name;
  uint32_t flag;
};
/// Every word that a policy may use.
struct SeccompWords {
  std::vector<std::string> actions;
  std::vector<std::string> operators;
  std::vector<std::string> archs;
  std::vector<SeccompFlag> flags;
};
SeccompWords seccomp_words();

/// Compiles through libseccomp, with its binary tree. Costs milliseconds.
/// A call that this libseccomp does not know is skipped. Where the default is ERRNO(EPERM), calls newer than all that
/// libseccomp knows answer ENOSYS, so that programs take their older path instead of giving up.
/// Architectures that the policy does not name answer ENOSYS, or are killed where the default action kills.
/// Errors: an unknown action, operator, architecture or flag, by name; an errno where the action has none; NOTIFY as
/// the default action or for write(2), sendmsg(2) and recvfrom(2), which the runtime itself still needs; more than 4096
/// instructions.
/// Spec: runtime-spec config-linux.md "Seccomp".
Result<SeccompFilter> compile_seccomp(const oci::Seccomp& policy);

/// Hands the listener of a filter with SCMP_ACT_NOTIFY to the agent that listens on the unix socket `path` (the
/// policy's listenerPath). `state` is oci::encode_container_process_state(). Waits no longer than 5 s. Spec:
/// runtime-spec config-linux.md "Seccomp", "The Container Process State".
Result<Ok> send_to_seccomp_agent(const std::string& path, std::string_view state, int listener);

}  // namespace moss::runtime
