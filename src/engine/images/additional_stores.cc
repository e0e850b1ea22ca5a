// Read-only stores beside the caller's own. See the header.
#include "moss/engine/additional_stores.hh"

#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "storage_conf.hh"

namespace moss::engine {

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
  for (std::string& store : TRY(stores_in_storage_conf())) {
    // The same list serves Podman, whose stores look otherwise.
    if (sys::exists(store + "/index.json")) stores.push_back(std::move(store));
  }
  for (std::string& store : stores) {
    while (store.size() > 1 && store.ends_with('/')) store.pop_back();
  }
  return stores;
}

}  // namespace moss::engine
