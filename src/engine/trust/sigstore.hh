// cosign's signatures with a plain public key, verified by libcrypto.
#pragma once

#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Whether `signature` (base64) over `payload` was made with the private half of `public_key` (PEM; ECDSA or RSA with
/// SHA-256, or Ed25519). Errors: it was not; not a key; libcrypto is not installed.
Result<Ok> verify_sigstore(std::string_view payload, std::string_view signature, std::string_view public_key);

}  // namespace moss::engine
