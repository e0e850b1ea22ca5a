// moss inspect of a container: Podman's members, each with what is so. Where Podman has a member for something that
// moss does not have (pods, cgroup limits, health checks), its value is the one for "none"; a member that moss cannot
// know (whether the kernel's memory killer came by) is not there.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "moss/engine/container.hh"
#include "moss/runtime/capabilities.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxConfigBytes = 16u << 20;
constexpr const char* kNever = "0001-01-01T00:00:00Z";  // Go's zero
constexpr std::string_view kPropagations[] = {"shared",  "rshared",  "slave",      "rslave",
                                              "private", "rprivate", "unbindable", "runbindable"};

bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

class ContainerDescription {
 public:
  ContainerDescription(const Paths& paths, const Container& container, const std::optional<oci::Config>& config)
      : container_(container),
        r_(container.record),
        s_(container.state),
        live_(cat(paths.live_containers(), "/", r_.id)),
        config_(config) {}

  Json all() const {
    Json json;
    json["Id"] = r_.id;
    json["Created"] = r_.created;
    json["Path"] = r_.command.empty() ? "" : r_.command.front();
    json["Args"] = std::vector<std::string>(r_.command.begin() + (r_.command.empty() ? 0 : 1), r_.command.end());
    json["State"] = state();
    json["Image"] = r_.image_id;
    json["ImageDigest"] = r_.image_digest;
    json["ImageName"] = r_.image;
    json["Rootfs"] = r_.rootfs;
    json["Pod"] = "";
    if (config_) {
      json["ResolvConfPath"] = own_file("/etc/resolv.conf");
      json["HostnamePath"] = own_file("/etc/hostname");
      json["HostsPath"] = own_file("/etc/hosts");
    }
    json["StaticDir"] = container_.folder;
    json["OCIConfigPath"] = container_.folder + "/config.json";
    json["OCIRuntime"] = "moss";
    json["LogPath"] = container_.folder + "/ctr.log";
    json["Name"] = r_.name;
    json["RestartCount"] = 0;
    if (config_) add_confinement(json);
    json["Dependencies"] = Json::array();
    json["NetworkSettings"] = network_settings();
    json["Namespace"] = "";
    json["IsInfra"] = false;
    json["IsService"] = false;
    if (config_) {
      json["Config"] = start_config();
      json["HostConfig"] = host_config();
    }
    return json;
  }

 private:
  Json state() const {
    Json json;
    if (config_) json["OciVersion"] = config_->oci_version;
    json["Status"] = to_string(s_.status);
    json["Running"] = s_.status == Status::running;
    json["Paused"] = false;
    json["Restarting"] = false;
    json["Dead"] = false;
    json["Pid"] = s_.pid;
    json["ConmonPid"] = s_.monitor_pid;
    json["ExitCode"] = s_.exit_code;
    json["Error"] = s_.error;
    json["StartedAt"] = s_.started.empty() ? kNever : s_.started;
    json["FinishedAt"] = s_.finished.empty() ? kNever : s_.finished;
    json["Health"] = {{"Status", ""}, {"FailingStreak", 0}, {"Log", nullptr}};
    json["CheckpointedAt"] = kNever;
    json["RestoredAt"] = kNever;
    return json;
  }

  // What moss has bound over a file of /etc; empty where that is the image's, or the container does not run.
  std::string own_file(const char* destination) const {
    for (const oci::Mount& mount : config_->mounts) {
      if (mount.destination == destination && is_own(mount) && sys::exists(mount.source)) return mount.source;
    }
    return {};
  }
  bool is_own(const oci::Mount& mount) const {
    return mount.source.starts_with(container_.folder + "/") || mount.source.starts_with(live_ + "/");
  }

  void add_confinement(Json& json) const {
    const oci::Process& process = config_->process;
    Json layers;
    for (const oci::Mount& mount : config_->mounts) {
      if (mount.type != "overlay" || mount.destination != "/") continue;
      for (const std::string& option : mount.options) {
        const auto [name, value] = cut(option, '=');
        if (name == "lowerdir") layers["LowerDir"] = value.value_or("");
        if (name == "upperdir") layers["UpperDir"] = value.value_or("");
        if (name == "workdir") layers["WorkDir"] = value.value_or("");
      }
    }
    const char* driver = layers.is_null() ? "" : "overlay";
    json["Driver"] = driver;
    json["MountLabel"] = config_->linux.mount_label;
    json["ProcessLabel"] = process.selinux_label;
    json["AppArmorProfile"] = process.apparmor_profile;
    json["EffectiveCaps"] = sorted(process.capabilities ? process.capabilities->effective : std::vector<std::string>());
    json["BoundingCaps"] = sorted(process.capabilities ? process.capabilities->bounding : std::vector<std::string>());
    json["GraphDriver"] = {{"Name", driver}, {"Data", std::move(layers)}};
    json["Mounts"] = mounts();
  }
  static std::vector<std::string> sorted(std::vector<std::string> list) {
    std::sort(list.begin(), list.end());
    return list;
  }

