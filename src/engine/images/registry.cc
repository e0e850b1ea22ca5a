// One repository of one registry. Spec: distribution-spec "Pull"; Docker's token authentication.
#include "registry.hh"

#include <nlohmann/json.hpp>

#include "resolve.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxTokenBytes = 256u << 10;
// A token may run out while layers are fetched; more often than this it is refused for another reason.
constexpr int kMaxAuthorizations = 20;

// The registry's own words, where it has some: {"errors": [{"code": …, "message": …}]}.
std::string registry_words(const std::string& complaint) {
  const auto document = nlohmann::json::parse(complaint, nullptr, false);
  if (!document.is_object()) return "";
  const auto errors = document.find("errors");
  if (errors == document.end() || !errors->is_array() || errors->empty() || !errors->front().is_object()) return "";
  for (const char* name : {"message", "code"}) {
    const auto member = errors->front().find(name);
    if (member != errors->front().end() && member->is_string()) {
      return cat(" (it says: ", excerpt(member->get_ref<const std::string&>(), 200), ")");
    }
  }
  return "";
}

}  // namespace

Result<Registry> Registry::connect(HttpClient& http, const Endpoint& endpoint, const std::string& name,
                                   const RegistryOptions& options) {
  Registry registry(http, endpoint, name, options);
  registry.scope_ = cat("repository:", endpoint.repository, ":pull");
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

void Registry::want_to_push(const std::vector<std::string>& sources) {
  scope_ = cat("repository:", endpoint_.repository, ":pull,push");
  further_scopes_.clear();
  for (const std::string& source : sources) further_scopes_.push_back(cat("repository:", source, ":pull"));
}

HttpRequest Registry::repository_request(const std::string& method, const std::string& path) const {
  HttpRequest out = request(cat("/v2/", endpoint_.repository, "/", path));
  out.method = method;
  return out;
}

Result<HttpRequest> Registry::location_request(const std::string& method, const HttpResponse& response) const {
  const auto location = response.headers.find("location");
  if (location == response.headers.end() || location->second.empty()) {
    return Error(0, "send to ", endpoint_.host, ": the registry does not say where to (no Location)");
  }
  HttpRequest out = request("");
  const std::string own = url_origin(out.url);
  out.method = method;
  const std::string& where = location->second;
  if (where.starts_with("//")) {
    out.url = cat(out.url.substr(0, out.url.find("//")), where);
  } else if (where.starts_with('/')) {
    // From the place that answered, which a redirect may have made another one.
    out.url = cat(url_origin(response.url), where);
  } else if (where.find("://") != std::string::npos) {
    out.url = where;
  } else {
    return Error(0, "send to ", endpoint_.host, ": the registry's Location is no address: ", printable(where));
  }
  const bool to_itself = url_origin(out.url) == own;
  if (!out.url.starts_with("https://") && !(out.allow_http && out.url.starts_with("http://"))) {
    return Error(0, "send to ", endpoint_.host, ": the registry sends moss to ", printable(out.url),
                 ", which is not https");
  }
  if (!to_itself) out.authorization.clear();
  return out;
}

HttpRequest Registry::blob_request(const std::string& digest) const {
  return request(cat("/v2/", endpoint_.repository, "/blobs/", digest));
}

namespace {

std::string accept_manifests() {
  return cat("Accept: ", oci::kOciManifest, ", ", oci::kOciIndex, ", ", oci::kDockerManifest, ", ", oci::kDockerIndex);
}

}  // namespace

Result<std::string> Registry::get_manifest(const std::string& tag_or_digest, size_t max_bytes) {
  return get(cat("/v2/", endpoint_.repository, "/manifests/", tag_or_digest), {accept_manifests()}, max_bytes,
             cat("manifest ", tag_or_digest));
}

Result<std::optional<std::string>> Registry::find_manifest(const std::string& tag_or_digest, size_t max_bytes) {
  HttpRequest head = repository_request("HEAD", cat("manifests/", tag_or_digest));
  head.headers.push_back(accept_manifests());
  const HttpClient::Body body = TRY(http_->get(head, max_bytes, options_.retries));
  if (body.response.status == 404) return std::optional<std::string>();
  return std::optional(TRY(get_manifest(tag_or_digest, max_bytes)));
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
  asked.url = TRY(token_url(bearer, scope_, insecure_));
  for (const std::string& scope : further_scopes_) asked.url += cat("&scope=", percent_encode(scope));
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

Error Registry::describe_push(const HttpResponse& response, std::string_view what) const {
  const std::string place = cat("send ", what, " to ", name_);
  const std::string words = registry_words(response.complaint);
  switch (response.status) {
    case 401:
      return Error(0, place, ": unauthorized; ",
                   credentials_ ? "the registry does not accept these credentials"
                                : "log in first (moss login, --creds USER:PASSWORD or an auth.json)",
                   words);
    case 403:
      return Error(0, place, ": denied; ", credentials_ ? "these credentials may not write there" : "it needs a login",
                   words);
    case 404:
      return Error(0, place, ": the registry has no such repository, or takes nothing (404)", words);
    case 405:
      return Error(0, place, ": the registry takes nothing (405); is it a mirror, or read-only?", words);
    case 413:
      return Error(0, place, ": too large for the registry, or for a proxy before it (413)", words);
    case 507:
      return Error(0, place, ": the registry has no space left (507)", words);
    case 0:
    case 429:
      return describe(response, what);
    default:
      if (response.status / 100 == 2) return Error(0, place, ": broke off: ", printable(response.failure));
      return Error(0, place, ": the registry answered ", response.status, words);
  }
}

}  // namespace moss::engine
