// The public face: which of the three ways to a filter is taken.
#include "moss/runtime/seccomp.hh"

#include <sys/utsname.h>

#include "cache.hh"
#include "compile.hh"
#include "default.hh"
#include "moss/base/hash.hh"
#include "moss/base/text.hh"
#include "moss/sys/file.hh"
#include "profile.hh"

namespace moss::runtime {
namespace {

constexpr size_t kMaxProfileBytes = 4u << 20;

KernelVersion running_kernel() {
  utsname names{};
  ::uname(&names);
  const auto [major, rest] = cut(names.release, '.');
  const std::string_view after = rest.value_or("");
  const std::string_view minor = after.substr(0, after.find_first_not_of("0123456789"));
  return {parse_number<uint32_t>(major).value_or(0), parse_number<uint32_t>(minor).value_or(0)};
}

/// A config.json that moss wrote for its default profile asks for what is already here. The hash finds the candidate,
/// the comparison of the whole policy decides.
const EmbeddedFilter* find_prebuilt_for(const oci::Seccomp& policy, std::string_view text) {
  const uint64_t hash = fnv1a(text);
  for (const EmbeddedFilter& filter : embedded_filters()) {
    if (filter.policy_hash != hash || filter.arch != native_arch()) continue;
    const Compat compat = filter.compat ? Compat::yes : Compat::no;
    if (default_policy(filter.capabilities, filter.arch, compat) == policy) return &filter;
  }
  return nullptr;
}

}  // namespace

Result<SeccompFilter> default_seccomp_filter(const std::vector<std::string>& capabilities, Compat compat,
                                             const std::string& cache_dir) {
  const uint32_t bits = capability_bits(capabilities);
  if (const EmbeddedFilter* filter = find_prebuilt(bits, native_arch(), compat)) {
    return SeccompFilter{.prebuilt = filter->program};
  }
  return seccomp_filter(default_policy(bits, native_arch(), compat), cache_dir).context("the default seccomp profile");
}

oci::Seccomp default_seccomp_policy(const std::vector<std::string>& capabilities, Compat compat) {
  return default_policy(capability_bits(capabilities), native_arch(), compat);
}

Result<oci::Seccomp> load_seccomp_profile(const std::string& path, const std::vector<std::string>& capabilities,
                                          Compat compat) {
  const std::string text = TRY(sys::read_file(path, kMaxProfileBytes).context("read the seccomp profile"));
  const Profile profile = TRY(parse_profile(text).context("seccomp profile ", path));
  return select(profile, {std::string(native_arch()), compat == Compat::yes, capabilities, running_kernel()});
}

Result<SeccompFilter> seccomp_filter(const oci::Seccomp& policy, const std::string& cache_dir) {
  SeccompFilter filter;
  filter.flags = TRY(filter_flags(policy));
  const std::string text = canonical_text(policy);
  if (const EmbeddedFilter* prebuilt = find_prebuilt_for(policy, text)) {
    filter.prebuilt = prebuilt->program;
    return filter;
  }
  if (cache_dir.empty()) return compile_seccomp(policy);

  const std::string key = cache_key(text);
  if (auto program = read_cached(cache_dir, key)) {
    filter.compiled = std::move(*program);
    return filter;
  }
  filter.compiled = TRY(compile_program(policy, native_arch()));
  write_cached(cache_dir, key, filter.compiled);
  return filter;
}

Result<SeccompFilter> compile_seccomp(const oci::Seccomp& policy) {
  SeccompFilter filter;
  filter.flags = TRY(filter_flags(policy));
  filter.compiled = TRY(compile_program(policy, native_arch()));
  return filter;
}

}  // namespace moss::runtime
