// Which registry a name means: registries.conf version 2 and short names. See containers-registries.conf(5).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

struct Mirror {
  std::string location;
  bool insecure = false;
  std::string pull_from = "all";  ///< "all", "digest-only", "tag-only"
};

/// Where docker.io is.
inline constexpr const char* kDockerHub = "registry-1.docker.io";
/// Where it is searched, and what Docker keeps its login under.
inline constexpr const char* kDockerHubIndex = "index.docker.io";
/// The name that a host goes by: Docker's hub is docker.io, whichever of its hosts is meant.
inline std::string_view registry_of(std::string_view host) {
  return host == kDockerHub || host == kDockerHubIndex ? "docker.io" : host;
}

/// One [[registry]] table.
struct RegistryRule {
  std::string prefix;    ///< what names it is for; "*.example.com" is every host below
  std::string location;  ///< what stands in for the prefix; empty: the prefix itself
  bool insecure = false;
  bool blocked = false;
  bool mirror_by_digest_only = false;
  std::vector<Mirror> mirrors;
};

struct RegistriesConf {
  std::optional<std::vector<std::string>> search;  ///< unqualified-search-registries; nothing where no file says
  std::map<std::string, std::string> aliases;      ///< short name to full repository
  std::vector<std::string> credential_helpers;     ///< empty: the files alone
  enum class ShortNames { permissive, enforcing, disabled } short_names = ShortNames::permissive;
  std::vector<RegistryRule> rules;

  /// Where names without a registry are looked for: `search`, and docker.io where no file says.
  std::vector<std::string> search_list() const;
};

/// Adds one file to what earlier ones said: its search list replaces theirs, its rules those of the same prefix, its
/// aliases those of the same name (an empty one removes it). Pure. Errors name `file` and the line.
Result<Ok> merge_registries_conf(RegistriesConf& conf, std::string_view toml, const std::string& file);

/// Reads the user's or the system's file and the drop-ins of both, in the order of the manual. The environment
/// variable CONTAINERS_REGISTRIES_CONF names the main file instead.
Result<RegistriesConf> read_registries_conf();

/// Where an image is to be had, in the order to try.
struct Endpoint {
  std::string host;        ///< "quay.io", "127.0.0.1:5000"
  std::string repository;  ///< below the host
  bool insecure = false;   ///< plain HTTP and bad certificates are allowed
  bool is_mirror = false;  ///< not the place the user named: --creds are not for it
  /// What its login is kept under; the host but for Docker's hub.
  std::string login() const;
  bool operator==(const Endpoint&) const = default;
};

/// The mirrors and the location for "registry/repository". Pure.
/// Errors: blocked by the configuration.
Result<std::vector<Endpoint>> endpoints(const RegistriesConf& conf, const std::string& repository, bool by_digest);

/// The full repositories a short one ("alpine", "org/app") may mean, in the order to try: its alias alone, or each
/// search registry's; docker.io where nothing is configured. Pure.
/// Errors: the configuration searches nowhere, or several places while short-name-mode is "enforcing".
Result<std::vector<std::string>> resolve_short_name(const RegistriesConf& conf, const std::string& repository);

/// Hosts that only this machine can be: 127.0.0.0/8, ::1 and localhost, with or without a port. Pure.
bool is_loopback(std::string_view host);

}  // namespace moss::engine
