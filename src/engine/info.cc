// moss info: the host as moss sees it.
#include "moss/engine/info.hh"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moss/engine/additional_stores.hh"
#include "moss/engine/container.hh"
#include "moss/engine/network.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/search.hh"
#include "moss/engine/store.hh"
#include "moss/sys/host.hh"
#include "moss/sys/ids.hh"

namespace moss::engine {

namespace {

using Json = nlohmann::ordered_json;

// "key: value" lines, two spaces deeper inside.
void write_text(const Json& json, const std::string& indent, std::string& out) {
  for (const auto& [key, value] : json.items()) {
    if (value.is_object()) {
      out += cat(indent, key, ":\n");
      write_text(value, indent + "  ", out);
    } else if (value.is_array()) {
      out += cat(indent, key, value.empty() ? ": none\n" : ":\n");
      for (const auto& item : value) out += cat(indent, "  - ", item.get<std::string>(), "\n");
    } else {
      out += cat(indent, key, ": ", value.is_string() ? value.get<std::string>() : value.dump(), "\n");
    }
  }
}

}  // namespace

Result<std::string> describe_host(bool as_json) {
  const Paths paths = TRY(find_paths());
  const sys::Host host = TRY(sys::probe_host());
  const DefaultIdMap map = TRY(default_id_map(host));
  const ImageStore store(paths.data);
  const std::vector<Container> containers = TRY(list_containers(paths));
  const std::vector<Image> images = TRY(store.list());
  std::vector<std::string> degraded;
  if (!map.why_single.empty()) degraded.push_back(map.why_single);
  const Result<NetworkTool> network = choose_network_tool(probe_network_tools());
  if (!network.ok()) degraded.push_back("no network for containers: " + network.error().to_string());
  if (host.cgroups != sys::CgroupMode::v2) {
    degraded.push_back(
        cat("cgroups: ", sys::to_string(host.cgroups), "; the container's tree is read-only and no limits are set"));
  }
  // Whether user namespaces are open is found out by making one.
  const Result<int> made = sys::run_in_user_namespace(map.map, [] { return 0; });
  if (!made.ok()) degraded.push_back(made.error().to_string());

  utsname name;
  ::uname(&name);
  Json json;
  json["host"] = {{"kernel", name.release},
                  {"os", "linux"},
                  {"hostname", name.nodename},
                  {"cpus", ::sysconf(_SC_NPROCESSORS_ONLN)},
                  {"memTotal", ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE)},
                  {"arch", host_platform().architecture},
                  {"cgroupVersion", host.cgroups == sys::CgroupMode::v2     ? "v2"
                                    : host.cgroups == sys::CgroupMode::none ? "none"
                                                                            : "v1"},
                  {"cgroups", sys::to_string(host.cgroups)},
                  {"rootless", host.uid != 0},
                  {"userNamespaces", made.ok()},
                  {"network", network.ok() ? to_string(*network) : "none"}};
  json["idMappings"] = {{"uidmap", to_string(map.map.uids)}, {"gidmap", to_string(map.map.gids)}};
  const auto in_state = [&](Status status) {
    return std::count_if(containers.begin(), containers.end(),
                         [&](const Container& container) { return container.state.status == status; });
  };
  json["store"] = {
      {"graphRoot", paths.data},
      {"runRoot", paths.run},
      {"graphDriverName", "overlay"},
      {"imageStore", {{"number", images.size()}}},
      {"containerStore",
       {{"number", containers.size()}, {"running", in_state(Status::running)}, {"stopped", in_state(Status::exited)}}},
      {"data", paths.data},
      {"run", paths.run},
      {"driver", "overlay"},
      {"images", images.size()},
      {"containers", containers.size()},
      {"running", in_state(Status::running)}};
  if (const Result<std::vector<std::string>> others = additional_stores(); others.ok()) {
    json["store"]["additionalImageStores"] = *others;
  } else {
    degraded.push_back("no images of additional stores: " + others.error().to_string());
  }
  if (const Result<std::vector<std::string>> registries = search_registries(); registries.ok()) {
    json["registries"] = {{"search", *registries}};
  } else {
    degraded.push_back("no registries: " + registries.error().to_string());
  }
  json["degraded"] = degraded;
  // A folder's name may be any bytes.
  if (as_json) return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::string text;
  write_text(json, "", text);
  return text;
}

}  // namespace moss::engine
