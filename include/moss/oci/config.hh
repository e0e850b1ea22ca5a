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
  bool operator==(const Root&) const = default;
};

/// config.md "Mounts".
struct Mount {
  std::string destination;  ///< absolute path inside
  std::string type;         ///< "proc", "tmpfs", "overlay", …; empty or "bind" with a bind option
  std::string source;
  std::vector<std::string> options;
  std::vector<IdRange> uid_mappings;  ///< idmapped mount; both or neither
  std::vector<IdRange> gid_mappings;
  bool operator==(const Mount&) const = default;
};

/// config.md "User".
struct User {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::optional<uint32_t> umask;
  std::vector<uint32_t> additional_gids;
  bool operator==(const User&) const = default;
};

/// config.md "LinuxCapabilities": names as "CAP_CHOWN".
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;
  bool operator==(const Capabilities&) const = default;
};

struct Rlimit {
  std::string type;  ///< "RLIMIT_NOFILE", …
  uint64_t hard = 0;
  uint64_t soft = 0;
  bool operator==(const Rlimit&) const = default;
};

struct ConsoleSize {
  uint32_t height = 0;  ///< rows
  uint32_t width = 0;   ///< columns
  bool operator==(const ConsoleSize&) const = default;
};

/// config.md "Scheduler": see sched_setattr(2).
struct Scheduler {
  std::string policy;  ///< "SCHED_OTHER", …
  int32_t nice = 0;
  int32_t priority = 0;
  std::vector<std::string> flags;  ///< "SCHED_FLAG_RESET_ON_FORK", …
  uint64_t runtime = 0;            ///< nanoseconds, as are the next two; SCHED_DEADLINE alone uses them
  uint64_t deadline = 0;
  uint64_t period = 0;
  bool operator==(const Scheduler&) const = default;
};

/// config.md "IOPriority": see ioprio_set(2).
struct IoPriority {
  std::string io_class;  ///< "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"
  int32_t priority = 0;
  bool operator==(const IoPriority&) const = default;
};

/// config.md "execCPUAffinity": CPU lists such as "0-3,7".
struct ExecCpuAffinity {
  std::string initial;  ///< before the process is in the container's cgroup
  std::string final;    ///< after
  bool operator==(const ExecCpuAffinity&) const = default;
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
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<ExecCpuAffinity> exec_cpu_affinity;
  bool operator==(const Process&) const = default;
};

/// config.md "POSIX-platform Hooks". One program to run at a point of the container's life.
struct Hook {
  std::string path;                             ///< absolute
  std::vector<std::string> args;                ///< with args[0]; empty means {path}
  std::optional<std::vector<std::string>> env;  ///< absent: that of the process that runs it
  std::optional<int> timeout;                   ///< seconds, above 0
  bool operator==(const Hook&) const = default;
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
  bool operator==(const Hooks&) const = default;
};

/// config-linux.md "Namespaces". An empty path asks for a new one.
struct Namespace {
  std::string type;  ///< "pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"
  std::string path;
  bool operator==(const Namespace&) const = default;
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
  bool operator==(const Device&) const = default;
};

struct TimeOffset {
  int64_t secs = 0;
  uint32_t nanosecs = 0;
  bool operator==(const TimeOffset&) const = default;
};

/// config-linux.md "Allowed Device list". Absent numbers mean all of them.
struct DeviceRule {
  bool allow = false;
  std::string type;  ///< "a", "c", "b"
  std::optional<int64_t> major;
  std::optional<int64_t> minor;
  std::string access;  ///< of "rwm"
  bool operator==(const DeviceRule&) const = default;
};

/// config-linux.md "Memory": bytes, -1 for no limit.
struct MemoryLimits {
  std::optional<int64_t> limit;
  std::optional<int64_t> reservation;
  std::optional<int64_t> swap;  ///< memory and swap together
  std::optional<int64_t> kernel;
  std::optional<int64_t> kernel_tcp;
  std::optional<uint64_t> swappiness;  ///< 0..100
  std::optional<bool> disable_oom_killer;
  std::optional<bool> use_hierarchy;
  std::optional<bool> check_before_update;
  bool operator==(const MemoryLimits&) const = default;
};

/// config-linux.md "CPU": times in microseconds.
struct CpuLimits {
  std::optional<uint64_t> shares;
  std::optional<int64_t> quota;
  std::optional<uint64_t> burst;
  std::optional<uint64_t> period;
  std::optional<int64_t> realtime_runtime;
  std::optional<uint64_t> realtime_period;
  std::string cpus;  ///< a list such as "0-3,7"
  std::string mems;
  std::optional<int64_t> idle;
  bool operator==(const CpuLimits&) const = default;
};

struct PidsLimits {
  std::optional<int64_t> limit;  ///< -1 for no limit
  bool operator==(const PidsLimits&) const = default;
};

