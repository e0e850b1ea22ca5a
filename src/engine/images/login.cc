// Logging in and out. See the header.
#include "moss/engine/login.hh"

#include "credentials.hh"
#include "http.hh"
#include "moss/oci/reference.hh"
#include "moss/sys/file.hh"
#include "registries_conf.hh"
#include "registry.hh"

namespace moss::engine {

Result<std::string> login_key(const std::string& text) {
  std::string_view key = text;
  for (const std::string_view scheme : {"https://", "http://", "docker://"}) {
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  }
  while (key.ends_with('/')) key.remove_suffix(1);
  if (key.empty()) {
    const RegistriesConf conf = TRY(read_registries_conf());
    const std::vector<std::string> search = conf.search_list();
    if (search.empty())
      return Error(0, "which registry? registries.conf searches none, so name it: moss login quay.io");
    return search.front();
  }
  const auto [host, path] = cut(key, '/');
  // "index.docker.io/v1" and such is what Docker writes.
  if (registry_of(host) != host) return std::string(registry_of(host));
  if (!path) {
    if (host.find('@') == std::string_view::npos && host.find(' ') == std::string_view::npos) return std::string(host);
    return Error(0, printable(text), " is not a registry's name; it looks like quay.io or 127.0.0.1:5000");
  }
  const oci::Reference reference = TRY(oci::parse_reference(key).context("log in to ", printable(text)));
  const std::string repository = oci::repository_name(reference);
  // A login is for a repository, not for one of its tags.
  if (key.find('@') != std::string_view::npos || path->find(':') != std::string_view::npos) {
    return Error(0, "a login is for a registry or a repository, without a tag: ", repository);
  }
  return std::string(key);
}

Result<std::optional<Credentials>> find_login(const std::string& key, const std::string& auth_file) {
  // A file that the first login makes.
  if (!auth_file.empty() && !sys::exists(auth_file)) return std::optional<Credentials>();
  const RegistriesConf conf = TRY(read_registries_conf());
  return read_credentials(key, auth_file, conf.credential_helpers);
}

Result<Ok> check_login(const std::string& key, const Credentials& credentials, RegistryAccess access) {
  const RegistriesConf conf = TRY(read_registries_conf());
  const std::string host(cut(key, '/').first);
  // The registry itself, not a mirror of it.
  const Endpoint endpoint = TRY(endpoints(conf, host, false)).back();
  access.credentials = cat(credentials.user, ":", credentials.secret);
  HttpClient http = TRY(HttpClient::create());
  Registry registry = TRY(Registry::connect(http, endpoint, key, {.access = std::move(access), .probe = false}));
  return registry.log_in();
}

Result<std::string> store_login(const std::string& key, const Credentials& credentials, const std::string& auth_file) {
  return write_credentials(auth_files(auth_file).front(), key, credentials).context("store the login");
}

Result<Ok> forget_login(const std::string& key, const std::string& auth_file) {
  const std::vector<std::string> files = auth_files(auth_file);
  if (TRY(erase_credentials(files.front(), key))) return Ok{};
  for (size_t i = 1; i < files.size(); ++i) {
    const Result<std::optional<Credentials>> other =
        sys::exists(files[i]) ? read_credentials(key, files[i]) : std::optional<Credentials>();
    if (other.ok() && *other) {
      return Error(0, "not logged in to ", key, " by moss; that login is in ", files[i], ": moss logout --authfile ",
                   files[i], " ", key);
    }
  }
  return Error(0, "not logged in to ", key);
}

Result<Ok> forget_all_logins(const std::string& auth_file) {
  return erase_all_credentials(auth_files(auth_file).front());
}

}  // namespace moss::engine
