// Which images a user or an administrator trusts: policy.json, and the signatures it asks for.
// See containers-policy.json(5), containers-registries.d(5), containers-signature(5).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// Which names a signature may be for, so that an image is accepted under the one it was asked for by.
struct SignedIdentity {
  enum class Kind {
    match_repo_digest_or_exact,
    match_exact,
    match_repository,
    exact_reference,
    exact_repository,
    remap_identity,
  };
  Kind kind = Kind::match_repo_digest_or_exact;
  std::string reference;  ///< dockerReference or dockerRepository
  std::string prefix;
  std::string signed_prefix;
};

/// One of a scope's requirements; an image must meet all of them.
struct Requirement {
  enum class Kind { accept_anything, reject, signed_by, sigstore_signed };
  Kind kind = Kind::accept_anything;
  std::vector<std::string> key_files;
  std::string key_data;  ///< the keys themselves, where they stand in the policy
  SignedIdentity identity;
};

/// An image as policies see it.
struct ImageToTrust {
  std::string transport;             ///< "docker", "oci", "docker-archive", …
  std::vector<std::string> scopes;   ///< what may be named in the policy, the most precise first
  std::string reference;             ///< "docker.io/library/alpine:3.20"; empty for a file's, which has no name
  std::vector<std::string> digests;  ///< its manifest's, and those of the lists it was chosen from
};

/// An image of a registry by its full name: its tag or digest, its repository, and so on up to its host and
/// "*.example.com".
ImageToTrust registry_image(const std::string& reference, std::vector<std::string> digests);
/// An image in a file or folder.
ImageToTrust file_image(const std::string& transport, const std::string& path, const std::string& image);

/// One of cosign's signatures: the signed text, and the signature as base64.
struct SigstoreSignature {
  std::string payload;
  std::string signature;
};

/// Where signatures come from; called only where a policy wants some.
struct SignatureSource {
  /// The file at an http or https address, without credentials; nothing where there is none.
  std::function<Result<std::optional<std::string>>(const std::string& url)> get;
  /// Those the registry keeps beside the manifest with this digest.
  std::function<Result<std::vector<SigstoreSignature>>(const std::string& digest)> attachments;
};

class TrustPolicy {
 public:
  /// `named` (--signature-policy), or the user's ~/.config/containers/policy.json, or /etc/containers/policy.json;
  /// where there is none, everything is accepted, as Debian's own file says. Errors: not of the format; unknown members
  /// are not passed over.
  static Result<TrustPolicy> read(const std::string& named);
  /// Pure.
  static Result<TrustPolicy> parse(std::string_view json, const std::string& file);

  /// The requirements of the most precise scope. Pure.
  const std::vector<Requirement>& requirements_for(const ImageToTrust& image) const;
  /// Whether what the image is, and not only where it comes from, decides. Pure.
  bool wants_signatures(const ImageToTrust& image) const;

  /// Whether the image may be used. A signature counts that is for one of its digests. Errors: it may not, and why.
  Result<Ok> check(const ImageToTrust& image, const SignatureSource& source) const;

  // Only for its parser.
  std::string file;
  std::vector<Requirement> otherwise;
  std::map<std::string, std::map<std::string, std::vector<Requirement>>> transports;
};

}  // namespace moss::engine
