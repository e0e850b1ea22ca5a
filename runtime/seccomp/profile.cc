// Reading profiles. Three forms come in, one list of conditional rules comes out; see profile.hh.
#include "profile.hh"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "moss/base/text.hh"

namespace moss::runtime {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kLowHalf = 0xffffffff;
/// A profile has no use for more nesting, and a parser that recurses has a stack to lose.
constexpr int kMaxDepth = 32;
/// The values of one case multiply; no honest profile comes near this.
constexpr size_t kMaxRules = 20'000;

constexpr ArchName kArchNames[] = {
    {"SCMP_ARCH_X86_64", "x86_64", "amd64"},
    {"SCMP_ARCH_X86", "x86", "x86"},
    {"SCMP_ARCH_X86", "i386", "386"},
    {"SCMP_ARCH_X32", "x32", "x32"},
    {"SCMP_ARCH_AARCH64", "aarch64", "arm64"},
    {"SCMP_ARCH_ARM", "arm", "arm"},
    {"SCMP_ARCH_MIPS", "mips", "mips"},
    {"SCMP_ARCH_MIPS64", "mips64", "mips64"},
    {"SCMP_ARCH_MIPS64N32", "mips64n32", "mips64n32"},
    {"SCMP_ARCH_MIPSEL", "mipsel", "mipsel"},
    {"SCMP_ARCH_MIPSEL64", "mipsel64", "mipsel64"},
    {"SCMP_ARCH_MIPSEL64N32", "mipsel64n32", "mipsel64n32"},
    {"SCMP_ARCH_PPC", "ppc", "ppc"},
    {"SCMP_ARCH_PPC64", "ppc64", "ppc64"},
    {"SCMP_ARCH_PPC64LE", "ppc64le", "ppc64le"},
    {"SCMP_ARCH_S390", "s390", "s390"},
    {"SCMP_ARCH_S390X", "s390x", "s390x"},
    {"SCMP_ARCH_PARISC", "parisc", "parisc"},
    {"SCMP_ARCH_PARISC64", "parisc64", "parisc64"},
    {"SCMP_ARCH_RISCV64", "riscv64", "riscv64"},
};

template <typename... Parts>
Error wrong(const std::string& where, const Parts&... parts) {
  return Error(0, where, ": ", parts...);
}

/// Podman's files write null where there is nothing to say; that is the same as leaving the field out.
const Json* find(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<Ok> check_object(const Json& value, const std::string& where) {
  if (!value.is_object()) return wrong(where, "expected an object, found ", value.type_name());
  return Ok{};
}

Result<std::string> text_of(const Json& value, const std::string& where) {
  if (!value.is_string()) return wrong(where, "expected text, found ", value.type_name());
  return value.get<std::string>();
}

Result<std::string> text_at(const Json& object, const char* name, const std::string& where) {
  const Json* value = find(object, name);
  if (!value) return std::string();
  return text_of(*value, cat(where, ".", name));
}

Result<std::vector<std::string>> texts_at(const Json& object, const char* name, const std::string& where) {
  const Json* value = find(object, name);
  std::vector<std::string> texts;
  if (!value) return texts;
  if (!value->is_array()) return wrong(cat(where, ".", name), "expected a list, found ", value->type_name());
  for (size_t i = 0; i < value->size(); ++i) {
    texts.push_back(TRY(text_of((*value)[i], cat(where, ".", name, "[", i, "]"))));
  }
  return texts;
}

Result<uint64_t> number_of(const Json& value, const std::string& where, uint64_t max = UINT64_MAX) {
  if (!value.is_number_unsigned()) return wrong(where, "expected an unsigned integer, found ", value.type_name());
  const auto number = value.get<uint64_t>();
  if (number > max) return wrong(where, "expected an integer in 0..", max);
  return number;
}

Result<uint32_t> errno_of(const std::string& name, const std::string& where) {
  for (int code = 1; code < 134; ++code) {
    const char* known = ::strerrorname_np(code);
    if (known && name == known) return static_cast<uint32_t>(code);
  }
  return wrong(where, "unknown error name \"", printable(name), "\"");
}

/// An errno given as a number (`errnoRet`) or, in newer files beside it, by name (`errno`). The number wins.
Result<std::optional<uint32_t>> errno_at(const Json& object, const char* number, const char* name,
                                         const std::string& where) {
  if (const Json* value = find(object, number)) {
    return std::optional(static_cast<uint32_t>(TRY(number_of(*value, cat(where, ".", number), UINT32_MAX))));
  }
  const std::string text = TRY(text_at(object, name, where));
  if (text.empty()) return std::optional<uint32_t>();
  return std::optional(TRY(errno_of(text, cat(where, ".", name))));
}

// ---- Podman's, Docker's and runtime-spec's form ----

Result<KernelVersion> kernel_at(const Json& object, const std::string& where) {
  const std::string text = TRY(text_at(object, "minKernel", where));
  if (text.empty()) return KernelVersion{};
  const auto [major, rest] = cut(text, '.');
  const auto [minor, patch] = cut(rest.value_or("0"), '.');
  const auto major_number = parse_number<uint32_t>(major);
  const auto minor_number = parse_number<uint32_t>(minor);
  if (!major_number || !minor_number) {
    return wrong(cat(where, ".minKernel"), "expected a version such as 4.8, found \"", printable(text), "\"");
  }
  return KernelVersion{*major_number, *minor_number};
}

Result<oci::SeccompArg> spec_arg(const Json& json, const std::string& where) {
  TRY(check_object(json, where));
  oci::SeccompArg arg;
  const Json* index = find(json, "index");
  if (!index) return wrong(cat(where, ".index"), "missing");
  arg.index = static_cast<uint32_t>(TRY(number_of(*index, cat(where, ".index"), 5)));
  if (const Json* value = find(json, "value")) arg.value = TRY(number_of(*value, cat(where, ".value")));
  if (const Json* value = find(json, "valueTwo")) arg.value_two = TRY(number_of(*value, cat(where, ".valueTwo")));
  arg.op = TRY(text_at(json, "op", where));
  return arg;
}

Result<ProfileRule> spec_rule(const Json& json, const std::string& where) {
  TRY(check_object(json, where));
  ProfileRule out;
  out.rule.names = TRY(texts_at(json, "names", where));
  // Docker's oldest form names one call a rule.
  const std::string name = TRY(text_at(json, "name", where));
  if (!name.empty()) out.rule.names.push_back(name);
  if (out.rule.names.empty()) return wrong(where, "names no system call");
  out.rule.action = TRY(text_at(json, "action", where));
  out.rule.errno_ret = TRY(errno_at(json, "errnoRet", "errno", where));
  // Files written for older runtimes give an errno to every rule; only these two actions have one to return.
  if (out.rule.action != "SCMP_ACT_ERRNO" && out.rule.action != "SCMP_ACT_TRACE" && out.rule.errno_ret == 0) {
    out.rule.errno_ret.reset();
  }
  if (const Json* args = find(json, "args")) {
    if (!args->is_array()) return wrong(cat(where, ".args"), "expected a list, found ", args->type_name());
    for (size_t i = 0; i < args->size(); ++i) {
      out.rule.args.push_back(TRY(spec_arg((*args)[i], cat(where, ".args[", i, "]"))));
    }
  }
  if (const Json* includes = find(json, "includes")) {
    const std::string place = where + ".includes";
    TRY(check_object(*includes, place));
    out.with = TRY(texts_at(*includes, "caps", place));
    out.on = TRY(texts_at(*includes, "arches", place));
    out.min_kernel = TRY(kernel_at(*includes, place));
  }
  if (const Json* excludes = find(json, "excludes")) {
    const std::string place = where + ".excludes";
    TRY(check_object(*excludes, place));
    out.without = TRY(texts_at(*excludes, "caps", place));
    out.not_on = TRY(texts_at(*excludes, "arches", place));
  }
  return out;
}

Result<Profile> parse_spec_form(const Json& json) {
  Profile profile;
  oci::Seccomp& head = profile.head;
  head.default_action = TRY(text_at(json, "defaultAction", "profile"));
  if (head.default_action.empty()) return wrong("profile.defaultAction", "missing");
  head.default_errno_ret = TRY(errno_at(json, "defaultErrnoRet", "defaultErrno", "profile"));
  head.architectures = TRY(texts_at(json, "architectures", "profile"));
  head.flags = TRY(texts_at(json, "flags", "profile"));
  const std::string listener = TRY(text_at(json, "listenerPath", "profile"));
  if (!listener.empty()) head.listener_path = listener;
  const std::string metadata = TRY(text_at(json, "listenerMetadata", "profile"));
  if (!metadata.empty()) head.listener_metadata = metadata;

  if (const Json* map = find(json, "archMap")) {
    if (!map->is_array()) return wrong("profile.archMap", "expected a list, found ", map->type_name());
    for (size_t i = 0; i < map->size(); ++i) {
      const std::string where = cat("profile.archMap[", i, "]");
      TRY(check_object((*map)[i], where));
      Profile::ArchMap entry;
      entry.arch = TRY(text_at((*map)[i], "architecture", where));
      entry.sub_architectures = TRY(texts_at((*map)[i], "subArchitectures", where));
      profile.arch_map.push_back(std::move(entry));
    }
  }
  if (const Json* rules = find(json, "syscalls")) {
    if (!rules->is_array()) return wrong("profile.syscalls", "expected a list, found ", rules->type_name());
    for (size_t i = 0; i < rules->size(); ++i) {
      profile.rules.push_back(TRY(spec_rule((*rules)[i], cat("profile.syscalls[", i, "]"))));
    }
  }
  return profile;
}

// ---- our own form ----

using Constants = std::map<std::string, uint64_t, std::less<>>;

Result<uint64_t> constant_of(const Json& value, const Constants& constants, const std::string& where) {
  if (value.is_number()) return number_of(value, where, kLowHalf);
  const std::string text = TRY(text_of(value, where));
  if (const auto known = constants.find(text); known != constants.end()) return known->second;
  if (text.starts_with("0x")) {
    if (const auto number = parse_number<uint32_t>(std::string_view(text).substr(2), 16)) return uint64_t{*number};
  }
  return wrong(where, "neither a 32-bit number nor one of the constants: \"", printable(text), "\"");
}

Result<Ok> set_verdict(oci::SeccompRule& rule, const std::string& verdict, const std::string& where) {
  if (verdict == "allow") {
    rule.action = "SCMP_ACT_ALLOW";
    return Ok{};
  }
  rule.action = "SCMP_ACT_ERRNO";
  rule.errno_ret = TRY(errno_of(verdict, where));
  return Ok{};
}

/// Every field is known, so that a misspelt condition is not a missing one.
Result<Ok> check_fields(const Json& object, std::initializer_list<std::string_view> known, const std::string& where) {
  TRY(check_object(object, where));
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return wrong(where, "unknown field \"", printable(name), "\"");
    }
  }
  return Ok{};
}

