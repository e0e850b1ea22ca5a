// Blobs to one repository of a registry, several at a time. Spec: distribution-spec "Push".
//
//   ask      HEAD: a blob that is there is not sent
//   begin    POST, and where another repository of the registry is known to have the blob, a mount of it
//   send     a small one whole, by PUT; a large one by PATCH, so that what arrived survives a break of the line
//   end      PUT with the digest: the registry compares it
//
// After a break the upload is asked how far it came, and goes on there. A registry, or a proxy before it, that finds a
// blob too large for one request (413) gets it in pieces, no smaller than its OCI-Chunk-Min-Length.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "http.hh"
#include "moss/base/result.hh"
#include "moss/engine/push.hh"
#include "outgoing.hh"
#include "registry.hh"

namespace moss::engine {

/// By a blob's digest: repositories of the same registry that are known to have it.
using MountSources = std::map<std::string, std::vector<std::string>>;

/// Sends what the repository has not got yet; the same blob once. `blobs` outlive the call.
/// Errors: what the registry refused, in a user's words; the network, when all retries are used up.
Result<Ok> upload_blobs(HttpClient& http, Registry& registry, const std::vector<const OutgoingBlob*>& blobs,
                        const MountSources& sources, const PushOptions& options);

/// Puts a manifest or a list, by tag or digest. The digest the registry has given it must be its own.
/// `answer`, where there is one, gets what the registry said.
Result<Ok> upload_manifest(HttpClient& http, Registry& registry, const std::string& tag_or_digest,
                           const oci::Descriptor& descriptor, const std::string& text, const PushOptions& options,
                           HttpResponse* answer = nullptr);

}  // namespace moss::engine
