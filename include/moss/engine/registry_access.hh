// How a registry is reached, whatever for: --authfile, --cert-dir, --creds and --tls-verify.
#pragma once

#include <optional>
#include <string>

namespace moss::engine {

struct RegistryAccess {
  std::string auth_file;           ///< where logins are kept; empty: $REGISTRY_AUTH_FILE, or Podman's own
  std::string cert_dir;            ///< a folder of certificates; empty: the first of the folders certs.d that has some
  std::string credentials;         ///< "user:password"; not shown to mirrors. Empty: the login that is kept
  std::optional<bool> tls_verify;  ///< false also allows plain HTTP
};

}  // namespace moss::engine
