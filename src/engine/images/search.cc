// Lists of repositories and tags. See the header.
// Spec: distribution-spec "Listing Tags"; Docker's "/v2/_catalog" and, older, "/v1/search".
#include "moss/engine/search.hh"

#include <nlohmann/json.hpp>

#include "auth.hh"
#include "http.hh"
#include "moss/oci/reference.hh"
#include "names.hh"
#include "registries_conf.hh"
#include "registry.hh"

namespace moss::engine {

namespace {

// A hundred results have a tenth of it; read as a tree of brackets it takes eighty times as much.
constexpr size_t kMaxSearchBytes = 512u << 10;

RegistryOptions registry_options(const RegistryAccess& access, const RegistriesConf& conf) {
  return {.access = access, .credential_helpers = conf.credential_helpers, .retries = 1, .probe = false};
}

std::string text_member(const nlohmann::json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

bool flag_member(const nlohmann::json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_boolean() && member->get<bool>();
}

Result<std::vector<Found>> parse_search(const std::string& json, const std::string& index) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  const auto results = document.is_object() ? document.find("results") : document.end();
  if (!document.is_object() || results == document.end() || !results->is_array()) {
    return Error(0, "the answer to the search is no list");
  }
  std::vector<Found> out;
  for (const auto& item : *results) {
    if (!item.is_object()) continue;
    const std::string name = text_member(item, "name");
    const auto stars = item.find("star_count");
    out.push_back({.index = index,
                   .name = oci::name_in(index, name),
                   .description = text_member(item, "description"),
                   .stars = stars != item.end() && stars->is_number_integer() ? stars->get<int64_t>() : 0,
                   .official = flag_member(item, "is_official"),
                   .automated = flag_member(item, "is_automated")});
  }
  return out;
}

// One registry by either of its interfaces.
class Searcher {
 public:
  Searcher(const RegistriesConf& conf, const RegistryAccess& access, HttpClient& http)
      : conf_(conf), access_(access), http_(http) {}

  Result<std::vector<Found>> search(const std::string& index, const std::string& term, size_t limit) {
    const Endpoint endpoint = TRY(endpoints(conf_, index, false)).back();
    const std::string path = cat("/v1/search?q=", percent_encode(term), "&n=", limit);
    Endpoint hub = endpoint;
    // Docker's hub has an address of its own for this; where registries.conf leads elsewhere, that place is asked.
    if (index == "docker.io" && hub.host == kDockerHub) hub.host = kDockerHubIndex;
    Registry old = TRY(Registry::connect(http_, hub, index, registry_options(access_, conf_)));
    const Result<std::string> answer = old.get_document(path, kMaxSearchBytes);
    if (answer.ok()) {
      Result<std::vector<Found>> found = parse_search(*answer, index);
      if (found.ok() || index == "docker.io") return found;
    }
    if (index == "docker.io") return answer.error();
    return search_catalog(endpoint, index, term, limit);
  }

 private:
  Result<std::vector<Found>> search_catalog(const Endpoint& endpoint, const std::string& index, const std::string& term,
                                            size_t limit) {
    Registry registry = TRY(Registry::connect(http_, endpoint, index, registry_options(access_, conf_)));
    std::vector<Found> out;
    for (const std::string& repository : TRY(registry.list_repositories())) {
      if (repository.find(term) == std::string::npos || out.size() >= limit) continue;
      out.push_back({.index = index, .name = cat(index, "/", repository), .description = ""});
    }
    return out;
  }

  const RegistriesConf& conf_;
  const RegistryAccess& access_;
  HttpClient& http_;
};

}  // namespace

Result<std::vector<std::string>> search_registries() {
  const RegistriesConf conf = TRY(read_registries_conf());
  return conf.search_list();
}

Result<std::vector<Found>> search(const std::string& term, size_t limit, const RegistryAccess& access,
                                  std::vector<Error>& complaints) {
  const RegistriesConf conf = TRY(read_registries_conf());
  std::vector<std::string> indexes = conf.search_list();
  std::string_view words = term;
  if (!oci::is_short_name(term)) {
    indexes = {std::string(cut(term, '/').first)};
    words = cut(term, '/').second.value_or("");
  }
  if (indexes.empty()) return Error(0, "search where? registries.conf searches nowhere; write docker.io/", term);
  HttpClient http = TRY(HttpClient::create());
  std::vector<Found> out;
  std::vector<Error> failed;
  for (const std::string& index : indexes) {
    const bool library = index == "docker.io" && words.starts_with("library/");
    const std::string what(library ? words.substr(8) : words);
    Result<std::vector<Found>> found =
        Searcher(conf, access, http).search(index, what, limit).context("search ", index, " for ", printable(what));
    if (!found.ok()) {
      failed.push_back(found.error());
      continue;
    }
    if (found->size() > limit) found->resize(limit);
    out.insert(out.end(), found->begin(), found->end());
  }
  if (failed.size() == indexes.size()) return failed.front();
  complaints = std::move(failed);
  return out;
}

Result<TagList> list_tags(const std::string& text, const RegistryAccess& access) {
  const ImageName name = TRY(parse_image_name(text));
  // The grammar fills in "latest": what was typed must end with the repository.
  if (!name.digest.empty() ||
      !std::string_view(text).ends_with(name.repository.substr(name.repository.rfind('/') + 1))) {
    return Error(0, "all tags of ", printable(text), ": write it without a tag or digest");
  }
  const RegistriesConf conf = TRY(read_registries_conf());
  std::vector<std::string> repositories{name.repository};
  if (name.is_short) repositories = TRY(resolve_short_name(conf, name.repository));
  HttpClient http = TRY(HttpClient::create());
  std::optional<Error> last;
  for (const std::string& repository : repositories) {
    for (const Endpoint& endpoint : TRY(endpoints(conf, repository, false))) {
      Registry registry = TRY(Registry::connect(http, endpoint, repository, registry_options(access, conf)));
      Result<std::vector<std::string>> tags = registry.list_tags();
      if (tags.ok()) return TagList{repository, std::move(*tags)};
      last = tags.error();
    }
  }
  return *last;
}

Result<std::vector<std::string>> list_tagged_names(const std::string& name, const RegistryAccess& access) {
  const TagList list = TRY(list_tags(name, access));
  std::vector<std::string> names;
  for (const std::string& tag : list.tags) {
    // What cosign keeps beside an image is no image.
    const bool signature =
        tag.starts_with("sha256-") && (tag.ends_with(".sig") || tag.ends_with(".att") || tag.ends_with(".sbom"));
    if (!signature) names.push_back(cat(list.repository, ":", tag));
  }
  if (names.empty()) return Error(0, list.repository, " has no tags");
  return names;
}

}  // namespace moss::engine
