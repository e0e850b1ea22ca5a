// policy.json from text to requirements. See containers-policy.json(5).
#include <nlohmann/json.hpp>

#include "moss/base/base64.hh"
#include "moss/engine/trust.hh"
#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "strict_json.hh"

namespace moss::engine {

namespace {

using Json = nlohmann::json;

constexpr size_t kMaxPolicyBytes = 4u << 20;

Result<SignedIdentity> parse_identity(const Json& object, const std::string& where) {
  using Kind = SignedIdentity::Kind;
  if (!object.is_object()) return Error(0, where, ": expected an object");
  const std::string type = TRY(string_member(object, "type", where));
  SignedIdentity identity;
  if (type == "matchExact" || type == "matchRepoDigestOrExact" || type == "matchRepository") {
    TRY(check_members(object, {"type"}, where));
    identity.kind = type == "matchExact"        ? Kind::match_exact
                    : type == "matchRepository" ? Kind::match_repository
                                                : Kind::match_repo_digest_or_exact;
  } else if (type == "exactReference") {
    TRY(check_members(object, {"type", "dockerReference"}, where));
    identity = {.kind = Kind::exact_reference, .reference = TRY(string_member(object, "dockerReference", where))};
  } else if (type == "exactRepository") {
    TRY(check_members(object, {"type", "dockerRepository"}, where));
    identity = {.kind = Kind::exact_repository, .reference = TRY(string_member(object, "dockerRepository", where))};
  } else if (type == "remapIdentity") {
    TRY(check_members(object, {"type", "prefix", "signedPrefix"}, where));
    identity.kind = Kind::remap_identity;
    identity.prefix = TRY(string_member(object, "prefix", where));
    identity.signed_prefix = TRY(string_member(object, "signedPrefix", where));
    if (identity.prefix.empty() || identity.signed_prefix.empty()) {
      return Error(0, where, ": prefix and signedPrefix are names, not nothing");
    }
  } else {
    return Error(0, where, ": unknown type \"", excerpt(type, 100), "\"");
  }
  return identity;
}

Result<Ok> parse_keys(Requirement& requirement, const Json& object, bool several, const std::string& where) {
  const int given = static_cast<int>(object.contains("keyPath")) + static_cast<int>(object.contains("keyPaths")) +
                    static_cast<int>(object.contains("keyData"));
  if (given != 1) {
    return Error(0, where,
                 several ? ": expected one of keyPath, keyPaths and keyData" : ": expected keyPath or keyData");
  }
  if (object.contains("keyPath")) requirement.key_files = {TRY(string_member(object, "keyPath", where))};
  if (const auto paths = object.find("keyPaths"); paths != object.end()) {
    if (!paths->is_array() || paths->empty()) return Error(0, where, ".keyPaths: expected a list of files");
    for (const Json& path : *paths) {
      if (!path.is_string()) return Error(0, where, ".keyPaths: expected a list of files");
      requirement.key_files.push_back(path.get<std::string>());
    }
  }
  if (object.contains("keyData")) {
    const std::string base64 = TRY(string_member(object, "keyData", where));
    const std::optional<std::string> data = base64_decode(base64);
    if (!data || data->empty()) return Error(0, where, ".keyData: expected base64");
    requirement.key_data = *data;
  }
  return Ok{};
}

Result<Requirement> parse_requirement(const Json& object, const std::string& where) {
  using Kind = Requirement::Kind;
  if (!object.is_object()) return Error(0, where, ": expected an object");
  const std::string type = TRY(string_member(object, "type", where));
  Requirement requirement;
  if (type == "insecureAcceptAnything" || type == "reject") {
    TRY(check_members(object, {"type"}, where));
    requirement.kind = type == "reject" ? Kind::reject : Kind::accept_anything;
    return requirement;
  }
  if (type == "signedBy") {
    TRY(check_members(object, {"type", "keyType", "keyPath", "keyPaths", "keyData", "signedIdentity"}, where));
    const std::string key_type = TRY(string_member(object, "keyType", where));
    if (key_type != "GPGKeys")
      return Error(0, where, ": keyType ", excerpt(key_type, 100), " is not supported; use GPGKeys");
    requirement.kind = Kind::signed_by;
    TRY(parse_keys(requirement, object, true, where));
  } else if (type == "sigstoreSigned") {
    for (const char* keyless :
         {"fulcio", "rekorPublicKeyPath", "rekorPublicKeyData", "rekorPublicKeyPaths", "rekorPublicKeyDatas", "pki"}) {
      if (object.contains(keyless)) {
        return Error(0, where, ": ", keyless,
                     " is not supported: moss asks neither Fulcio nor Rekor, and has no authorities of its own; "
                     "sigstoreSigned needs a public key, as keyPath or keyData");
      }
    }
    TRY(check_members(object, {"type", "keyPath", "keyData", "signedIdentity"}, where));
    requirement.kind = Kind::sigstore_signed;
    TRY(parse_keys(requirement, object, false, where));
  } else {
    return Error(0, where, ": unknown type \"", excerpt(type, 100), "\"");
  }
  if (const auto identity = object.find("signedIdentity"); identity != object.end()) {
    requirement.identity = TRY(parse_identity(*identity, where + ".signedIdentity"));
  }
  return requirement;
}

Result<std::vector<Requirement>> parse_requirements(const Json& list, const std::string& where) {
  if (!list.is_array() || list.empty()) return Error(0, where, ": expected a list of one requirement or more");
  std::vector<Requirement> out;
  for (size_t i = 0; i < list.size(); ++i) out.push_back(TRY(parse_requirement(list[i], cat(where, "[", i, "]"))));
  return out;
}

Result<Ok> parse_into(TrustPolicy& policy, std::string_view text) {
  const Json document = TRY(parse_strict_json(text));
  TRY(check_members(document, {"default", "transports"}, "the policy"));
  const auto otherwise = document.find("default");
  if (otherwise == document.end()) return Error(0, "default is missing");
  policy.otherwise = TRY(parse_requirements(*otherwise, "default"));
  const auto transports = document.find("transports");
  if (transports == document.end()) return Ok{};
  if (!transports->is_object()) return Error(0, "transports: expected an object");
  for (const auto& [transport, scopes] : transports->items()) {
    const std::string where = "transports." + excerpt(transport, 100);
    if (!scopes.is_object()) return Error(0, where, ": expected an object");
    for (const auto& [scope, list] : scopes.items()) {
      policy.transports[transport][scope] =
          TRY(parse_requirements(list, cat(where, ".", scope.empty() ? "\"\"" : excerpt(scope, 100))));
    }
  }
  return Ok{};
}

}  // namespace

Result<TrustPolicy> TrustPolicy::parse(std::string_view json, const std::string& file) {
  TrustPolicy policy;
  policy.file = file;
  TRY(parse_into(policy, json).context("read ", file));
  return policy;
}

Result<TrustPolicy> TrustPolicy::read(const std::string& named) {
  if (!named.empty()) {
    const std::string text = TRY(sys::read_file(named, kMaxPolicyBytes));
    return parse(text, named);
  }
  std::vector<std::string> files{"/etc/containers/policy.json"};
  if (const std::string home = sys::variable("HOME"); !home.empty()) {
    files.insert(files.begin(), home + "/.config/containers/policy.json");
  }
  for (const std::string& file : files) {
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(file, kMaxPolicyBytes));
    if (text) return parse(*text, file);
  }
  TrustPolicy everything;
  everything.otherwise = {Requirement{}};
  return everything;
}

}  // namespace moss::engine
