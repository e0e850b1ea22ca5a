// Manifests that belong to another one (signatures, bills of materials): how a registry learns of them.
// Spec: distribution-spec "Pushing Manifests with Subject", "Referrers Tag Schema".
#pragma once

#include <string>

#include "http.hh"
#include "moss/base/result.hh"
#include "moss/engine/push.hh"
#include "moss/oci/image.hh"
#include "registry.hh"

namespace moss::engine {

/// After the manifest `text` was stored with `answer`: where it has a subject and the registry did not say
/// (OCI-Subject) that it keeps track of these by itself, adds it to the list under the tag that stands in for that.
/// Errors: what is under that tag is no list; what the registry refuses.
Result<Ok> announce_referrer(HttpClient& http, Registry& registry, const oci::Descriptor& descriptor,
                             const std::string& text, const HttpResponse& answer, const PushOptions& options);

/// "sha256-<hex>", the tag of a subject's list. Pure.
std::string referrers_tag(const oci::Digest& subject);

}  // namespace moss::engine
