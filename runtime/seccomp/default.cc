// The default policy and its prebuilt filters, read from the embedded tables.
#include "default.hh"

#include <algorithm>

#include "moss/base/text.hh"
#include "profile.hh"

namespace moss::runtime {
namespace {

bool holds(const EmbeddedRule& rule, uint32_t capabilities, std::string_view arch) {
  if ((capabilities & rule.with) != rule.with || (capabilities & rule.without) != 0) return false;
  if (rule.on.empty()) return true;
  const auto names = split(rule.on, ' ');
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return is_arch(name, arch); });
}

}  // namespace

uint32_t capability_bits(const std::vector<std::string>& capabilities) {
  uint32_t bits = 0;
  const auto known = embedded_capabilities();
  for (size_t i = 0; i < known.size(); ++i) {
    if (std::find(capabilities.begin(), capabilities.end(), known[i]) != capabilities.end()) bits |= 1U << i;
  }
  return bits;
}

oci::Seccomp default_policy(uint32_t capabilities, std::string_view arch, Compat compat) {
  oci::Seccomp policy;
  policy.default_action = embedded_default_action();
  if (embedded_default_errno() >= 0) policy.default_errno_ret = static_cast<uint32_t>(embedded_default_errno());
  policy.architectures.emplace_back(arch);
  if (compat == Compat::yes && !compat_arch(arch).empty()) policy.architectures.emplace_back(compat_arch(arch));
  for (const EmbeddedRule& embedded : embedded_rules()) {
    if (!holds(embedded, capabilities, arch)) continue;
    oci::SeccompRule& rule = policy.syscalls.emplace_back();
    for (const std::string_view name : split(embedded.names, ' ')) rule.names.emplace_back(name);
    rule.action = embedded.action;
    if (embedded.errno_ret >= 0) rule.errno_ret = static_cast<uint32_t>(embedded.errno_ret);
    for (uint32_t i = 0; i < embedded.arg_count; ++i) {
      const EmbeddedArg& arg = embedded.args[i];
      rule.args.push_back({arg.index, arg.value, arg.value_two, std::string(arg.op)});
    }
  }
  return policy;
}

const EmbeddedFilter* find_prebuilt(uint32_t capabilities, std::string_view arch, Compat compat) {
  for (const EmbeddedFilter& filter : embedded_filters()) {
    if (filter.capabilities == capabilities && filter.compat == (compat == Compat::yes) && filter.arch == arch) {
      return &filter;
    }
  }
  return nullptr;
}

}  // namespace moss::runtime
