// What is wrong with a config, all of it at once, before anything is done.
#include <algorithm>
#include <set>

#include "moss/runtime/resctrl.hh"
#include "runtime/plan/attributes.hh"
#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

// A config may be wrong in a hundred thousand places, and nobody reads that far.
constexpr size_t kMaxComplaints = 20;

class Checker {
 public:
  template <typename... Parts>
  void complain(const Parts&... parts) {
    if (complaints_.size() < kMaxComplaints) {
      complaints_.push_back(cat(parts...));
    } else {
      ++more_;
    }
  }
  template <typename T>
  void expect(const Result<T>& result, std::string_view place) {
    if (!result.ok()) complain(place, ": ", result.error().to_string());
  }
  std::vector<std::string> take() && {
    if (more_ != 0) complaints_.push_back(cat("and ", more_, " more"));
    return std::move(complaints_);
  }

 private:
  std::vector<std::string> complaints_;
  size_t more_ = 0;
};

bool has_dots(std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  return std::find(parts.begin(), parts.end(), "..") != parts.end();
}

void check_namespaces(Checker& c, const oci::Linux& linux, const sys::Host& host) {
  std::set<std::string> seen;
  for (size_t i = 0; i < linux.namespaces.size(); ++i) {
    const oci::Namespace& entry = linux.namespaces[i];
    if (!parse_namespace(entry.type)) c.complain("linux.namespaces[", i, "].type: unknown: ", printable(entry.type));
    if (!seen.insert(entry.type).second) c.complain("linux.namespaces[", i, "]: a second ", printable(entry.type));
    if (!entry.path.empty() && !entry.path.starts_with('/')) {
      c.complain("linux.namespaces[", i, "].path: not absolute: ", printable(entry.path));
    }
  }
  if (host.uid != 0 && !seen.contains("user")) {
    c.complain("linux.namespaces: only root can do without a user namespace; add one, with linux.uidMappings and ",
               "linux.gidMappings");
  }
}

void check_map(Checker& c, std::string_view path, const std::vector<IdRange>& ranges) {
  // user_namespaces(7): 340 lines, since Linux 4.15.
  if (ranges.size() > 340) {
    c.complain(path, ": more than 340 ranges");
    return;
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    const IdRange& a = ranges[i];
    if (a.count == 0) c.complain(path, "[", i, "].size: 0");
    if (a.count > UINT32_MAX - a.inside || a.count > UINT32_MAX - a.outside)
      c.complain(path, "[", i, "]: beyond 2^32-2");
    for (size_t k = 0; k < i; ++k) {
      const IdRange& b = ranges[k];
      const auto overlap = [&](uint32_t x, uint32_t y) {
        return x < uint64_t{y} + b.count && y < uint64_t{x} + a.count;
      };
      if (overlap(a.inside, b.inside) || overlap(a.outside, b.outside)) {
        c.complain(path, "[", i, "]: overlaps [", k, "]");
      }
    }
  }
}

bool maps(const std::vector<IdRange>& ranges, uint32_t id) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IdRange& range) { return id >= range.inside && id - range.inside < range.count; });
}

void check_ids(Checker& c, const oci::Config& config, const Builder& b) {
  const oci::Linux& linux = config.linux;
  check_map(c, "linux.uidMappings", linux.uid_mappings);
  check_map(c, "linux.gidMappings", linux.gid_mappings);
  if (!b.has_own(Namespace::user) && !(linux.uid_mappings.empty() && linux.gid_mappings.empty())) {
    c.complain("linux.uidMappings: there is no user namespace to map ids of");
  }
  if (!b.creates(Namespace::user)) return;
  if (linux.uid_mappings.empty()) c.complain("linux.uidMappings: a user namespace needs one");
  if (linux.gid_mappings.empty()) c.complain("linux.gidMappings: a user namespace needs one");
  const oci::User& user = config.process.user;
  const auto unmapped = [&](const char* path, const char* map, uint32_t id) {
    c.complain(path, ": ", id, " is not in ", map, "; grant more ids in /etc/subuid and /etc/subgid or choose another");
  };
  if (!maps(linux.uid_mappings, user.uid)) unmapped("process.user.uid", "linux.uidMappings", user.uid);
  if (!maps(linux.gid_mappings, user.gid)) unmapped("process.user.gid", "linux.gidMappings", user.gid);
  for (const uint32_t gid : user.additional_gids) {
    if (!maps(linux.gid_mappings, gid)) unmapped("process.user.additionalGids", "linux.gidMappings", gid);
  }
}

