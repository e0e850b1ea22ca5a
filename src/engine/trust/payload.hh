// What is signed: a small JSON text that says which image, and under which name. See containers-signature(5).
#pragma once

#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

struct SignedPayload {
  std::string digest;  ///< of the image's manifest
  std::string name;    ///< as it was written
};

enum class PayloadType {
  simple,  ///< "atomic container signature"
  cosign,  ///< "cosign container image signature"
};

/// Reads a text whose signature was verified. Errors: another type; anything in it that is not known.
Result<SignedPayload> parse_payload(std::string_view json, PayloadType type);

}  // namespace moss::engine
