// One repository of one registry. Spec: distribution-spec "Pull"; Docker's token authentication.
#include "registry.hh"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "resolve.hh"
#include "tls_probe.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxTokenBytes = 256u << 10;
// A page has a thousand names, but for those who do not know n= and send all there are at once.
constexpr size_t kMaxListPageBytes = 8u << 20;
constexpr int kMaxPages = 1000;
constexpr size_t kMaxNames = 200'000;
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

// Tokens that other images of this command got.
std::map<std::string, std::string>& known_tokens() {
  static std::map<std::string, std::string> tokens;
  return tokens;
}

// The path of the next page, from `Link: </v2/_catalog?last=x&n=10>; rel="next"`; nothing where there is none, or it is
// another server's.
std::string next_page(const HttpResponse& response, const std::string& own_origin) {
  const auto header = response.headers.find("link");
  if (header == response.headers.end()) return "";
  const std::string_view link = header->second;
  const size_t begin = link.find('<');
  const size_t end = link.find('>');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return "";
  if (link.find("next", end) == std::string_view::npos) return "";
  std::string path(link.substr(begin + 1, end - begin - 1));
  if (path.starts_with("http") && url_origin(path) == own_origin) {
    path = path.substr(std::min(path.size(), path.find('/', own_origin.size())));
  }
  return path.starts_with('/') && !path.starts_with("//") ? path : "";
}

std::string how_long(const HttpResponse& response) {
  const std::optional<int64_t> seconds = retry_after_seconds(response, ::time(nullptr));
  if (!seconds) return "wait";
  return *seconds >= 120 ? cat("wait ", *seconds / 60, " minutes") : cat("wait ", *seconds, " seconds");
}

}  // namespace

Result<Registry> Registry::connect(HttpClient& http, const Endpoint& endpoint, const std::string& name,
                                   const RegistryOptions& options) {
  const RegistryAccess& access = options.access;
  Registry registry(http, endpoint, name, options);
  registry.scope_ = cat("repository:", endpoint.repository, ":pull");
  registry.insecure_ = access.tls_verify ? !*access.tls_verify : endpoint.insecure;
  if (!access.credentials.empty() && !endpoint.is_mirror) {
    registry.credentials_ = TRY(parse_credentials(access.credentials));
  } else if (access.credentials.empty()) {
    registry.credentials_ = TRY(read_credentials(cat(endpoint.login(), "/", endpoint.repository), access.auth_file,
                                                 options.credential_helpers));
  }
  registry.certificates_ = std::make_shared<Certificates>(TRY(read_certificates(endpoint.login(), access.cert_dir)));
  if (const auto known = known_tokens().find(registry.token_key()); known != known_tokens().end()) {
    registry.authorization_ = known->second;
  }
  // On this machine nobody listens in; elsewhere plain HTTP must be asked for.
  registry.unsure_ = registry.insecure_ || (is_loopback(endpoint.host) && !access.tls_verify.value_or(false));
  if (registry.unsure_ && is_loopback(endpoint.host)) {
    if (const std::optional<bool> tls = speaks_tls(endpoint.host)) {
      registry.plain_ = !*tls;
      registry.unsure_ = false;
    }
  }
  if (registry.unsure_ && options.probe) {
    const HttpClient::Body probe = TRY(http.get(registry.request("/v2/"), kMaxTokenBytes, 0));
    registry.plain_ = probe.response.status == 0 && probe.response.not_tls;
    registry.unsure_ = false;
  }
  return registry;
}

std::string Registry::token_key() const {
  return cat(endpoint_.host, "\n", scope_, "\n", join(further_scopes_, " "), "\n",
             credentials_ ? basic_authorization(*credentials_) : "");
}

