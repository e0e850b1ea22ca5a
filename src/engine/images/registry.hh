// One repository of one registry, by the distribution spec's pull half.
#pragma once

#include <optional>
#include <string>

#include "auth.hh"
#include "http.hh"
#include "moss/base/result.hh"
#include "moss/oci/image.hh"
#include "registries_conf.hh"

namespace moss::engine {

struct RegistryOptions {
  std::optional<bool> tls_verify;
  std::string auth_file;
  std::string credentials;  ///< "user:password"
  int retries = 3;
};

class Registry {
 public:
  /// `name` is "registry/repository" as the user calls it: errors speak of it, credentials are stored under it.
  /// Finds out whether the other end speaks TLS where plain HTTP would do.
  static Result<Registry> connect(HttpClient& http, const Endpoint& endpoint, const std::string& name,
                                  const RegistryOptions& options);

  /// A manifest or list by tag or digest; with a digest it is the caller's to verify.
  Result<std::string> get_manifest(const std::string& tag_or_digest, size_t max_bytes);
  /// A small blob, not yet verified.
  Result<std::string> get_blob(const oci::Descriptor& blob, size_t max_bytes);

  /// The request for a blob, as this registry wants it now.
  HttpRequest blob_request(const std::string& digest) const;
  /// After a 401: gets a token or shows credentials. False where that was tried before.
  Result<bool> authorize(const HttpResponse& response);
  /// What a failed answer means and what to do.
  Error describe(const HttpResponse& response, std::string_view what) const;

 private:
  Registry(HttpClient& http, Endpoint endpoint, std::string name, RegistryOptions options)
      : http_(&http), endpoint_(std::move(endpoint)), name_(std::move(name)), options_(std::move(options)) {}
  HttpRequest request(const std::string& path) const;
  Result<std::string> get(const std::string& path, const std::vector<std::string>& headers, size_t max_bytes,
                          std::string_view what);
  Result<Ok> get_token(const Challenge& bearer);

  HttpClient* http_;
  Endpoint endpoint_;
  std::string name_;
  RegistryOptions options_;
  bool insecure_ = false;  ///< the user allows plain HTTP and bad certificates
  bool plain_ = false;     ///< it is plain HTTP
  std::string authorization_;
  std::optional<std::string> credentials_;
  int authorizations_ = 0;
};

}  // namespace moss::engine
