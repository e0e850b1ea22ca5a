// Who we are to a registry: the challenges it sends and what answers them.
// See RFC 9110 "WWW-Authenticate" and the distribution spec's token authentication.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/login.hh"

namespace moss::engine {

/// One way a registry offers to be convinced. Names are in lower case.
struct Challenge {
  std::string scheme;  ///< "bearer", "basic"
  std::map<std::string, std::string> parameters;
  bool operator==(const Challenge&) const = default;
};

/// All challenges of one WWW-Authenticate header. Pure. What cannot be read is left out.
std::vector<Challenge> parse_challenges(std::string_view header);

/// The address to ask for a token: the realm with service and scope (where it is not empty). Pure.
/// Errors: no realm; a realm that is not https (CVE-2019-10214). Plain http is for this machine's own addresses, and
/// for others where `allow_http`.
Result<std::string> token_url(const Challenge& bearer, const std::string& scope, bool allow_http);

/// The token in a token server's answer. Pure.
Result<std::string> parse_token(std::string_view json);

/// The value of an Authorization header.
std::string basic_authorization(const Credentials& credentials);

/// For a URL's path or query: everything but letters, digits and "-._~" as %XX.
std::string percent_encode(std::string_view text);

}  // namespace moss::engine
