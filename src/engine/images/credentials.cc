// Stored logins: finding, writing and erasing them. See the header.
#include "credentials.hh"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <climits>
#include <nlohmann/json.hpp>

#include "credential_helper.hh"
#include "moss/base/base64.hh"
#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "registries_conf.hh"

namespace moss::engine {

namespace {

// Its order stays the user's.
using Json = nlohmann::ordered_json;

constexpr size_t kMaxAuthFileBytes = 1u << 20;
constexpr std::string_view kFilesHelper = "containers-auth.json";

// Docker writes its hub as a URL, and old versions of it every registry.
std::string key_repository(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key = cut(key.substr(scheme.size()), '/').first;
  }
  return std::string(registry_of(key));
}

std::string host_of(std::string_view repository) { return std::string(cut(repository, '/').first); }

std::string text_member(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

Result<std::optional<Credentials>> decode_entry(const std::string& key, const Json& entry) {
  if (!entry.is_object()) return std::optional<Credentials>();
  if (const std::string token = text_member(entry, "identitytoken"); !token.empty()) {
    return std::optional(Credentials{kIdentityToken, token});
  }
  const std::string auth = text_member(entry, "auth");
  if (auth.empty()) return std::optional<Credentials>();
  const std::optional<std::string> decoded = base64_decode(auth);
  const auto [user, password] = cut(decoded ? std::string_view(*decoded) : std::string_view(), ':');
  if (!password) return Error(0, "the entry for ", excerpt(key, 200), " is not base64 of user:password");
  // Docker ends some with a NUL.
  return std::optional(Credentials{std::string(user), std::string(password->substr(0, password->find('\0')))});
}

Result<Json> parse_auth_file(std::string_view text) {
  if (trim(text).empty()) return Json::object();
  Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return Error(0, "not a JSON object; mend it or remove it");
  for (const char* name : {"auths", "credHelpers"}) {
    const auto member = document.find(name);
    if (member != document.end() && !member->is_object()) return Error(0, name, ": expected an object; mend it");
  }
  return document;
}

// The helper a file names for a registry, or for all.
struct Named {
  std::string name;
  bool only_for_it = false;
};
Named named_helper(const Json& document, const std::string& host) {
  if (const auto helpers = document.find("credHelpers"); helpers != document.end()) {
    if (const std::string name = text_member(*helpers, host.c_str()); !name.empty()) return {name, true};
  }
  return {text_member(document, "credsStore"), false};
}

// Two logins at once must not lose one: whoever changes a file locks its folder.
class AuthFile {
 public:
  static Result<AuthFile> open(const std::string& path) {
    AuthFile file;
    // A link that a user made stays one.
    char resolved[PATH_MAX];
    file.path_ = ::realpath(path.c_str(), resolved) != nullptr ? resolved : path;
    const size_t slash = file.path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : file.path_.substr(0, slash + 1);
    Result<Ok> made = sys::make_dirs(folder, 0700);
    if (!made.ok()) {
      made.error().add_context("write ", path);
      return Error(made.error().code(), made.error().message(),
                   " (--authfile FILE and $REGISTRY_AUTH_FILE name another)");
    }
    file.lock_ = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
    while (::flock(file.lock_.get(), LOCK_EX) != 0) {
      if (errno != EINTR) return sys_error("lock ", folder);
    }
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(file.path_, kMaxAuthFileBytes));
    file.existed_ = text.has_value();
    file.document = TRY(parse_auth_file(text.value_or("")).context("read ", path));
    return file;
  }

  bool existed() const { return existed_; }
  Result<Ok> write() const {
    return sys::replace_file(path_, document.dump(1, '\t') + "\n", 0600, sys::Sync::yes)
        .context("(--authfile FILE and $REGISTRY_AUTH_FILE name another place)");
  }

  Json document;

 private:
  std::string path_;
  Fd lock_;
  bool existed_ = false;
};

}  // namespace

Result<Credentials> parse_credentials(std::string_view text) {
  const auto [user, password] = cut(text, ':');
  if (user.empty() || !password) return Error(0, "--creds: expected USER:PASSWORD");
  return Credentials{std::string(user), std::string(*password)};
}

std::vector<std::string> auth_files(const std::string& named) {
  if (!named.empty()) return {named};
  if (std::string file = sys::variable("REGISTRY_AUTH_FILE"); !file.empty()) return {std::move(file)};
  std::vector<std::string> files;
  const std::string run = sys::variable("XDG_RUNTIME_DIR");
  files.push_back(run.empty() ? cat("/run/containers/", ::geteuid(), "/auth.json") : run + "/containers/auth.json");
  const std::string home = sys::variable("HOME");
  if (const std::string config = sys::variable("XDG_CONFIG_HOME"); !config.empty()) {
    files.push_back(config + "/containers/auth.json");
  } else if (!home.empty()) {
    files.push_back(home + "/.config/containers/auth.json");
  }
  if (const std::string docker = sys::variable("DOCKER_CONFIG"); !docker.empty()) {
    files.push_back(docker + "/config.json");
  } else if (!home.empty()) {
    files.push_back(home + "/.docker/config.json");
  }
  return files;
}