  // What the user had mounted; the files over /etc are moss's own.
  std::vector<const oci::Mount*> mounts_of_user() const {
    std::vector<const oci::Mount*> found;
    for (const oci::Mount& mount : config_->mounts) {
      if (mount.type == "bind" && mount.source.starts_with('/') && !is_own(mount)) found.push_back(&mount);
    }
    return found;
  }
  Json mounts() const {
    Json list = Json::array();
    for (const oci::Mount* mount : mounts_of_user()) {
      std::string propagation = "rprivate";
      std::vector<std::string> others;
      for (const std::string& option : mount->options) {
        if (std::find(std::begin(kPropagations), std::end(kPropagations), option) != std::end(kPropagations)) {
          propagation = option;
        } else if (option != "ro" && option != "rw") {
          others.push_back(option);
        }
      }
      list.push_back({{"Type", mount->type},
                      {"Source", mount->source},
                      {"Destination", mount->destination},
                      {"Driver", ""},
                      {"Mode", ""},
                      {"Options", others},
                      {"RW", !has(mount->options, "ro") && !has(mount->options, "rro")},
                      {"Propagation", propagation}});
    }
    return list;
  }

  // "127.0.0.1:8080->80/tcp" under "80/tcp".
  Json ports() const {
    Json map = Json::object();
    for (const std::string& port : r_.ports) {
      const size_t arrow = port.rfind("->");
      const size_t colon = port.rfind(':', arrow);
      if (arrow == std::string::npos || colon == std::string::npos) continue;
      std::string ip = port.substr(0, colon);
      if (ip.starts_with('[')) ip = ip.substr(1, ip.size() - 2);
      map[port.substr(arrow + 2)].push_back(
          {{"HostIp", std::move(ip)}, {"HostPort", port.substr(colon + 1, arrow - colon - 1)}});
    }
    return map;
  }

  // A network of its own is reached by its ports alone: no address of it is valid on the host.
  Json network_settings() const {
    Json json;
    for (const char* none : {"EndpointID", "Gateway", "IPAddress"}) json[none] = "";
    json["IPPrefixLen"] = 0;
    for (const char* none : {"IPv6Gateway", "GlobalIPv6Address"}) json[none] = "";
    json["GlobalIPv6PrefixLen"] = 0;
    for (const char* none : {"MacAddress", "Bridge", "SandboxID"}) json[none] = "";
    json["HairpinMode"] = false;
    json["LinkLocalIPv6Address"] = "";
    json["LinkLocalIPv6PrefixLen"] = 0;
    json["Ports"] = ports();
    const bool own = r_.network != "host" && s_.status == Status::running;
    json["SandboxKey"] = own ? cat("/proc/", s_.pid, "/ns/net") : std::string();
    return json;
  }

  Json start_config() const {
    const oci::Process& process = config_->process;
    const auto words = r_.command.begin() + static_cast<int64_t>(std::min(r_.entrypoint_words, r_.command.size()));
    Json json;
    json["Hostname"] = config_->hostname;
    json["Domainname"] = config_->domainname;
    json["User"] = r_.user;
    json["Tty"] = r_.terminal;
    json["OpenStdin"] = r_.interactive;
    json["Env"] = process.env;
    json["Cmd"] = std::vector<std::string>(words, r_.command.end());
    json["Image"] = r_.image;
    json["Volumes"] = nullptr;
    json["WorkingDir"] = process.cwd;
    json["Entrypoint"] = join(std::vector<std::string>(r_.command.begin(), words), " ");
    json["OnBuild"] = nullptr;
    json["Labels"] = r_.labels.empty() ? Json() : Json(r_.labels);
    json["Annotations"] = config_->annotations;
    json["StopSignal"] = r_.stop_signal;
    if (process.user.umask) json["Umask"] = octal(*process.user.umask);
    json["Timeout"] = 0;
    json["StopTimeout"] = r_.stop_timeout_s;
    return json;
  }
  static std::string octal(uint32_t mask) {
    std::string text = "0000";
    for (size_t i = 4; i-- > 0; mask /= 8) text[i] = static_cast<char>('0' + mask % 8);
    return text;
  }

