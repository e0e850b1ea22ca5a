// Build tool: default.json to constants.
//
//   compile_profile default.json out.cc
//
// For each architecture, and for the sets of capabilities that containers usually hold, the policy is compiled to BPF
// here, once, instead of at every start. The rules go along as tables, for the other sets and for config.json.
#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "compile.hh"
#include "moss/base/hash.hh"
#include "moss/base/text.hh"
#include "moss/sys/file.hh"
#include "profile.hh"

namespace {

using namespace moss;
using namespace moss::runtime;

constexpr std::string_view kArchs[] = {"SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"};

/// Of Podman's eleven default capabilities, the profile looks at one. Then what --cap-add is mostly asked for, and
/// what Docker gives by default.
const std::vector<std::vector<std::string>> kUsualSets = {
    {"CAP_SYS_CHROOT"},
    {},
    {"CAP_SYS_CHROOT", "CAP_NET_RAW"},
    {"CAP_SYS_CHROOT", "CAP_NET_ADMIN"},
    {"CAP_SYS_CHROOT", "CAP_NET_ADMIN", "CAP_NET_RAW"},
    {"CAP_SYS_CHROOT", "CAP_NET_RAW", "CAP_AUDIT_WRITE"},
    {"CAP_SYS_CHROOT", "CAP_SYS_PTRACE"},
    {"CAP_SYS_CHROOT", "CAP_SYS_ADMIN"},
};

class Writer {
 public:
  explicit Writer(const Profile& profile) : profile_(profile) {
    for (const ProfileRule& rule : profile.rules) {
      capabilities_.insert(rule.with.begin(), rule.with.end());
      capabilities_.insert(rule.without.begin(), rule.without.end());
    }
  }

  Result<std::string> write() {
    if (capabilities_.size() > 32) return Error(0, "more than 32 capabilities in conditions");
    out_ =
        "// Written by compile_profile from default.json; do not edit.\n"
        "#include \"embedded.hh\"\n\nnamespace moss::runtime {\nnamespace {\n\n";
    write_capabilities();
    TRY(write_rules());
    TRY(write_filters());
    out_ += cat("}  // namespace\n\n",
                "std::span<const std::string_view> embedded_capabilities() { return kCapabilities; }\n",
                "std::string_view embedded_default_action() { return \"", profile_.head.default_action, "\"; }\n",
                "int32_t embedded_default_errno() { return ", errno_of(profile_.head.default_errno_ret), "; }\n",
                "std::span<const EmbeddedRule> embedded_rules() { return kRules; }\n",
                "std::span<const EmbeddedFilter> embedded_filters() { return kFilters; }\n\n",
                "}  // namespace moss::runtime\n");
    return std::move(out_);
  }

 private:
  static int64_t errno_of(const std::optional<uint32_t>& code) { return code ? int64_t{*code} : -1; }

  uint32_t bits(const std::vector<std::string>& held) const {
    uint32_t out = 0;
    uint32_t bit = 1;
    for (const std::string& capability : capabilities_) {
      if (std::find(held.begin(), held.end(), capability) != held.end()) out |= bit;
      bit <<= 1;
    }
    return out;
  }

  void write_capabilities() {
    out_ += "constexpr std::string_view kCapabilities[] = {\n";
    for (const std::string& capability : capabilities_) out_ += cat("    \"", capability, "\",\n");
    out_ += "};\n\n";
  }

  Result<Ok> write_rules() {
    out_ += "constexpr EmbeddedRule kRules[] = {\n";
    for (const ProfileRule& rule : profile_.rules) {
      if (rule.rule.args.size() > 2) return Error(0, "more than two arguments in one condition");
      out_ += cat("    {\"", join(rule.rule.names, " "), "\", \"", join(rule.on, " "), "\", \"", rule.rule.action,
                  "\", ", errno_of(rule.rule.errno_ret), ", ", bits(rule.with), ", ", bits(rule.without), ", ",
                  rule.rule.args.size(), ", {");
      std::string args;
      for (const oci::SeccompArg& arg : rule.rule.args) {
        if (!args.empty()) args += ", ";
        args += cat("EmbeddedArg{", arg.index, ", ", arg.value, "U, ", arg.value_two, "U, \"", arg.op, "\"}");
      }
      out_ += args + "}},\n";
    }
    out_ += "};\n\n";
    return Ok{};
  }

  Result<Ok> write_filters() {
    std::vector<std::vector<std::string>> sets = kUsualSets;
    sets.emplace_back(capabilities_.begin(), capabilities_.end());
    std::string table;
    size_t count = 0;
    for (const std::string_view arch : kArchs) {
      for (const bool compat : {false, true}) {
        for (size_t set = 0; set < sets.size(); ++set) {
          // 32-bit images are rare: of theirs, the default set, the empty one and the full one.
          if (compat && set >= 2 && set + 1 < sets.size()) continue;
          const std::vector<std::string>& held = sets[set];
          // Any kernel that runs moss: no rule of ours asks for a newer one.
          const oci::Seccomp policy = select(profile_, {std::string(arch), compat, held, {}});
          const auto program = TRY(compile_program(policy, arch));
          if (!is_well_formed(program)) return Error(0, "the compiled filter is not well formed");
          out_ += cat("constexpr sock_filter kProgram", count, "[] = {\n");
          for (const sock_filter& step : program) {
            out_ += cat("    {", step.code, ", ", unsigned{step.jt}, ", ", unsigned{step.jf}, ", ", step.k, "U},\n");
          }
          out_ += "};\n\n";
          table += cat("    {\"", arch, "\", ", compat ? "true" : "false", ", ", bits(held), ", ",
                       fnv1a(canonical_text(policy)), "U, kProgram", count, "},\n");
          ++count;
        }
      }
    }
    out_ += cat("constexpr EmbeddedFilter kFilters[] = {\n", table, "};\n\n");
    return Ok{};
  }

  const Profile& profile_;
  std::set<std::string> capabilities_;
  std::string out_;
};

Result<Ok> compile(const std::string& from, const std::string& to) {
  const std::string text = TRY(sys::read_file(from, 1u << 20));
  const Profile profile = TRY(parse_profile(text).context(from));
  const std::string code = TRY(Writer(profile).write().context(from));
  TRY(sys::replace_file(to, code));
  return Ok{};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: compile_profile PROFILE.json OUT.cc\n", stderr);
    return 2;
  }
  const auto result = compile(argv[1], argv[2]);
  if (result.ok()) return 0;
  std::fprintf(stderr, "compile_profile: %s\n", result.error().to_string().c_str());
  return 1;
}