std::vector<std::string> auth_keys(std::string_view repository) {
  std::vector<std::string> keys;
  while (!repository.empty()) {
    keys.emplace_back(repository);
    const size_t slash = repository.rfind('/');
    repository = slash == std::string_view::npos ? std::string_view() : repository.substr(0, slash);
  }
  return keys;
}

Result<AuthEntry> find_auth_entry(std::string_view json, const std::string& repository) {
  const Json document = TRY(parse_auth_file(json));
  AuthEntry found;
  const Named helper = named_helper(document, host_of(repository));
  found.helper = helper.name;
  found.only_for_it = helper.only_for_it;
  const auto auths = document.find("auths");
  if (auths == document.end()) return found;
  for (const std::string& key : auth_keys(repository)) {
    for (const auto& [written, entry] : auths->items()) {
      if (key_repository(written) != key) continue;
      found.credentials = TRY(decode_entry(written, entry));
      if (found.credentials) return found;
    }
  }
  return found;
}

namespace {

Result<std::optional<Credentials>> read_from_files(const std::string& repository, const std::string& auth_file) {
  if (!auth_file.empty() && !sys::exists(auth_file)) {
    return Error(0, "no credentials are in ", auth_file, ": there is no such file; moss login --authfile ", auth_file,
                 " makes it");
  }
  for (const std::string& file : auth_files(auth_file)) {
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(file, kMaxAuthFileBytes));
    if (!text) continue;
    AuthEntry found = TRY(find_auth_entry(*text, repository).context("read ", file));
    if (!found.helper.empty()) {
      Result<CredentialHelper> helper = CredentialHelper::find(found.helper);
      // Docker's files name one for all registries and travel to machines that lack it.
      if (!helper.ok() && found.only_for_it) return std::move(helper.error());
      if (helper.ok()) {
        std::optional<Credentials> kept = TRY(helper->get(host_of(repository)));
        if (kept) return kept;
      }
    }
    if (found.credentials) return std::move(found.credentials);
  }
  return std::optional<Credentials>();
}

}  // namespace

Result<std::optional<Credentials>> read_credentials(const std::string& repository, const std::string& auth_file,
                                                    const std::vector<std::string>& helpers) {
  if (helpers.empty()) return read_from_files(repository, auth_file);
  for (const std::string& name : helpers) {
    std::optional<Credentials> found;
    if (name == kFilesHelper) {
      found = TRY(read_from_files(repository, auth_file));
    } else {
      const CredentialHelper helper =
          TRY(CredentialHelper::find(name).context("credential-helpers of registries.conf"));
      found = TRY(helper.get(host_of(repository)));
    }
    if (found) return found;
  }
  return std::optional<Credentials>();
}

Result<std::string> write_credentials(const std::string& path, const std::string& key, const Credentials& credentials) {
  AuthFile file = TRY(AuthFile::open(path));
  const Named named = named_helper(file.document, host_of(key));
  if (!named.name.empty()) {
    const CredentialHelper helper = TRY(CredentialHelper::find(named.name).context("read ", path));
    TRY(helper.store(host_of(key), credentials));
    return cat("credential helper ", helper.name());
  }
  Json& auths = file.document["auths"];
  // Docker's way of writing its hub, and ours, are one login.
  std::vector<std::string> others;
  for (const auto& [written, entry] : auths.items()) {
    if (written != key && key_repository(written) == key) others.push_back(written);
  }
  for (const std::string& other : others) auths.erase(other);
  auths[key] = {{"auth", base64_encode(cat(credentials.user, ":", credentials.secret))}};
  TRY(file.write());
  return path;
}

Result<bool> erase_credentials(const std::string& path, const std::string& key) {
  if (!sys::exists(path)) return false;
  AuthFile file = TRY(AuthFile::open(path));
  bool erased = false;
  if (const Named named = named_helper(file.document, host_of(key)); !named.name.empty()) {
    const CredentialHelper helper = TRY(CredentialHelper::find(named.name).context("read ", path));
    if (TRY(helper.get(host_of(key)))) {
      TRY(helper.erase(host_of(key)));
      erased = true;
    }
  }
  const auto auths = file.document.find("auths");
  if (auths == file.document.end()) return erased;
  std::vector<std::string> these;
  for (const auto& [written, entry] : auths->items()) {
    if (key_repository(written) == key) these.push_back(written);
  }
  if (these.empty()) return erased;
  for (const std::string& written : these) auths->erase(written);
  TRY(file.write());
  return true;
}

Result<Ok> erase_all_credentials(const std::string& path) {
  if (!sys::exists(path)) return Ok{};
  AuthFile file = TRY(AuthFile::open(path));
  if (const auto helpers = file.document.find("credHelpers"); helpers != file.document.end()) {
    for (const auto& [host, name] : helpers->items()) {
      if (!name.is_string()) continue;
      const CredentialHelper helper = TRY(CredentialHelper::find(name.get<std::string>()).context("read ", path));
      if (TRY(helper.get(host))) TRY(helper.erase(host));
    }
  }
  if (const std::string store = text_member(file.document, "credsStore"); !store.empty()) {
    const CredentialHelper helper = TRY(CredentialHelper::find(store).context("read ", path));
    for (const std::string& host : TRY(helper.list())) TRY(helper.erase(host));
  }
  if (!file.document.contains("auths")) return Ok{};
  file.document["auths"] = Json::object();
  return file.write();
}

}  // namespace moss::engine
