// Logging in to registries: checked with the registry, kept where Podman and Docker keep it.
#pragma once

#include <optional>
#include <string>

#include "moss/base/result.hh"
#include "moss/engine/registry_access.hh"

namespace moss::engine {

/// A name and what proves it.
struct Credentials {
  std::string user;
  std::string secret;  ///< a password; where `user` is kIdentityToken, what a token server gave to show again
  bool operator==(const Credentials&) const = default;
};
inline constexpr const char* kIdentityToken = "<token>";

/// The key under which a login is kept: "quay.io", "quay.io/org/app", with any "https://" and trailing "/" taken off.
/// An empty text is the first registry that registries.conf searches.
/// Errors: a tag or digest behind it; nothing configured.
Result<std::string> login_key(const std::string& text);

// `auth_file`: see registry_access.hh.

/// The login that a pull from `key` would use.
Result<std::optional<Credentials>> find_login(const std::string& key, const std::string& auth_file);

/// Whether the registry takes them. Errors: it does not; it cannot be reached.
Result<Ok> check_login(const std::string& key, const Credentials& credentials, RegistryAccess access);

/// Stores them for later; gives where: a file (0600, replaced as a whole), or a credential helper's name.
Result<std::string> store_login(const std::string& key, const Credentials& credentials, const std::string& auth_file);

/// Forgets the login for `key`. Errors: there is none; it is in a file that is not moss's to change (Docker's).
Result<Ok> forget_login(const std::string& key, const std::string& auth_file);
/// Forgets every login.
Result<Ok> forget_all_logins(const std::string& auth_file);

}  // namespace moss::engine
