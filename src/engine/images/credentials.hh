// The logins a user has stored: Podman's auth.json, Docker's config.json, and the credential helpers they name.
// See containers-auth.json(5); the helpers' protocol is docker-credential-helpers'.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/login.hh"

namespace moss::engine {

/// "user:password" of --creds. Pure. Errors: no user name or no password.
Result<Credentials> parse_credentials(std::string_view text);

/// The files to look in, in their order: `named` alone, or what $REGISTRY_AUTH_FILE names alone, or Podman's two and
/// then Docker's own. A login is written to the first.
std::vector<std::string> auth_files(const std::string& named);

/// The repository and what leads to it, the longest first: "quay.io/a/b", "quay.io/a", "quay.io". Pure.
std::vector<std::string> auth_keys(std::string_view repository);

/// What one file says about `repository` ("quay.io/org/app", or a host). Pure. Errors: not of the format.
struct AuthEntry {
  std::optional<Credentials> credentials;
  std::string helper;        ///< where not empty: this helper knows
  bool only_for_it = false;  ///< it was named for this registry, not for all
};
Result<AuthEntry> find_auth_entry(std::string_view json, const std::string& repository);

/// The login for `repository` ("quay.io/org/app", or a host), from files and helpers. `helpers` is registries.conf's
/// list; "containers-auth.json" in it stands for the files, and an empty list for them alone.
/// Errors: a file of another format; a helper that fails.
Result<std::optional<Credentials>> read_credentials(const std::string& repository, const std::string& auth_file,
                                                    const std::vector<std::string>& helpers = {});

/// Writes a login for `key` into `file`, or gives it to the helper that `file` names for it. All else in the file is
/// kept. Gives where it went, in a user's words.
Result<std::string> write_credentials(const std::string& file, const std::string& key, const Credentials& credentials);

/// Takes the login for `key` out of `file` and from the helper it names. False where there was none.
Result<bool> erase_credentials(const std::string& file, const std::string& key);
/// All logins of `file`, and those its helpers keep for it.
Result<Ok> erase_all_credentials(const std::string& file);

}  // namespace moss::engine