/// The rules of one case. The values of an argument are alternatives, its arguments must all match; only the low
/// half counts, as for the kernel, which takes an int and never looks at the other.
Result<Ok> add_case(Profile& profile, const ProfileRule& group, const Json& json, const Constants& constants,
                    const std::string& where) {
  TRY(check_fields(json, {"arg0", "arg1", "arg2", "arg3", "arg4", "arg5", "with", "without", "do"}, where));
  ProfileRule base = group;
  const std::string verdict = TRY(text_at(json, "do", where));
  TRY(set_verdict(base.rule, verdict, where + ".do"));
  const auto with = TRY(texts_at(json, "with", where));
  const auto without = TRY(texts_at(json, "without", where));
  base.with.insert(base.with.end(), with.begin(), with.end());
  base.without.insert(base.without.end(), without.begin(), without.end());

  std::vector<ProfileRule> rules = {base};
  for (uint32_t index = 0; index < 6; ++index) {
    const std::string name = cat("arg", index);
    const Json* values = find(json, name.c_str());
    if (!values) continue;
    const std::string place = cat(where, ".", name);
    if (!values->is_array()) return wrong(place, "expected a list, found ", values->type_name());
    std::vector<ProfileRule> wider;
    for (const Json& value : *values) {
      const uint64_t number = TRY(constant_of(value, constants, place));
      for (ProfileRule rule : rules) {
        rule.rule.args.push_back({index, kLowHalf, number, "SCMP_CMP_MASKED_EQ"});
        wider.push_back(std::move(rule));
      }
      if (wider.size() > kMaxRules) return wrong(place, "too many combinations");
    }
    rules = std::move(wider);
  }
  // "In every other case". Without a condition libseccomp lets it swallow the other rules; with one that is always
  // true it is looked at after them, because libseccomp tries later arguments and stricter comparisons first.
  if (!rules.empty() && rules[0].rule.args.empty()) rules[0].rule.args.push_back({0, 0, 0, "SCMP_CMP_GE"});
  std::move(rules.begin(), rules.end(), std::back_inserter(profile.rules));
  return Ok{};
}

