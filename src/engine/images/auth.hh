// Who we are to a registry: the challenges it sends and the credentials the user has stored.
// See RFC 9110 "WWW-Authenticate", the distribution spec's token authentication, containers-auth.json(5).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// One way a registry offers to be convinced. Names are in lower case.
struct Challenge {
  std::string scheme;  ///< "bearer", "basic"
  std::map<std::string, std::string> parameters;
  bool operator==(const Challenge&) const = default;
};

/// All challenges of one WWW-Authenticate header. Pure. What cannot be read is left out.
std::vector<Challenge> parse_challenges(std::string_view header);

/// The address to ask for a token: the realm with service and scope. Pure.
/// Errors: no realm; a realm that is not https (CVE-2019-10214). Plain http is for this machine's own addresses, and
/// for others where `allow_http`.
Result<std::string> token_url(const Challenge& bearer, const std::string& scope, bool allow_http);

/// The token in a token server's answer. Pure.
Result<std::string> parse_token(std::string_view json);

/// "user:password" of an auth.json for a repository ("quay.io/org/app"): the longest key that leads to it. Pure.
Result<std::optional<std::string>> find_credentials(std::string_view auth_json, const std::string& repository);

/// The same from the user's files: $REGISTRY_AUTH_FILE, or Podman's and then Docker's own.
Result<std::optional<std::string>> read_credentials(const std::string& repository, const std::string& auth_file);

/// The value of an Authorization header for "user:password".
std::string basic_authorization(std::string_view user_and_password);

/// For a URL's path or query: everything but letters, digits and "-._~" as %XX.
std::string percent_encode(std::string_view text);

}  // namespace moss::engine
