// registries.d. See the header.
#include "lookaside.hh"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moss/oci/reference.hh"
#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "strict_json.hh"
#include "yaml.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxFileBytes = 4u << 20;

// A key with nothing behind it.
bool says_nothing(const nlohmann::json& value) {
  return value.is_null() || (value.is_string() && value.get_ref<const std::string&>().empty());
}

Result<SignaturePlace> read_section(const nlohmann::json& section, const std::string& where) {
  SignaturePlace place;
  if (says_nothing(section)) return place;
  TRY(check_members(
      section, {"lookaside", "lookaside-staging", "sigstore", "sigstore-staging", "use-sigstore-attachments"}, where));
  // Its name before 2022, which had nothing to do with today's sigstore.
  if (section.contains("sigstore")) place.lookaside = TRY(string_member(section, "sigstore", where));
  if (section.contains("lookaside")) place.lookaside = TRY(string_member(section, "lookaside", where));
  if (section.contains("use-sigstore-attachments")) {
    const std::string flag = TRY(string_member(section, "use-sigstore-attachments", where));
    if (flag != "true" && flag != "false") return Error(0, where, ": use-sigstore-attachments: expected true or false");
    place.attachments = flag == "true";
  }
  return place;
}

}  // namespace

Result<Ok> merge_registries_d(RegistriesD& conf, std::string_view yaml, const std::string& file) {
  const nlohmann::json document = TRY(parse_yaml(yaml).context("read ", file));
  if (document.is_null()) return Ok{};
  TRY(check_members(document, {"default-docker", "docker"}, file));
  if (const auto otherwise = document.find("default-docker"); otherwise != document.end()) {
    if (conf.otherwise) return Error(0, file, ": default-docker is in ", conf.file_of_otherwise, " too");
    conf.otherwise = TRY(read_section(*otherwise, file + ": default-docker"));
    conf.file_of_otherwise = file;
  }
  const auto docker = document.find("docker");
  if (docker == document.end() || says_nothing(*docker)) return Ok{};
  if (!docker->is_object()) return Error(0, file, ": docker: expected names of registries");
  for (const auto& [scope, section] : docker->items()) {
    if (const auto other = conf.file_of.find(scope); other != conf.file_of.end()) {
      return Error(0, file, ": ", excerpt(scope, 100), " is in ", other->second, " too");
    }
    conf.of[scope] = TRY(read_section(section, cat(file, ": ", excerpt(scope, 100))));
    conf.file_of[scope] = file;
  }
  return Ok{};
}

Result<RegistriesD> read_registries_d() {
  RegistriesD conf;
  std::string folder = sys::variable("HOME") + "/.config/containers/registries.d";
  if (sys::variable("HOME").empty() || !sys::exists(folder)) folder = "/etc/containers/registries.d";
  if (!sys::exists(folder)) return conf;
  std::vector<std::string> names = TRY(sys::list_dir(folder));
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (!name.ends_with(".yaml")) continue;
    const std::string file = cat(folder, "/", name);
    const std::string text = TRY(sys::read_file(file, kMaxFileBytes));
    TRY(merge_registries_d(conf, text, file));
  }
  return conf;
}

SignaturePlace find_place(const RegistriesD& conf, const std::vector<std::string>& scopes) {
  for (const std::string& scope : scopes) {
    if (const auto found = conf.of.find(scope); found != conf.of.end()) return found->second;
  }
  if (conf.otherwise) return *conf.otherwise;
  const std::string folder =
      ::geteuid() == 0 ? "/var/lib/containers/sigstore" : sys::variable("HOME") + "/.local/share/containers/sigstore";
  return {.lookaside = "file://" + folder};
}

std::string signature_url(const std::string& lookaside, const std::string& reference, const std::string& digest,
                          int number) {
  // The host is left out: a lookaside is one registry's.
  const std::string_view path = cut(reference, '/').second.value_or("");
  const std::string_view repository = path.substr(0, path.find_first_of(":@"));
  std::string base = lookaside;
  while (base.ends_with('/')) base.pop_back();
  const auto [algorithm, hex] = cut(digest, ':');
  return cat(base, "/", repository, "@", algorithm, "=", hex.value_or(""), "/signature-", number);
}

}  // namespace moss::engine
