// One repository of one registry. Spec: distribution-spec "Pull"; Docker's token authentication.
#include "registry.hh"

#include "resolve.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxTokenBytes = 256u << 10;
// A token may run out while layers are fetched; more often than this it is refused for another reason.
constexpr int kMaxAuthorizations = 20;

}  // namespace

Result<Registry> Registry::connect(HttpClient& http, const Endpoint& endpoint, const std::string& name,
                                   const RegistryOptions& options) {
  Registry registry(http, endpoint, name, options);
  registry.insecure_ = options.tls_verify ? !*options.tls_verify : endpoint.insecure;
  if (!options.credentials.empty()) {
    registry.credentials_ = options.credentials;
  } else {
    registry.credentials_ = TRY(read_credentials(name, options.auth_file));
  }
  // On this machine nobody listens in; elsewhere plain HTTP must be asked for.
  const bool may_be_plain = registry.insecure_ || (is_loopback(endpoint.host) && !options.tls_verify.value_or(false));
  if (may_be_plain) {
    const HttpClient::Body probe = TRY(http.get(registry.request("/v2/"), kMaxTokenBytes, 0));
    registry.plain_ = probe.response.status == 0 && probe.response.not_tls;
  }
  return registry;
}

HttpRequest Registry::request(const std::string& path) const {
  HttpRequest request;
  request.url = cat(plain_ ? "http://" : "https://", endpoint_.host, path);
  request.authorization = authorization_;
  request.allow_http = plain_ || insecure_;
  request.verify_tls = !insecure_;
  return request;
}

HttpRequest Registry::blob_request(const std::string& digest) const {
  return request(cat("/v2/", endpoint_.repository, "/blobs/", digest));
}

Result<std::string> Registry::get_manifest(const std::string& tag_or_digest, size_t max_bytes) {
  const std::string accept =
      cat("Accept: ", oci::kOciManifest, ", ", oci::kOciIndex, ", ", oci::kDockerManifest, ", ", oci::kDockerIndex);
  return get(cat("/v2/", endpoint_.repository, "/manifests/", tag_or_digest), {accept}, max_bytes,
             cat("manifest ", tag_or_digest));
}

Result<std::string> Registry::get_blob(const oci::Descriptor& blob, size_t max_bytes) {
  return get(cat("/v2/", endpoint_.repository, "/blobs/", blob.digest), {}, max_bytes, cat("blob ", blob.digest));
}

Result<std::string> Registry::get(const std::string& path, const std::vector<std::string>& headers, size_t max_bytes,
                                  std::string_view what) {
  while (true) {
    HttpRequest asked = request(path);
    asked.headers = headers;
    HttpClient::Body body = TRY(http_->get(asked, max_bytes, options_.retries));
    if (body.response.status / 100 == 2 && body.response.failure.empty()) return std::move(body.bytes);
    if (body.response.status == 401 && TRY(authorize(body.response))) continue;
    return describe(body.response, what);
  }
}

Result<bool> Registry::authorize(const HttpResponse& response) {
  // A redirect's target has its own ideas of who we are; nothing of ours is shown there.
  if (url_origin(response.url) != url_origin(request("/").url)) return false;
  if (++authorizations_ > kMaxAuthorizations) return false;
  const auto header = response.headers.find("www-authenticate");
  if (header == response.headers.end()) return false;
  for (const Challenge& challenge : parse_challenges(header->second)) {
    if (challenge.scheme == "bearer") {
      const std::string before = authorization_;
      TRY(get_token(challenge));
      return authorization_ != before;
    }
    if (challenge.scheme == "basic" && credentials_) {
      const std::string authorization = basic_authorization(*credentials_);
      if (authorization_ == authorization) return false;
      authorization_ = authorization;
      return true;
    }
  }
  return false;
}

Result<Ok> Registry::get_token(const Challenge& bearer) {
  HttpRequest asked;
  asked.allow_http = plain_ || insecure_;
  asked.verify_tls = !insecure_;
  asked.url = TRY(token_url(bearer, cat("repository:", endpoint_.repository, ":pull"), insecure_));
  if (credentials_) asked.authorization = basic_authorization(*credentials_);
  const HttpClient::Body body = TRY(http_->get(asked, kMaxTokenBytes, options_.retries));
  if (body.response.status / 100 != 2) return describe(body.response, "a token");
  authorization_ = cat("Bearer ", TRY(parse_token(body.bytes).context("get a token for ", name_)));
  return Ok{};
}

Error Registry::describe(const HttpResponse& response, std::string_view what) const {
  const std::string place = cat("get ", what, " of ", name_, " from ", endpoint_.host);
  switch (response.status) {
    case 0:
      return Error(
          0, place, ": ", printable(response.failure),
          response.not_tls && !is_loopback(endpoint_.host)
              ? "; if the registry speaks plain HTTP: --tls-verify=false, or insecure = true in registries.conf"
              : "");
    case 401:
      return Error(0, place, ": unauthorized; the image does not exist or needs a login",
                   credentials_ ? " with other credentials" : " (--creds USER:PASSWORD or an auth.json)");
    case 403:
      return Error(0, place, ": denied; these credentials may not read it");
    case 404:
      return Error(
          0, place,
          what.starts_with("manifest") ? ": manifest unknown; is the name and tag right?" : ": not there (404)");
    case 429:
      return Error(0, place, ": too many requests (429); wait, or log in for a higher limit");
    default:
      if (response.status / 100 == 5)
        return Error(0, place, ": the registry is in trouble (", response.status, "); try again later");
      if (response.status / 100 == 2) return Error(0, place, ": broke off: ", printable(response.failure));
      return Error(0, place, ": the registry answered ", response.status);
  }
}

}  // namespace moss::engine