HttpRequest Registry::request(const std::string& path) const {
  HttpRequest request;
  request.url = cat(plain_ ? "http://" : "https://", endpoint_.host, path);
  request.authorization = authorization_;
  request.allow_http = plain_ || insecure_;
  request.verify_tls = !insecure_;
  request.certificates = certificates_;
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
  if (!to_itself) {
    out.authorization.clear();
    out.certificates = for_another_host(out.certificates);
  }
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

Result<std::string> Registry::get_blob(const oci::Descriptor& blob, size_t max_bytes) {
  return get(cat("/v2/", endpoint_.repository, "/blobs/", blob.digest), {}, max_bytes, cat("blob ", blob.digest));
}

std::optional<std::string> Registry::get_blob_part(const oci::Descriptor& blob, int64_t offset, int64_t bytes) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    HttpRequest asked = blob_request(blob.digest);
    asked.from_byte = offset;
    asked.to_byte = offset + bytes;
    // More than was asked for is an error: somebody who does not know ranges sends all of it.
    Result<HttpClient::Body> body =
        http_->get(asked, static_cast<size_t>(bytes), options_.retries, options_.retry_delay_ms);
    if (!body.ok()) return std::nullopt;
    const HttpResponse& response = body->response;
    if (response.status == 401) {
      const Result<bool> authorized = authorize(response);
      if (!authorized.ok() || !*authorized) return std::nullopt;
      continue;
    }
    const bool whole = response.failure.empty() && answers_range(response, offset, offset + bytes, blob.size);
    return whole ? std::optional(std::move(body->bytes)) : std::nullopt;
  }
  return std::nullopt;
}

Result<std::optional<std::string>> Registry::find_manifest(const std::string& tag, size_t max_bytes) {
  HttpClient::Body body =
      TRY(ask(cat("/v2/", endpoint_.repository, "/manifests/", tag), {accept_manifests()}, max_bytes));
  if (body.response.status == 404) return std::optional<std::string>();
  if (body.response.status / 100 == 2 && body.response.failure.empty()) return std::optional(std::move(body.bytes));
  return describe(body.response, cat("manifest ", tag));
}

Result<std::string> Registry::get_document(const std::string& path, size_t max_bytes) {
  return get(path, {}, max_bytes, cut(path, '?').first);
}

Result<std::vector<std::string>> Registry::list_tags() {
  return get_list(cat("/v2/", endpoint_.repository, "/tags/list?n=1000"), &oci::NamePage::tags, "the list of tags");
}

Result<std::vector<std::string>> Registry::list_repositories() {
  scope_ = "registry:catalog:*";
  return get_list("/v2/_catalog?n=1000", &oci::NamePage::repositories, "the list of repositories");
}

Result<std::vector<std::string>> Registry::get_list(const std::string& first_page,
                                                    std::vector<std::string> oci::NamePage::* member,
                                                    std::string_view what) {
  std::vector<std::string> out;
  std::string path = first_page;
  for (int page = 0; page < kMaxPages; ++page) {
    const HttpClient::Body body = TRY(ask(path, {}, kMaxListPageBytes));
    if (body.response.status / 100 != 2 || !body.response.failure.empty()) return describe(body.response, what);
    oci::NamePage names = TRY(oci::decode_name_page(body.bytes).context("get ", what, " of ", name_));
    std::ranges::move(names.*member, std::back_inserter(out));
    if (out.size() > kMaxNames) return Error(0, "get ", what, " of ", name_, ": more than ", kMaxNames, " names");
    std::string next = next_page(body.response, url_origin(request("").url));
    if (next.empty()) return out;
    if (next == path) return Error(0, "get ", what, " of ", name_, ": a page of it says that it comes after itself");
    path = std::move(next);
  }
  return Error(0, "get ", what, " of ", name_, ": more than ", kMaxPages, " pages");
}

Result<Ok> Registry::log_in() {
  scope_.clear();
  authorization_.clear();
  const HttpClient::Body body = TRY(ask("/v2/", {}, kMaxTokenBytes));
  if (body.response.status / 100 == 2 && body.response.failure.empty()) return Ok{};
  if (body.response.status == 401 || body.response.status == 403) {
    return Error(0, "invalid username/password: ", endpoint_.login(), " refuses them",
                 registry_words(body.response.complaint));
  }
  if (body.response.status == 404) {
    return Error(0, endpoint_.host, " is not a registry: it has no /v2/; look at its name");
  }
  return describe(body.response, "/v2/");
}

