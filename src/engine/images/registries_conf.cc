// registries.conf and short names. See the header.
#include "registries_conf.hh"

#include <unistd.h>

#include <algorithm>

#include "moss/oci/reference.hh"
#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "toml.hh"
#include "toml_headers.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfBytes = 4u << 20;

std::string at_line(const std::string& file, const toml::node& node) {
  return cat(file, ":", node.source().begin.line);
}

// A member of a table, checked for its type; nothing where it is missing.
template <typename T>
Result<std::optional<T>> member(const toml::table& table, std::string_view name, const std::string& file) {
  const toml::node* node = table.get(name);
  if (node == nullptr) return std::optional<T>();
  std::optional<T> value = node->value_exact<T>();
  if (!value) {
    return Error(0, at_line(file, *node), ": ", name, ": expected ",
                 std::is_same_v<T, bool> ? "true or false" : "a string");
  }
  return value;
}

template <typename T>
Result<T> member_or(const toml::table& table, std::string_view name, T otherwise, const std::string& file) {
  std::optional<T> value = TRY(member<T>(table, name, file));
  return value ? std::move(*value) : std::move(otherwise);
}

Result<const toml::array*> array_member(const toml::table& table, std::string_view name, const std::string& file) {
  const toml::node* node = table.get(name);
  if (node == nullptr) return nullptr;
  if (!node->is_array()) return Error(0, at_line(file, *node), ": ", name, ": expected a list");
  return node->as_array();
}

Result<std::vector<std::string>> read_search(const toml::array& list, const std::string& file) {
  std::vector<std::string> out;
  for (const toml::node& node : list) {
    const std::optional<std::string> host = node.value_exact<std::string>();
    if (!host || host->empty() || host->find("://") != std::string::npos || printable(*host) != *host) {
      return Error(0, at_line(file, node), ": unqualified-search-registries: expected host names, without http://");
    }
    out.push_back(*host);
  }
  return out;
}

Result<RegistryRule> read_rule(const toml::table& table, const std::string& file) {
  RegistryRule rule;
  rule.location = TRY(member_or<std::string>(table, "location", "", file));
  rule.prefix = TRY(member_or<std::string>(table, "prefix", "", file));
  rule.insecure = TRY(member_or(table, "insecure", false, file));
  rule.blocked = TRY(member_or(table, "blocked", false, file));
  rule.mirror_by_digest_only = TRY(member_or(table, "mirror-by-digest-only", false, file));
  if (rule.prefix.empty()) rule.prefix = rule.location;
  if (rule.prefix.empty()) return Error(0, at_line(file, table), ": registry: expected a prefix or a location");
  // A star in the middle of a host stands for nothing.
  const size_t star = rule.prefix.find('*');
  if (star != std::string::npos && (!rule.prefix.starts_with("*.") || rule.prefix.find('*', 1) != std::string::npos)) {
    return Error(0, at_line(file, table), ": registry: a prefix with a star begins with \"*.\": *.example.com");
  }
  if (rule.location.find('*') != std::string::npos && rule.location != rule.prefix) {
    return Error(0, at_line(file, table), ": registry: a location has no star");
  }
  if (const toml::array* mirrors = TRY(array_member(table, "mirror", file))) {
    for (const toml::node& node : *mirrors) {
      const toml::table* mirror = node.as_table();
      if (mirror == nullptr) return Error(0, at_line(file, node), ": mirror: expected a table");
      Mirror read;
      read.location = TRY(member_or<std::string>(*mirror, "location", "", file));
      read.insecure = TRY(member_or(*mirror, "insecure", false, file));
      read.pull_from = TRY(member_or<std::string>(*mirror, "pull-from-mirror", "all", file));
      if (read.location.empty()) return Error(0, at_line(file, node), ": mirror: expected a location");
      if (read.pull_from.empty()) read.pull_from = "all";
      if (read.pull_from != "all" && read.pull_from != "digest-only" && read.pull_from != "tag-only") {
        return Error(0, at_line(file, node), ": pull-from-mirror: expected all, digest-only or tag-only");
      }
      if (rule.mirror_by_digest_only && mirror->contains("pull-from-mirror")) {
        return Error(0, at_line(file, node), ": pull-from-mirror and mirror-by-digest-only exclude each other");
      }
      rule.mirrors.push_back(std::move(read));
    }
  }
  return rule;
}