  Json host_config() const {
    const std::vector<std::string> bounding =
        config_->process.capabilities ? config_->process.capabilities->bounding : std::vector<std::string>();
    const std::vector<std::string>& usual = runtime::default_capabilities();
    Json json;
    json["Binds"] = binds();
    json["CgroupMode"] = mode_of("cgroup");
    json["LogConfig"] = {{"Type", "k8s-file"},
                         {"Config", nullptr},
                         {"Path", container_.folder + "/ctr.log"},
                         {"Tag", ""},
                         {"Size", "0B"}};
    json["NetworkMode"] = r_.network;
    json["PortBindings"] = ports();
    json["RestartPolicy"] = {{"Name", ""}, {"MaximumRetryCount", 0}};
    json["AutoRemove"] = r_.remove;
    json["VolumeDriver"] = "";
    json["VolumesFrom"] = nullptr;
    json["CapAdd"] = but_for(bounding, usual);
    json["CapDrop"] = but_for(usual, bounding);
    for (const char* none : {"Dns", "DnsOptions", "DnsSearch", "ExtraHosts"}) json[none] = Json::array();
    json["IpcMode"] = mode_of("ipc");
    json["Cgroup"] = "";
    json["Cgroups"] = "disabled";
    json["Links"] = nullptr;
    json["PidMode"] = mode_of("pid");
    json["Privileged"] = r_.privileged;
    json["PublishAllPorts"] = false;
    json["ReadonlyRootfs"] = config_->root.readonly;
    json["SecurityOpt"] = security_options();
    json["Tmpfs"] = tmpfs();
    json["UTSMode"] = mode_of("uts");
    json["ShmSize"] = shm_size();
    json["Runtime"] = "moss";
    json["Init"] = r_.built_in_init;
    json["IDMappings"] = {{"UidMap", id_map(config_->linux.uid_mappings)},
                          {"GidMap", id_map(config_->linux.gid_mappings)}};
    add_limits(json);
    return json;
  }

  std::vector<std::string> binds() const {
    std::vector<std::string> texts;
    for (const oci::Mount* mount : mounts_of_user()) {
      texts.push_back(
          cat(mount->source, ":", mount->destination, mount->options.empty() ? "" : ":", join(mount->options, ",")));
    }
    return texts;
  }
  std::string mode_of(std::string_view type) const {
    const auto& all = config_->linux.namespaces;
    return std::any_of(all.begin(), all.end(), [&](const oci::Namespace& ns) { return ns.type == type; }) ? "private"
                                                                                                          : "host";
  }
  static std::vector<std::string> but_for(const std::vector<std::string>& all, const std::vector<std::string>& others) {
    std::vector<std::string> rest;
    std::copy_if(all.begin(), all.end(), std::back_inserter(rest),
                 [&](const std::string& one) { return !has(others, one); });
    return sorted(std::move(rest));
  }
  std::vector<std::string> security_options() const {
    std::vector<std::string> options;
    if (config_->process.no_new_privileges) options.emplace_back("no-new-privileges");
    if (!r_.seccomp_profile.empty()) options.push_back("seccomp=" + r_.seccomp_profile);
    return options;
  }
  Json tmpfs() const {
    Json map = Json::object();
    for (const oci::Mount& mount : config_->mounts) {
      if (mount.type == "tmpfs" && mount.destination != "/dev" && mount.destination != "/dev/shm") {
        map[mount.destination] = join(mount.options, ",");
      }
    }
    return map;
  }
  int64_t shm_size() const {
    for (const oci::Mount& mount : config_->mounts) {
      if (mount.destination != "/dev/shm") continue;
      for (const std::string& option : mount.options) {
        if (option.starts_with("size=")) return parse_number<int64_t>(option.substr(5)).value_or(0);
      }
    }
    return 0;
  }
  static std::vector<std::string> id_map(const std::vector<IdRange>& ranges) {
    std::vector<std::string> texts;
    for (const IdRange& range : ranges) texts.push_back(cat(range.inside, ":", range.outside, ":", range.count));
    return texts;
  }

  // 0 is no limit: moss puts containers into no cgroup.
  void add_limits(Json& json) const {
    for (const char* none : {"CpuShares", "Memory", "NanoCpus"}) json[none] = 0;
    json["CgroupParent"] = "";
    for (const char* none : {"BlkioWeight", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime"}) {
      json[none] = 0;
    }
    for (const char* none : {"CpusetCpus", "CpusetMems"}) json[none] = "";
    json["Devices"] = Json::array();
    for (const char* none : {"DiskQuota", "KernelMemory", "MemoryReservation", "MemorySwap", "PidsLimit"}) {
      json[none] = 0;
    }
    json["OomKillDisable"] = false;
    Json limits = Json::array();
    for (const oci::Rlimit& limit : config_->process.rlimits) {
      limits.push_back({{"Name", limit.type}, {"Soft", limit.soft}, {"Hard", limit.hard}});
    }
    json["Ulimits"] = std::move(limits);
  }

  const Container& container_;
  const ContainerRecord& r_;
  const ContainerState& s_;
  std::string live_;
  const std::optional<oci::Config>& config_;
};

}  // namespace

Result<std::string> inspect_container_json(const Paths& paths, const Container& container) {
  const std::string path = container.folder + "/config.json";
  const std::optional<std::string> text = TRY(sys::read_file_if_exists(path, kMaxConfigBytes));
  std::optional<oci::Config> config;
  if (text) config = TRY(oci::decode_config(*text).context(path));
  return ContainerDescription(paths, container, config).all().dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace moss::engine