Result<HttpClient::Body> Registry::ask(const std::string& path, const std::vector<std::string>& headers,
                                       size_t max_bytes) {
  while (true) {
    HttpRequest asked = request(path);
    asked.headers = headers;
    HttpClient::Body body = TRY(http_->get(asked, max_bytes, unsure_ ? 0 : options_.retries, options_.retry_delay_ms));
    if (std::exchange(unsure_, false) && body.response.status == 0) {
      // A proxy for plain HTTP may know names that we do not.
      plain_ = body.response.not_tls || body.response.unresolved;
      if (plain_ || body.response.transient) continue;
    }
    if (body.response.status == 401 && TRY(authorize(body.response))) continue;
    return body;
  }
}

Result<std::string> Registry::get(const std::string& path, const std::vector<std::string>& headers, size_t max_bytes,
                                  std::string_view what) {
  HttpClient::Body body = TRY(ask(path, headers, max_bytes));
  if (body.response.status / 100 == 2 && body.response.failure.empty()) return std::move(body.bytes);
  return describe(body.response, what);
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
  const bool to_itself = url_origin(asked.url) == url_origin(request("").url);
  asked.certificates = to_itself ? certificates_ : for_another_host(certificates_);
  if (credentials_ && credentials_->user == kIdentityToken) {
    // OAuth2: what a token server gave once is shown in a form, which has the same fields as the address.
    const auto [realm, fields] = cut(asked.url, '?');
    asked.method = "POST";
    asked.headers = {"Content-Type: application/x-www-form-urlencoded"};
    asked.body = cat("grant_type=refresh_token&client_id=moss&refresh_token=", percent_encode(credentials_->secret),
                     "&", fields.value_or(""));
    asked.url = std::string(realm);
  } else if (credentials_) {
    asked.authorization = basic_authorization(*credentials_);
  }
  const HttpClient::Body body = TRY(http_->get(asked, kMaxTokenBytes, options_.retries, options_.retry_delay_ms));
  if (body.response.status == 401 && credentials_) {
    return Error(0, "invalid username/password: the token server of ", endpoint_.login(), " refuses them; moss login ",
                 endpoint_.login(), " stores others", registry_words(body.response.complaint));
  }
  if (body.response.status / 100 != 2) return describe(body.response, "a token");
  authorization_ = cat("Bearer ", TRY(parse_token(body.bytes).context("get a token for ", name_)));
  known_tokens()[token_key()] = authorization_;
  return Ok{};
}

Error Registry::describe(const HttpResponse& response, std::string_view what) const {
  const std::string place = cat("get ", what, " of ", name_, " from ", endpoint_.host);
  const std::string words = registry_words(response.complaint);
  switch (response.status) {
    case 0:
      return Error(
          0, place, ": ", printable(response.failure),
          response.not_tls && !is_loopback(endpoint_.host)
              ? "; if the registry speaks plain HTTP: --tls-verify=false, or insecure = true in registries.conf"
              : "");
    case 401:
      return Error(0, place, ": unauthorized; the image does not exist or needs a login",
                   credentials_ ? " with other credentials" : "", ": moss login ", endpoint_.login(), words);
    case 403:
      return Error(
          0, place, ": denied; ",
          credentials_ ? "these credentials may not read it" : cat("it needs a login: moss login ", endpoint_.login()),
          words);
    case 404:
      return Error(
          0, place,
          what.starts_with("manifest") ? ": manifest unknown; is the name and tag right?" : ": not there (404)");
    case 429:
      return Error(0, place, ": too many requests (429); ", how_long(response), " and pull again, or ",
                   credentials_ ? "pull from a mirror (registries.conf)"
                                : cat("log in for a higher limit: moss login ", endpoint_.login()),
                   words);
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