Result<Ok> add_group(Profile& profile, const Json& json, const Constants& constants, const std::string& where) {
  TRY(check_fields(json, {"name", "why", "calls", "on", "needs", "otherwise", "refuse", "cases"}, where));
  ProfileRule group;
  group.rule.names = TRY(texts_at(json, "calls", where));
  if (group.rule.names.empty()) return wrong(where, "names no system call");
  group.on = TRY(texts_at(json, "on", where));
  const auto needs = TRY(texts_at(json, "needs", where));
  const std::string otherwise = TRY(text_at(json, "otherwise", where));
  const std::string refuse = TRY(text_at(json, "refuse", where));

  if (const Json* cases = find(json, "cases")) {
    if (!needs.empty() || !refuse.empty()) return wrong(where, "cases decide alone, without needs and refuse");
    if (!cases->is_array()) return wrong(where + ".cases", "expected a list, found ", cases->type_name());
    for (size_t i = 0; i < cases->size(); ++i) {
      TRY(add_case(profile, group, (*cases)[i], constants, cat(where, ".cases[", i, "]")));
      if (profile.rules.size() > kMaxRules) return wrong(where, "too many rules");
    }
    return Ok{};
  }
  ProfileRule rule = group;
  TRY(set_verdict(rule.rule, refuse.empty() ? "allow" : refuse, where + ".refuse"));
  rule.with = needs;
  profile.rules.push_back(rule);
  if (otherwise.empty()) return Ok{};
  if (needs.size() != 1) return wrong(where, "otherwise goes with exactly one capability in needs");
  rule = group;
  TRY(set_verdict(rule.rule, otherwise, where + ".otherwise"));
  rule.without = needs;
  profile.rules.push_back(rule);
  return Ok{};
}