void check_mount(Checker& c, const oci::Mount& mount, size_t i, const Builder& b) {
  const MountOptions options = parse_mount_options(mount.options);
  const bool bind = options.bind || mount.type == "bind" || mount.type == "rbind";
  if (mount.destination.empty()) c.complain("mounts[", i, "].destination: missing");
  if (has_dots(mount.destination)) {
    c.complain("mounts[", i, "].destination: has \"..\": ", printable(mount.destination));
  }
  if (bind && mount.source.empty() && !options.remount) c.complain("mounts[", i, "].source: missing");
  if (!bind && mount.type.empty() && !options.remount) c.complain("mounts[", i, "].type: missing");
  if (options.copy_up && mount.type != "tmpfs") c.complain("mounts[", i, "].options: tmpcopyup is for tmpfs only");
  if (mount.uid_mappings.empty() != mount.gid_mappings.empty()) {
    c.complain("mounts[", i, "]: uidMappings and gidMappings go together");
  }
  check_map(c, cat("mounts[", i, "].uidMappings"), mount.uid_mappings);
  check_map(c, cat("mounts[", i, "].gidMappings"), mount.gid_mappings);
  const bool idmapped = options.idmap || !mount.uid_mappings.empty();
  if (idmapped && !bind) c.complain("mounts[", i, "].options: idmap is for bind mounts only");
  if (options.idmap && options.idmap_ranges.empty() && mount.uid_mappings.empty() &&
      b.config().linux.uid_mappings.empty()) {
    c.complain("mounts[", i, "].options: idmap: neither the mount nor the container has a mapping");
  }
  if (!options.idmap_ranges.empty()) {
    const std::string place = cat("mounts[", i, "].options: idmap");
    const oci::Linux& linux = b.config().linux;
    const Result<IdMap> map = parse_idmap_ranges(options.idmap_ranges, {linux.uid_mappings, linux.gid_mappings});
    c.expect(map, place);
    if (map.ok()) check_map(c, cat(place, ": uids"), map->uids);
    if (map.ok()) check_map(c, cat(place, ": gids"), map->gids);
    if (!mount.uid_mappings.empty()) c.complain(place, ": has uidMappings beside it");
  }
}

void check_mounts(Checker& c, const oci::Config& config, const Builder& b) {
  bool root = false;
  for (size_t i = 0; i < config.mounts.size(); ++i) {
    check_mount(c, config.mounts[i], i, b);
    if (config.mounts[i].destination.empty() || clean_path(config.mounts[i].destination) != "/") continue;
    if (root) c.complain("mounts[", i, "].destination: a second mount of the root");
    root = true;
  }
}

void check_hidden(Checker& c, const char* place, const std::vector<std::string>& paths) {
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!paths[i].starts_with('/')) c.complain(place, "[", i, "]: not absolute: ", printable(paths[i]));
  }
}

void check_root(Checker& c, const oci::Config& config, const sys::Host& host) {
  if (config.root.path.empty()) {
    c.complain("root.path: missing");
  } else if (config.root.path.starts_with('/') && clean_path(config.root.path) == "/") {
    c.complain("root.path: \"/\" is the host's own root");
  }
  check_hidden(c, "linux.maskedPaths", config.linux.masked_paths);
  check_hidden(c, "linux.readonlyPaths", config.linux.readonly_paths);
  const std::string& propagation = config.linux.rootfs_propagation;
  if (!propagation.empty() && !propagation_type(propagation)) {
    c.complain("linux.rootfsPropagation: unknown: ", printable(propagation));
  }
  if (!config.linux.mount_label.empty() && !host.selinux) {
    c.complain("linux.mountLabel: SELinux is not enabled on this host");
  }
}