// How many characters of the repository the rule's prefix covers; 0 where it is not for it.
size_t match_length(const RegistryRule& rule, std::string_view repository) {
  const std::string_view prefix = rule.prefix;
  const auto ends_a_part = [&](size_t length) {
    return repository.size() == length || std::string_view("/:@").find(repository[length]) != std::string_view::npos;
  };
  if (prefix.starts_with("*.")) {
    // "*.example.com/a" is for "x.y.example.com/a/b": what the star stands for is all host.
    for (size_t at = repository.find(prefix.substr(1), 1); at != std::string_view::npos;
         at = repository.find(prefix.substr(1), at + 1)) {
      const size_t length = at + prefix.size() - 1;
      if (repository.substr(0, at).find('/') == std::string_view::npos && ends_a_part(length)) return length;
    }
    return 0;
  }
  if (!repository.starts_with(prefix)) return 0;
  return ends_a_part(prefix.size()) ? prefix.size() : 0;
}

Endpoint make_endpoint(const std::string& full, bool insecure, bool is_mirror) {
  const auto [host, repository] = cut(full, '/');
  return {std::string(host), std::string(repository.value_or("")), insecure, is_mirror};
}

}  // namespace

Result<Ok> merge_registries_conf(RegistriesConf& conf, std::string_view toml_text, const std::string& file) {
  TRY(check_toml_headers(toml_text, file));
  const toml::parse_result parsed = toml::parse(toml_text);
  if (!parsed) {
    return Error(0, file, ":", parsed.error().source().begin.line, ": ", printable(parsed.error().description()));
  }
  const toml::table& root = parsed.table();
  if (const toml::table* old = root["registries"].as_table(); old != nullptr && old->contains("search")) {
    return Error(0, file, ": version 1 of the format; rewrite it with unqualified-search-registries and [[registry]]");
  }
  if (const toml::array* search = TRY(array_member(root, "unqualified-search-registries", file))) {
    conf.search = TRY(read_search(*search, file));
  }
  if (const toml::array* helpers = TRY(array_member(root, "credential-helpers", file))) {
    conf.credential_helpers.clear();
    for (const toml::node& node : *helpers) {
      const std::optional<std::string> name = node.value_exact<std::string>();
      if (!name) return Error(0, at_line(file, node), ": credential-helpers: expected names");
      conf.credential_helpers.push_back(*name);
    }
  }
  if (const std::optional<std::string> mode = TRY(member<std::string>(root, "short-name-mode", file))) {
    using ShortNames = RegistriesConf::ShortNames;
    if (*mode != "permissive" && *mode != "enforcing" && *mode != "disabled") {
      return Error(0, at_line(file, *root.get("short-name-mode")),
                   ": short-name-mode: expected enforcing, permissive or disabled");
    }
    conf.short_names = *mode == "permissive"  ? ShortNames::permissive
                       : *mode == "enforcing" ? ShortNames::enforcing
                                              : ShortNames::disabled;
  }
  if (const toml::array* registries = TRY(array_member(root, "registry", file))) {
    for (const toml::node& node : *registries) {
      const toml::table* table = node.as_table();
      if (table == nullptr) return Error(0, at_line(file, node), ": registry: expected a table");
      RegistryRule rule = TRY(read_rule(*table, file));
      std::erase_if(conf.rules, [&](const RegistryRule& earlier) { return earlier.prefix == rule.prefix; });
      conf.rules.push_back(std::move(rule));
    }
  }
  if (const toml::table* aliases = root["aliases"].as_table()) {
    for (const auto& [name, node] : *aliases) {
      const std::optional<std::string> target = node.value_exact<std::string>();
      if (!target) return Error(0, at_line(file, node), ": aliases: expected a string");
      if (target->empty()) {
        conf.aliases.erase(std::string(name.str()));
      } else {
        conf.aliases[std::string(name.str())] = *target;
      }
    }
  }
  return Ok{};
}

std::vector<std::string> RegistriesConf::search_list() const {
  return search.value_or(std::vector<std::string>{"docker.io"});
}

