// A bundle's config.json (runtime-spec config.md and config-linux.md) as structs. Our names here, the spec's names in
// the tables of oci/config.cc, which decode, encode and name the JSON path of an error.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/oci/seccomp.hh"

namespace moss::oci {

using Annotations = std::map<std::string, std::string>;

/// config.md "Root".
struct Root {
  std::string path;  ///< absolute, or relative to the bundle
  bool readonly = false;
};

/// config.md "Mounts".
struct Mount {
  std::string destination;  ///< absolute path inside
  std::string type;         ///< "proc", "tmpfs", "overlay", …; empty or "bind" with a bind option
  std::string source;
  std::vector<std::string> options;
  std::vector<IdRange> uid_mappings;  ///< idmapped mount; both or neither
  std::vector<IdRange> gid_mappings;
};

/// config.md "User".
struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::optional<uint32_t> umask;
  std::vector<uint32_t> additional_gids;
};

/// config.md "LinuxCapabilities": names as "CAP_CHOWN".
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;
};

struct Rlimit {
  std::string type;  ///< "RLIMIT_NOFILE", …
  uint64_t hard = 0;
  uint64_t soft = 0;
};

struct ConsoleSize {
  uint32_t height = 0;  ///< rows
  uint32_t width = 0;   ///< columns
};

/// config.md "Process".
struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;  ///< "NAME=value"
  std::string cwd = "/";
  std::optional<Capabilities> capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::optional<int> oom_score_adj;
  std::string apparmor_profile;
  std::string selinux_label;
};

/// config-linux.md "Namespaces". An empty path asks for a new one.
struct Namespace {
  std::string type;  ///< "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"
  std::string path;
};

/// config-linux.md "Devices".
struct Device {
  std::string type;  ///< "c", "b", "u", "p"
  std::string path;
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint32_t> file_mode;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
};

struct TimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdRange> uid_mappings;
  std::vector<IdRange> gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;  ///< "monotonic", "boottime"
  std::vector<Device> devices;
  std::string cgroups_path;
  std::string rootfs_propagation;
  std::optional<Seccomp> seccomp;
  std::map<std::string, std::string> sysctl;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
};

struct Config {
  std::string oci_version = "1.2.0";
  Root root;
  std::vector<Mount> mounts;
  Process process;
  std::string hostname;
  std::string domainname;
  Annotations annotations;
  Linux linux;
};

/// Reads a config.json. Pure. Unknown properties are ignored, as the spec demands; a wrong type or value is an error
/// that names its JSON path ("config.json: linux.uidMappings[0].hostID: expected an integer in 0..2^32-1, found string").
Result<Config> decode_config(std::string_view json);
/// The config as JSON, indented for people; absent members are left out.
std::string encode_config(const Config& config);

}  // namespace moss::oci
