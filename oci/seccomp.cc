// A seccomp profile in a file of its own.
#include "moss/oci/seccomp.hh"

#include "seccomp_table.hh"

namespace moss::oci {

namespace {

constexpr const char* kDockersForm =
    "this profile is in Docker's form, whose conditions (archMap, includes, excludes) the runtime-spec does not know; "
    "give the list of rules that hold for this machine";

/// The same structs, read more strictly: see decode_seccomp's promise.
struct StrictRule : SeccompRule {};
struct StrictProfile : Seccomp {
  std::vector<StrictRule> rules;
};

}  // namespace

template <>
inline constexpr auto fields<StrictRule> = std::tuple_cat(
    fields<SeccompRule>, std::tuple(refused("includes", kDockersForm), refused("excludes", kDockersForm)));

template <>
inline constexpr auto fields<StrictProfile> = std::tuple_cat(
    kSeccompHead, std::tuple(optional("syscalls", &StrictProfile::rules), refused("archMap", kDockersForm)));

Result<Seccomp> decode_seccomp(std::string_view json) {
  StrictProfile profile = TRY(decode<StrictProfile>("seccomp profile", json));
  for (StrictRule& rule : profile.rules) profile.syscalls.push_back(std::move(rule));
  return Seccomp(std::move(profile));
}

std::string encode_seccomp(const Seccomp& seccomp) { return encode(seccomp, JsonWriter::Style::indented); }

}  // namespace moss::oci