Result<RegistriesConf> read_registries_conf() {
  RegistriesConf conf;
  const auto merge_file = [&](const std::string& path) -> Result<bool> {
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(path, kMaxConfBytes));
    if (text) TRY(merge_registries_conf(conf, *text, path));
    return text.has_value();
  };
  const std::string home = sys::variable("HOME");
  if (const std::string named = sys::variable("CONTAINERS_REGISTRIES_CONF"); !named.empty()) {
    if (!TRY(merge_file(named))) return Error(ENOENT, "read ", named, ", named by CONTAINERS_REGISTRIES_CONF");
  } else if (home.empty() || !TRY(merge_file(home + "/.config/containers/registries.conf"))) {
    TRY(merge_file("/etc/containers/registries.conf"));
  }
  std::vector<std::string> folders{"/etc/containers/registries.conf.d"};
  if (!home.empty()) folders.push_back(home + "/.config/containers/registries.conf.d");
  for (const std::string& folder : folders) {
    Result<std::vector<std::string>> names = sys::list_dir(folder);
    if (!names.ok()) continue;
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      if (name.ends_with(".conf")) TRY(merge_file(cat(folder, "/", name)));
    }
  }
  // What Podman's users chose when it asked them.
  std::string cache = sys::variable("XDG_CACHE_HOME");
  if (cache.empty()) cache = ::geteuid() == 0 ? "/var/cache" : home + "/.cache";
  TRY(merge_file(cache + "/containers/short-name-aliases.conf"));
  return conf;
}

Result<std::vector<Endpoint>> endpoints(const RegistriesConf& conf, const std::string& repository, bool by_digest) {
  const RegistryRule* best = nullptr;
  size_t best_length = 0;
  for (const RegistryRule& rule : conf.rules) {
    const size_t length = match_length(rule, repository);
    // Of two that match as much, the one written out beats the one with a star.
    if (length > best_length || (length == best_length && length > 0 && best->prefix.starts_with("*."))) {
      best = &rule;
      best_length = length;
    }
  }
  std::vector<Endpoint> out;
  if (best == nullptr) {
    out.push_back(make_endpoint(repository, false, false));
  } else {
    if (best->blocked) return Error(0, "registry ", best->prefix, " is blocked in registries.conf");
    const std::string rest = repository.substr(best_length);
    for (const Mirror& mirror : best->mirrors) {
      if (!by_digest && (best->mirror_by_digest_only || mirror.pull_from == "digest-only")) continue;
      if (by_digest && mirror.pull_from == "tag-only") continue;
      out.push_back(make_endpoint(mirror.location + rest, mirror.insecure, true));
    }
    // "*.example.com" as a location is the prefix once more.
    const bool rewrite = !best->location.empty() && !best->location.starts_with("*.");
    out.push_back(make_endpoint(rewrite ? best->location + rest : repository, best->insecure, false));
  }
  for (Endpoint& endpoint : out) {
    if (endpoint.host == "docker.io") endpoint.host = kDockerHub;
  }
  return out;
}

std::string Endpoint::login() const { return host == kDockerHub ? "docker.io" : host; }

Result<std::vector<std::string>> resolve_short_name(const RegistriesConf& conf, const std::string& repository) {
  if (const auto alias = conf.aliases.find(repository); alias != conf.aliases.end()) {
    return std::vector<std::string>{alias->second};
  }
  const std::vector<std::string> search = conf.search_list();
  if (search.empty()) {
    return Error(0, repository, " names no registry and registries.conf searches none; write docker.io/library/",
                 repository);
  }
  if (search.size() > 1 && conf.short_names == RegistriesConf::ShortNames::enforcing) {
    return Error(0, repository, " may mean an image of ", join(search, " or "), "; write ", search.front(), "/",
                 repository, " or add an alias (short-name-mode is \"enforcing\" in registries.conf)");
  }
  std::vector<std::string> out;
  for (const std::string& host : search) out.push_back(oci::name_in(host, repository));
  return out;
}

bool is_loopback(std::string_view host) {
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  const std::string_view name = host.substr(0, host.find(':'));
  if (name == "localhost") return true;
  const std::vector<std::string_view> parts = split(name, '.');
  return parts.size() == 4 && parts[0] == "127" && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return parse_number<uint8_t>(part).has_value();
         });
}

}  // namespace moss::engine
