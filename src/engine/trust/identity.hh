// Whether a signature's name for an image is the one a policy wants.
#pragma once

#include <string>

#include "moss/base/result.hh"
#include "moss/engine/trust.hh"

namespace moss::engine {

/// `asked` is the full name the image was asked for by ("docker.io/library/alpine:3.20", "quay.io/a/b@sha256:…"), empty
/// where it has none; `signed_name` what the signature says, as it was written. Pure.
/// Errors: another name, a signature's name that is none, or a kind that needs a name where there is none.
Result<Ok> check_identity(const SignedIdentity& identity, const std::string& asked, const std::string& signed_name);

}  // namespace moss::engine
