#pragma once
#include <linux/filter.h>
#include <string>
#include <vector>
#include "moss/base/result.hh"
#include "moss/oci/seccomp.hh"
namespace moss::runtime {
struct SeccompFilter { std::vector<sock_filter> instructions; uint32_t flags = 0; };
inline oci::Seccomp default_seccomp_policy(const std::vector<std::string>&) { return {.default_action="SCMP_ACT_ALLOW"}; }
inline Result<SeccompFilter> default_seccomp_filter(const std::vector<std::string>&) { return SeccompFilter{}; }
inline Result<oci::Seccomp> load_seccomp_profile(const std::string&, const std::vector<std::string>&) { return oci::Seccomp{}; }
inline Result<SeccompFilter> compile_seccomp_cached(const oci::Seccomp&, const std::string&) { return SeccompFilter{}; }
inline Result<SeccompFilter> compile_seccomp(const oci::Seccomp&) { return SeccompFilter{}; }
}
