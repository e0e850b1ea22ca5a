// What TLS takes from certs.d: authorities of a registry's own, and the certificate we show it.
// See containers-certs.d(5).
#pragma once

#include <string>

#include "moss/base/result.hh"

namespace moss::engine {

struct Certificates {
  std::string authorities;         ///< PEM: the system's and the registry's own; empty: the system's alone
  std::string client_certificate;  ///< a file; empty: none is shown
  std::string client_key;
};

/// Those of `host` ("quay.io", "127.0.0.1:5000"): `cert_dir` alone where it is given (--cert-dir), else the first
/// folder named after the host in ~/.config/containers/certs.d, /etc/containers/certs.d and /etc/docker/certs.d.
/// Errors: a `cert_dir` that is not there; a certificate without its key or the other way round; more than one pair.
Result<Certificates> read_certificates(const std::string& host, const std::string& cert_dir);

}  // namespace moss::engine
