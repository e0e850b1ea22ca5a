// The default policy, a user's, or none.
#include "src/engine/containers/policy.hh"

#include "moss/runtime/seccomp.hh"

namespace moss::engine {

Result<SeccompChoice> seccomp_by_name(const std::string& name, const std::vector<std::string>& capabilities,
                                      const Paths& paths) {
  SeccompChoice choice{.name = name};
  if (name == "unconfined") return choice;
  const std::string cache = paths.run + "/seccomp";
  runtime::SeccompFilter filter;
  if (name.empty()) {
    filter = TRY(runtime::default_seccomp_filter(capabilities, runtime::Compat::no, cache));
  } else {
    choice.policy = TRY(runtime::load_seccomp_profile(name, capabilities));
    filter = TRY(runtime::seccomp_filter(*choice.policy, cache));
  }
  choice.filter.assign(filter.program().begin(), filter.program().end());
  choice.flags = filter.flags;
  return choice;
}

Result<SeccompChoice> choose_seccomp(const std::vector<std::string>& security_opts, bool privileged,
                                     const std::vector<std::string>& capabilities, const Paths& paths) {
  std::string name = privileged ? "unconfined" : "";
  for (const std::string& option : security_opts) {
    if (option.starts_with("seccomp=") || option.starts_with("seccomp:")) name = option.substr(8);
  }
  return seccomp_by_name(name, capabilities, paths).context("seccomp profile ", printable(name));
}

}  // namespace moss::engine
