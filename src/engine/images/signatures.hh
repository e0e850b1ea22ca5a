// A pulled image before its policy: which digests it is known by, and where its signatures are.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.hh"
#include "moss/engine/trust.hh"
#include "registry.hh"

namespace moss::engine {

class ImageTrust {
 public:
  /// `reference` is the full name that was asked for. All are borrowed.
  ImageTrust(const TrustPolicy& policy, HttpClient& http, Registry& registry, int retries, std::string reference);

  /// Judges by the document the name leads to. A list that is refused for want of a signature may hold an image that
  /// is signed: then it is confirm() that decides. Errors: refused.
  Result<Ok> judge(const std::string& document);
  /// Judges the image itself, where judge() left that open. Errors: refused.
  Result<Ok> confirm(const std::string& manifest_digest);

 private:
  Result<Ok> check(std::vector<std::string> digests);
  Result<std::vector<SigstoreSignature>> attachments(const std::string& digest);

  const TrustPolicy& policy_;
  HttpClient& http_;
  Registry& registry_;
  int retries_;
  std::string reference_;
  std::string list_digest_;
  std::optional<Error> open_;  ///< why the list was not enough
};

}  // namespace moss::engine
