// One repository of one registry, by the distribution spec's pull half.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth.hh"
#include "credentials.hh"
#include "http.hh"
#include "moss/base/result.hh"
#include "moss/engine/registry_access.hh"
#include "moss/oci/image.hh"
#include "registries_conf.hh"

namespace moss::engine {

struct RegistryOptions {
  RegistryAccess access = {};
  std::vector<std::string> credential_helpers = {};  ///< registries.conf's
  int retries = 3;
  int retry_delay_ms = kRetryDelayMs;
  /// Asks first whether it speaks TLS, where plain HTTP would do. Without it the first get_…() finds out.
  bool probe = true;
};

class Registry {
 public:
  /// `name` is "registry/repository" as the user calls it: errors speak of it. Logins are looked for under the
  /// endpoint's own name, so a mirror is never shown the registry's.
  static Result<Registry> connect(HttpClient& http, const Endpoint& endpoint, const std::string& name,
                                  const RegistryOptions& options);

  /// A manifest or list by tag or digest; with a digest it is the caller's to verify.
  Result<std::string> get_manifest(const std::string& tag_or_digest, size_t max_bytes);
  /// The same, where a manifest that is not there is nothing to complain of.
  Result<std::optional<std::string>> find_manifest(const std::string& tag, size_t max_bytes);
  /// All tags of the repository, as the registry sorts them.
  Result<std::vector<std::string>> list_tags();
  /// The registry's repositories; a registry need not tell.
  Result<std::vector<std::string>> list_repositories();
  /// Any document of the registry's host, such as a search: "/v1/search?q=x".
  Result<std::string> get_document(const std::string& path, size_t max_bytes);
  /// Shows the credentials and nothing else. Errors: they are refused.
  Result<Ok> log_in();
  /// A small blob, not yet verified.
  Result<std::string> get_blob(const oci::Descriptor& blob, size_t max_bytes);

  /// A small part of a blob; nothing where the registry has no answer to that, whatever it has instead.
  std::optional<std::string> get_blob_part(const oci::Descriptor& blob, int64_t offset, int64_t bytes);

  /// What tokens are asked for from now on: to write here, and to read the same registry's `sources` for mounts.
  void want_to_push(const std::vector<std::string>& sources);
  const std::string& host() const { return endpoint_.host; }

  /// The request for a blob, as this registry wants it now.
  HttpRequest blob_request(const std::string& digest) const;
  /// A request below /v2/REPOSITORY/.
  HttpRequest repository_request(const std::string& method, const std::string& path) const;
  /// A request to where an answer's Location header leads, which need not be this registry: then nobody learns there
  /// who we are. Errors: an address that is none, or not https where it must be.
  Result<HttpRequest> location_request(const std::string& method, const HttpResponse& response) const;
  /// After a 401: gets a token or shows credentials. False where that was tried before.
  Result<bool> authorize(const HttpResponse& response);
  /// What a failed answer means and what to do.
  Error describe(const HttpResponse& response, std::string_view what) const;
  /// The same of something that was sent.
  Error describe_push(const HttpResponse& response, std::string_view what) const;

 private:
  Registry(HttpClient& http, Endpoint endpoint, std::string name, RegistryOptions options)
      : http_(&http), endpoint_(std::move(endpoint)), name_(std::move(name)), options_(std::move(options)) {}
  HttpRequest request(const std::string& path) const;
  /// An answer other than 401, and what came with it.
  Result<HttpClient::Body> ask(const std::string& path, const std::vector<std::string>& headers, size_t max_bytes);
  Result<std::string> get(const std::string& path, const std::vector<std::string>& headers, size_t max_bytes,
                          std::string_view what);
  Result<std::vector<std::string>> get_list(const std::string& path, std::vector<std::string> oci::NamePage::* member,
                                            std::string_view what);
  std::string token_key() const;
  Result<Ok> get_token(const Challenge& bearer);

  HttpClient* http_;
  Endpoint endpoint_;
  std::string name_;
  RegistryOptions options_;
  bool insecure_ = false;  ///< the user allows plain HTTP and bad certificates
  bool plain_ = false;     ///< it is plain HTTP
  bool unsure_ = false;    ///< it may be plain HTTP, nobody asked yet
  std::shared_ptr<const Certificates> certificates_;
  std::string authorization_;
  std::optional<Credentials> credentials_;
  int authorizations_ = 0;
  std::string scope_;                        ///< of the tokens
  std::vector<std::string> further_scopes_;  ///< what else they shall allow
};

}  // namespace moss::engine