void check_devices(Checker& c, const std::vector<oci::Device>& devices) {
  for (size_t i = 0; i < devices.size(); ++i) {
    const oci::Device& device = devices[i];
    if (device.type != "c" && device.type != "b" && device.type != "u" && device.type != "p") {
      c.complain("linux.devices[", i, "].type: none of c, b, u, p: ", printable(device.type));
    }
    if (!device.path.starts_with('/') || has_dots(device.path) || clean_path(device.path) == "/") {
      c.complain("linux.devices[", i, "].path: not an absolute path of a device: ", printable(device.path));
    }
    // The kernel's dev_t: 12 bits of major, 20 of minor.
    if (device.type != "p" && (device.major < 0 || device.major > 0xfff)) {
      c.complain("linux.devices[", i, "].major: not within 0..4095");
    }
    if (device.type != "p" && (device.minor < 0 || device.minor > 0xfffff)) {
      c.complain("linux.devices[", i, "].minor: not within 0..1048575");
    }
  }
}

void check_sysctls(Checker& c, const oci::Config& config, const Builder& b) {
  for (const auto& [key, value] : config.linux.sysctl) {
    const std::optional<Namespace> owner = sysctl_namespace(key);
    if (!owner) {
      c.complain("linux.sysctl: ", printable(key), " belongs to the whole host; only net.*, kernel.msg*, kernel.shm*, ",
                 "kernel.sem and fs.mqueue.* may be set");
    } else if (!b.has_own(*owner)) {
      c.complain("linux.sysctl: ", printable(key), " would change the host: the container shares that namespace");
    }
    // Both would be the last word.
    if (key == "kernel.hostname" || key == "kernel/hostname") c.complain("linux.sysctl: kernel.hostname: set hostname");
    if (has_dots(key) || key.find("//") != std::string::npos || printable(key) != key || printable(value) != value) {
      c.complain("linux.sysctl: bad key or value: ", printable(key));
    }
  }
}

void check_attributes(Checker& c, const oci::Process& process) {
  if (process.args.empty()) c.complain("process.args: no command given");
  if (!process.cwd.starts_with('/')) c.complain("process.cwd: not absolute: ", printable(process.cwd));
  std::set<std::string> seen;
  for (size_t i = 0; i < process.rlimits.size(); ++i) {
    const oci::Rlimit& limit = process.rlimits[i];
    if (!resource_number(limit.type)) {
      c.complain("process.rlimits[", i, "].type: unknown limit ", printable(limit.type));
    }
    if (!seen.insert(limit.type).second) c.complain("process.rlimits[", i, "]: a second ", printable(limit.type));
    if (limit.soft > limit.hard) c.complain("process.rlimits[", i, "]: soft above hard");
  }
  if (process.user.umask && *process.user.umask > 07777) c.complain("process.user.umask: beyond octal 7777");
  if (process.oom_score_adj && (*process.oom_score_adj < -1000 || *process.oom_score_adj > 1000)) {
    c.complain("process.oomScoreAdj: not within -1000..1000");
  }
  if (process.scheduler) c.expect(scheduler_step(*process.scheduler), "process.scheduler");
  if (process.io_priority) c.expect(io_priority_step(*process.io_priority), "process.ioPriority");
  if (const auto& affinity = process.exec_cpu_affinity) {
    if (!affinity->initial.empty()) c.expect(parse_number_list(affinity->initial), "process.execCPUAffinity.initial");
    if (!affinity->final.empty()) c.expect(parse_number_list(affinity->final), "process.execCPUAffinity.final");
  }
}

void check_names(Checker& c, const oci::Config& config, const Builder& b) {
  const auto check_name = [&](const char* place, const std::string& name) {
    if (name.empty()) return;
    if (!b.has_own(Namespace::uts)) c.complain(place, ": needs a uts namespace of its own");
    if (name.size() > 64) c.complain(place, ": longer than 64 bytes");
  };
  check_name("hostname", config.hostname);
  check_name("domainname", config.domainname);
}

void check_time(Checker& c, const oci::Linux& linux, const Builder& b) {
  if (!linux.time_offsets.empty() && !b.creates(Namespace::time)) {
    c.complain("linux.timeOffsets: needs a time namespace of its own");
  }
  for (const auto& [clock, offset] : linux.time_offsets) {
    if (clock != "monotonic" && clock != "boottime") {
      c.complain("linux.timeOffsets: no clock of its own: ", printable(clock), "; there are monotonic and boottime");
    }
    if (offset.nanosecs > 999'999'999)
      c.complain("linux.timeOffsets.", printable(clock), ".nanosecs: beyond 999999999");
  }
}

