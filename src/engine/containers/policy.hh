// Which seccomp policy a container gets.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/paths.hh"
#include "moss/oci/seccomp.hh"

namespace moss::engine {

struct SeccompChoice {
  std::string name;                    ///< for the record: "", "unconfined", or the profile's path
  std::optional<oci::Seccomp> policy;  ///< a user's, for config.json; the default one is written out when it is needed
  std::vector<sock_filter> filter;     ///< compiled; empty: none
  uint32_t flags = 0;
};

/// By --security-opt seccomp=PATH|unconfined; --privileged means unconfined. The default comes compiled with moss, a
/// user's profile is compiled once and kept below `paths.run`.
/// Errors: the profile cannot be read or says something unknown.
Result<SeccompChoice> choose_seccomp(const std::vector<std::string>& security_opts, bool privileged,
                                     const std::vector<std::string>& capabilities, const Paths& paths);
/// The same by the name a record keeps.
Result<SeccompChoice> seccomp_by_name(const std::string& name, const std::vector<std::string>& capabilities,
                                      const Paths& paths);

}  // namespace moss::engine
