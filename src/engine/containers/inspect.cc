// moss inspect of a container: the members of Podman's that moss has something to say about.
#include <nlohmann/json.hpp>

#include "moss/engine/container.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfigBytes = 16u << 20;

}  // namespace

Result<std::string> inspect_container_json(const Paths& paths, const Container& container) {
  using Json = nlohmann::ordered_json;
  const ContainerRecord& r = container.record;
  const ContainerState& s = container.state;
  Json json;
  json["Id"] = r.id;
  json["Created"] = r.created;
  json["Path"] = r.command.empty() ? "" : r.command.front();
  json["Args"] = std::vector<std::string>(r.command.begin() + (r.command.empty() ? 0 : 1), r.command.end());
  json["State"] = {{"Status", to_string(s.status)},
                   {"Running", s.status == Status::running},
                   {"Pid", s.pid},
                   {"ConmonPid", s.monitor_pid},
                   {"ExitCode", s.exit_code},
                   {"Error", s.error},
                   {"StartedAt", s.started},
                   {"FinishedAt", s.finished}};
  json["Image"] = r.image_id;
  json["ImageName"] = r.image;
  json["Rootfs"] = r.rootfs;
  json["Name"] = r.name;
  json["OCIConfigPath"] = container.folder + "/config.json";
  json["LogPath"] = container.folder + "/ctr.log";
  const std::optional<std::string> text =
      TRY(sys::read_file_if_exists(container.folder + "/config.json", kMaxConfigBytes));
  if (text) {
    const oci::Config config = TRY(oci::decode_config(*text).context(container.folder + "/config.json"));
    Json mounts = Json::array();
    for (const oci::Mount& mount : config.mounts) {
      // The files over /etc are moss's own.
      const bool own = mount.source.starts_with(container.folder + "/") ||
                       mount.source.starts_with(cat(paths.live_containers(), "/", r.id, "/"));
      if (mount.type != "bind" || !mount.source.starts_with('/') || own) continue;
      mounts.push_back({{"Type", mount.type},
                        {"Source", mount.source},
                        {"Destination", mount.destination},
                        {"Options", mount.options}});
    }
    json["Mounts"] = std::move(mounts);
    json["Config"] = {{"Hostname", config.hostname},
                      {"User", cat(config.process.user.uid, ":", config.process.user.gid)},
                      {"Tty", r.terminal},
                      {"Env", config.process.env},
                      {"Cmd", r.command},
                      {"Image", r.image},
                      {"WorkingDir", config.process.cwd},
                      {"Labels", r.labels},
                      {"Annotations", config.annotations},
                      {"StopSignal", r.stop_signal},
                      {"StopTimeout", r.stop_timeout_s}};
    if (config.process.capabilities) json["EffectiveCaps"] = config.process.capabilities->effective;
    if (config.process.capabilities) json["BoundingCaps"] = config.process.capabilities->bounding;
    json["HostConfig"] = {
        {"AutoRemove", r.remove},
        {"NetworkMode", r.network},
        {"ReadonlyRootfs", config.root.readonly},
        {"Init", r.built_in_init},
        {"PortBindings", r.ports},
        {"IDMappings",
         {{"UidMap", to_string(config.linux.uid_mappings)}, {"GidMap", to_string(config.linux.gid_mappings)}}}};
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace moss::engine
