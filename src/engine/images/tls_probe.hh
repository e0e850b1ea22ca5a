// Whether a server of this machine speaks TLS, found out before libcurl reads a hundred authorities to learn that it
// does not: with OpenSSL those take longer than the whole pull of an unchanged image.
#pragma once

#include <optional>
#include <string>

namespace moss::engine {

/// Says the beginning of a TLS handshake to `host` ("127.0.0.1:5000") and looks at the first byte that comes back. Only
/// for hosts that are this machine. Nothing where that tells nothing, or nobody answers within a second.
std::optional<bool> speaks_tls(const std::string& host);

}  // namespace moss::engine