void check_hooks(Checker& c, const oci::Hooks& hooks) {
  const auto check_kind = [&](const char* kind, const std::vector<oci::Hook>& list) {
    for (size_t i = 0; i < list.size(); ++i) {
      if (!list[i].path.starts_with('/')) {
        c.complain("hooks.", kind, "[", i, "].path: not absolute: ", printable(list[i].path));
      }
      if (list[i].timeout && *list[i].timeout <= 0) c.complain("hooks.", kind, "[", i, "].timeout: not above 0");
    }
  };
  check_kind("prestart", hooks.prestart);
  check_kind("createRuntime", hooks.create_runtime);
  check_kind("createContainer", hooks.create_container);
  check_kind("startContainer", hooks.start_container);
  check_kind("poststart", hooks.poststart);
  check_kind("poststop", hooks.poststop);
}

void check_net_devices(Checker& c, const oci::Linux& linux, const Builder& b) {
  if (linux.net_devices.empty()) return;
  if (!b.has_own(Namespace::network)) c.complain("linux.netDevices: needs a network namespace of its own");
  // netdevice(7): 15 bytes, no slash, no space; "%d" is a number that the kernel chooses.
  const auto is_name = [](std::string_view name) {
    return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
           name.find_first_of("/: \t\n\v\f\r") == std::string_view::npos && printable(name) == name;
  };
  for (const auto& [name, device] : linux.net_devices) {
    if (!is_name(name)) c.complain("linux.netDevices: no name of an interface: ", printable(name));
    if (!device.name.empty() && !is_name(device.name)) {
      c.complain("linux.netDevices.", printable(name), ".name: no name of an interface: ", printable(device.name));
    }
  }
}

void check_seccomp(Checker& c, const std::optional<oci::Seccomp>& seccomp) {
  if (!seccomp) return;
  for (size_t i = 0; i < seccomp->syscalls.size(); ++i) {
    if (seccomp->syscalls[i].names.empty())
      c.complain("linux.seccomp.syscalls[", i, "].names: must contain at least one");
  }
  const bool notifies = std::any_of(seccomp->syscalls.begin(), seccomp->syscalls.end(),
                                    [](const oci::SeccompRule& rule) { return rule.action == "SCMP_ACT_NOTIFY"; });
  const std::string path = seccomp->listener_path.value_or("");
  if (notifies && path.empty()) c.complain("linux.seccomp.listenerPath: missing, though a rule says SCMP_ACT_NOTIFY");
  if (!path.empty() && !path.starts_with('/')) {
    c.complain("linux.seccomp.listenerPath: not absolute: ", printable(path));
  }
}

}  // namespace

std::optional<Namespace> sysctl_namespace(std::string_view key) {
  // Dots separate, unless a slash comes first; which of the two does not change the owner.
  std::string name(key);
  std::replace(name.begin(), name.end(), '/', '.');
  if (name.starts_with("net.")) return Namespace::network;
  if (name.starts_with("fs.mqueue.") || name.starts_with("kernel.shm") || name.starts_with("kernel.msg") ||
      name == "kernel.sem") {
    return Namespace::ipc;
  }
  if (name == "kernel.hostname" || name == "kernel.domainname") return Namespace::uts;
  return std::nullopt;
}

std::vector<std::string> check(const oci::Config& config, const sys::Host& host) {
  const Builder b(config, host, {});
  Checker c;
  check_namespaces(c, config.linux, host);
  check_ids(c, config, b);
  check_root(c, config, host);
  check_attributes(c, config.process);
  check_mounts(c, config, b);
  check_devices(c, config.linux.devices);
  check_sysctls(c, config, b);
  check_names(c, config, b);
  check_time(c, config.linux, b);
  check_hooks(c, config.hooks);
  check_net_devices(c, config.linux, b);
  check_seccomp(c, config.linux.seccomp);
  if (config.linux.intel_rdt) {
    for (const std::string& complaint : check_resctrl(*config.linux.intel_rdt)) c.complain(complaint);
  }
  if (config.linux.memory_policy) c.expect(memory_policy_of(*config.linux.memory_policy), "linux.memoryPolicy");
  if (config.linux.personality) c.expect(persona_of(*config.linux.personality), "linux.personality");
  return std::move(c).take();
}

std::vector<std::string> check_process(const oci::Process& process) {
  Checker c;
  check_attributes(c, process);
  return std::move(c).take();
}

}  // namespace moss::runtime