Result<Profile> parse_own_form(const Json& json) {
  TRY(check_fields(json, {"format", "about", "default", "constants", "groups"}, "profile"));
  const std::string format = TRY(text_at(json, "format", "profile"));
  if (format != "moss-seccomp-1") {
    return wrong("profile.format", "this moss reads \"moss-seccomp-1\", not \"", printable(format), "\"");
  }
  Profile profile;
  profile.native_only = true;
  oci::SeccompRule fallback;
  const std::string verdict = TRY(text_at(json, "default", "profile"));
  TRY(set_verdict(fallback, verdict, "profile.default"));
  profile.head.default_action = fallback.action;
  profile.head.default_errno_ret = fallback.errno_ret;

  Constants constants;
  if (const Json* table = find(json, "constants")) {
    TRY(check_object(*table, "profile.constants"));
    for (const auto& [name, value] : table->items()) {
      constants[name] = TRY(constant_of(value, {}, cat("profile.constants.", printable(name))));
    }
  }
  const Json* groups = find(json, "groups");
  if (!groups || !groups->is_array()) return wrong("profile.groups", "expected a list");
  for (size_t i = 0; i < groups->size(); ++i) {
    TRY(add_group(profile, (*groups)[i], constants, cat("profile.groups[", i, "]")));
  }
  return profile;
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

bool holds(const ProfileRule& rule, const ProfileTarget& target) {
  const auto held = [&](const std::string& capability) { return contains(target.capabilities, capability); };
  const auto here = [&](const std::string& name) { return is_arch(name, target.arch); };
  return std::all_of(rule.with.begin(), rule.with.end(), held) &&
         std::none_of(rule.without.begin(), rule.without.end(), held) &&
         (rule.on.empty() || std::any_of(rule.on.begin(), rule.on.end(), here)) &&
         std::none_of(rule.not_on.begin(), rule.not_on.end(), here) && target.kernel >= rule.min_kernel;
}

}  // namespace

