// Simple signatures: OpenPGP messages, verified by gpgv, which knows no keys but those it is given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// Keys as files have them: binary, or ASCII-armored blocks one after the other. Gives them binary. Pure.
/// Errors: neither; a private key.
Result<std::string> dearmor_keys(std::string_view text);

/// The text inside a signed message, where one of `keys` (binary, several one after the other) signed it.
/// Errors: gpgv is not installed; no such signature, or it or its key expired or was revoked.
Result<std::string> verify_openpgp(std::string_view message, std::string_view keys);

/// What gpgv's status lines say. Pure. Errors: anything but one good signature.
Result<Ok> judge_gpgv(std::string_view status);

}  // namespace moss::engine