struct WeightDevice {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint16_t> weight;
  std::optional<uint16_t> leaf_weight;
  bool operator==(const WeightDevice&) const = default;
};

struct ThrottleDevice {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;  ///< bytes or operations a second
  bool operator==(const ThrottleDevice&) const = default;
};

/// config-linux.md "Block IO".
struct BlockIoLimits {
  std::optional<uint16_t> weight;
  std::optional<uint16_t> leaf_weight;
  std::vector<WeightDevice> weight_devices;
  std::vector<ThrottleDevice> read_bps;
  std::vector<ThrottleDevice> write_bps;
  std::vector<ThrottleDevice> read_iops;
  std::vector<ThrottleDevice> write_iops;
  bool operator==(const BlockIoLimits&) const = default;
};

struct HugepageLimit {
  std::string page_size;  ///< "2MB"
  uint64_t limit = 0;     ///< bytes
  bool operator==(const HugepageLimit&) const = default;
};

struct InterfacePriority {
  std::string name;
  uint32_t priority = 0;
  bool operator==(const InterfacePriority&) const = default;
};

struct NetworkLimits {
  std::optional<uint32_t> class_id;
  std::vector<InterfacePriority> priorities;
  bool operator==(const NetworkLimits&) const = default;
};

struct RdmaLimit {
  std::optional<uint32_t> hca_handles;
  std::optional<uint32_t> hca_objects;
  bool operator==(const RdmaLimit&) const = default;
};

/// config-linux.md "Control groups": what the container's cgroup is told.
struct Resources {
  std::vector<DeviceRule> devices;
  std::optional<MemoryLimits> memory;
  std::optional<CpuLimits> cpu;
  std::optional<PidsLimits> pids;
  std::optional<BlockIoLimits> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<NetworkLimits> network;
  std::map<std::string, RdmaLimit> rdma;       ///< by device
  std::map<std::string, std::string> unified;  ///< cgroup v2: file name to content
  bool operator==(const Resources&) const = default;
};

/// config-linux.md "Personality".
struct Personality {
  std::string domain;  ///< "LINUX", "LINUX32"
  std::vector<std::string> flags;
  bool operator==(const Personality&) const = default;
};

/// config-linux.md "Network Devices": a host interface moved into the container.
struct NetDevice {
  std::string name;  ///< inside; empty keeps the host's name
  bool operator==(const NetDevice&) const = default;
};

/// config-linux.md "Memory policy": see set_mempolicy(2).
struct MemoryPolicy {
  std::string mode;   ///< "MPOL_BIND", …
  std::string nodes;  ///< a list such as "0-3,7"
  std::vector<std::string> flags;
  bool operator==(const MemoryPolicy&) const = default;
};

/// config-linux.md "IntelRdt": a group of the kernel's resctrl filesystem.
struct IntelRdt {
  std::string clos_id;  ///< name of the group; "/" is the one everything is in; empty means the container's id
  std::vector<std::string> schemata;  ///< "L3:0=ff"
  std::string l3_cache_schema;        ///< older: lines of schemata
  std::string mem_bw_schema;
  bool enable_monitoring = false;
  bool operator==(const IntelRdt&) const = default;
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
  std::optional<Resources> resources;
  std::optional<Personality> personality;
  std::map<std::string, NetDevice> net_devices;  ///< by the host's name
  std::optional<MemoryPolicy> memory_policy;
  std::optional<IntelRdt> intel_rdt;
  bool operator==(const Linux&) const = default;
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
  Hooks hooks;
  bool operator==(const Config&) const = default;
};

/// Reads a config.json. Pure. Unknown properties are ignored, as the spec demands; a wrong type or value is an error
/// that names its JSON path ("config.json: linux.uidMappings[0].hostID: expected an integer in 0..2^32-1, found
/// string"). Also refused: an ociVersion other than 1.x, a property given twice, text with a NUL byte, more than 64
/// levels. What needs more than one property or the host to judge is left to the runtime's checks. The caller limits
/// the size.
Result<Config> decode_config(std::string_view json);
/// The config as JSON, indented for people; absent members are left out.
/// decode_config gives back the same config, unless it holds text that is not UTF-8 (each bad byte becomes U+FFFD) or
/// with a NUL byte (refused).
std::string encode_config(const Config& config);

/// The "process" object alone, as `exec --process FILE` reads it. Errors begin with "process:".
Result<Process> decode_process(std::string_view json);

/// The "mounts" array alone, or any object that has one, such as a whole config.json. Errors begin with "mounts:".
Result<std::vector<Mount>> decode_mounts(std::string_view json);

/// The "linux.resources" object alone, as `update --resources FILE` reads it. Errors begin with "resources:".
Result<Resources> decode_resources(std::string_view json);

}  // namespace moss::oci
