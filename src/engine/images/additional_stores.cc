// Read-only stores beside the caller's own. See the header.
#include "moss/engine/additional_stores.hh"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "toml_headers.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfBytes = 1u << 20;

// The one that counts; empty where there is none.
std::string storage_conf() {
  if (std::string named = sys::variable("CONTAINERS_STORAGE_CONF"); !named.empty()) return named;
  std::string config = sys::variable("XDG_CONFIG_HOME");
  if (config.empty() && !sys::variable("HOME").empty()) config = sys::variable("HOME") + "/.config";
  for (const std::string& folder : {config, std::string("/etc"), std::string("/usr/share")}) {
    std::string path = folder + "/containers/storage.conf";
    if (!folder.empty() && sys::exists(path)) return path;
  }
  return {};
}

Result<std::vector<std::string>> named_by_storage_conf() {
  std::vector<std::string> stores;
  const std::string path = storage_conf();
  if (path.empty()) return stores;
  const std::string text = TRY(sys::read_file(path, kMaxConfBytes));
  TRY(check_toml_headers(text, path));
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    return Error(0, path, ":", parsed.error().source().begin.line, ": ",
                 std::string_view(parsed.error().description()));
  }
  const toml::node_view<const toml::node> list = parsed.table()["storage"]["options"]["additionalimagestores"];
  if (!list) return stores;
  if (!list.is_array()) return Error(0, path, ": additionalimagestores: expected a list of folders");
  for (const toml::node& node : *list.as_array()) {
    const std::optional<std::string> store = node.value_exact<std::string>();
    if (!store || !store->starts_with('/')) {
      return Error(0, path, ": additionalimagestores: expected a list of absolute paths");
    }
    stores.push_back(*store);
  }
  // The same list serves Podman, whose stores look otherwise.
  std::erase_if(stores, [](const std::string& store) { return !sys::exists(store + "/index.json"); });
  return stores;
}

}  // namespace

Result<std::vector<std::string>> additional_stores() {
  std::vector<std::string> stores;
  const std::string named = sys::variable("MOSS_ADDITIONAL_STORES");
  for (const std::string_view part : split(named, ':')) {
    if (part.empty()) continue;
    if (!part.starts_with('/')) return Error(0, "MOSS_ADDITIONAL_STORES: ", printable(part), " is no absolute path");
    if (!sys::exists(cat(part, "/index.json"))) {
      return sys_error("MOSS_ADDITIONAL_STORES: read ", printable(part), "/index.json, which a store of moss has");
    }
    stores.emplace_back(part);
  }
  for (std::string& store : TRY(named_by_storage_conf())) stores.push_back(std::move(store));
  for (std::string& store : stores) {
    while (store.size() > 1 && store.ends_with('/')) store.pop_back();
  }
  return stores;
}

}  // namespace moss::engine
