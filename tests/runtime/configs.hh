// Configs and hosts that tests begin from.
#pragma once

#include <string>
#include <vector>

#include "moss/oci/config.hh"
#include "moss/runtime/capabilities.hh"
#include "moss/runtime/plan.hh"
#include "moss/sys/host.hh"

namespace moss::runtime {

inline const sys::Host kNewHost{.uid = 1001, .gid = 1001, .kernel = {6, 8}, .cgroups = sys::CgroupMode::v2};

/// What the engine asks for by default, in short.
inline oci::Config default_config() {
  oci::Config config;
  config.root.path = "/run/c/rootfs";
  config.hostname = "box";
  config.process.args = {"sh", "-c", "true"};
  config.process.env = {"PATH=/usr/bin:/bin", "HOME=/root"};
  config.process.user.umask = 0022;
  config.process.capabilities = oci::Capabilities{.bounding = default_capabilities(),
                                                  .effective = default_capabilities(),
                                                  .inheritable = {},
                                                  .permitted = default_capabilities(),
                                                  .ambient = {}};
  for (const char* type : {"user", "mount", "pid", "ipc", "uts", "cgroup", "network"}) {
    config.linux.namespaces.push_back({type, ""});
  }
  config.linux.uid_mappings = {{0, 1001, 1}, {1, 100000, 65536}};
  config.linux.gid_mappings = {{0, 1001, 1}, {1, 100000, 65536}};
  config.mounts = {
      {.destination = "/",
       .type = "overlay",
       .source = "overlay",
       .options = {"lowerdir=/data/layers/b:/data/layers/a", "upperdir=/data/c/upper", "workdir=/data/c/work",
                   "userxattr"}},
      {.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}},
      {.destination = "/dev",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}},
      {.destination = "/sys/fs/cgroup",
       .type = "cgroup",
       .source = "cgroup",
       .options = {"nosuid", "noexec", "nodev", "ro"}},
      {.destination = "/dev/pts",
       .type = "devpts",
       .source = "devpts",
       .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = {"nosuid", "noexec", "nodev"}},
      {.destination = "/dev/shm",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "noexec", "nodev", "mode=1777", "size=67108864"}},
      {.destination = "/etc/hosts", .type = "bind", .source = "/run/c/hosts", .options = {"bind", "rprivate"}},
  };
  config.linux.masked_paths = {"/proc/kcore", "/sys/firmware"};
  config.linux.readonly_paths = {"/proc/sys"};
  return config;
}

inline oci::Mount& mount_at(oci::Config& config, const std::string& destination) {
  for (oci::Mount& mount : config.mounts) {
    if (mount.destination == destination) return mount;
  }
  return config.mounts.emplace_back(oci::Mount{.destination = destination});
}

inline void erase_namespace(oci::Config& config, const std::string& type) {
  std::erase_if(config.linux.namespaces, [&](const oci::Namespace& entry) { return entry.type == type; });
}

}  // namespace moss::runtime