Result<Profile> parse_profile(std::string_view text) {
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  const Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (too_deep) return Error(0, "nested more than ", kMaxDepth, " deep");
  if (json.is_discarded()) return Error(0, "not valid JSON");
  if (!json.is_object()) return Error(0, "expected an object, found ", json.type_name());
  return json.contains("format") ? parse_own_form(json) : parse_spec_form(json);
}

oci::Seccomp select(const Profile& profile, const ProfileTarget& target) {
  oci::Seccomp policy = profile.head;
  const auto add_arch = [&](std::string_view arch) {
    if (!arch.empty() && !contains(policy.architectures, arch)) policy.architectures.emplace_back(arch);
  };
  if (profile.native_only) add_arch(target.arch);
  for (const Profile::ArchMap& entry : profile.arch_map) {
    if (entry.arch != target.arch) continue;
    add_arch(entry.arch);
    for (const std::string& arch : entry.sub_architectures) add_arch(arch);
  }
  if (target.compat) {
    add_arch(target.arch);
    add_arch(compat_arch(target.arch));
  }
  for (const ProfileRule& rule : profile.rules) {
    if (holds(rule, target)) policy.syscalls.push_back(rule.rule);
  }
  return policy;
}

std::string_view compat_arch(std::string_view arch) {
  if (arch == "SCMP_ARCH_X86_64") return "SCMP_ARCH_X86";
  if (arch == "SCMP_ARCH_AARCH64") return "SCMP_ARCH_ARM";
  return {};
}

bool is_arch(std::string_view name, std::string_view arch) {
  return std::any_of(std::begin(kArchNames), std::end(kArchNames), [&](const ArchName& known) {
    return known.scmp == arch && (name == known.scmp || name == known.uname || name == known.go);
  });
}

std::string canonical_text(const oci::Seccomp& policy) {
  std::string out;
  out.reserve(16u << 10);
  // A whole policy passes here at each start from a config.json, so nothing is glued together in between.
  const auto digits = [&](uint64_t value, char end) {
    char buffer[20];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
    out += end;
  };
  const auto text = [&](std::string_view value) {
    digits(value.size(), ':');
    out += value;
    out += ',';
  };
  const auto number = [&](uint64_t value) { digits(value, ','); };
  const auto maybe = [&](const std::optional<uint32_t>& value) { value ? number(*value) : text("none"); };
  const auto texts = [&](const std::vector<std::string>& values) {
    number(values.size());
    for (const std::string& value : values) text(value);
  };
  text(policy.default_action);
  maybe(policy.default_errno_ret);
  texts(policy.architectures);
  texts(policy.flags);
  number(policy.syscalls.size());
  for (const oci::SeccompRule& rule : policy.syscalls) {
    texts(rule.names);
    text(rule.action);
    maybe(rule.errno_ret);
    number(rule.args.size());
    for (const oci::SeccompArg& arg : rule.args) {
      number(arg.index);
      number(arg.value);
      number(arg.value_two);
      text(arg.op);
    }
  }
  return out;
}

}  // namespace moss::runtime
