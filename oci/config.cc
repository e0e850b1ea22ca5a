// config.json: the spec's names for the members of Config, in the order in which the spec tells of them.
// Spec: runtime-spec config.md and config-linux.md, version 1.3.
#include "moss/oci/config.hh"

#include <algorithm>

#include "json_table.hh"

namespace moss::oci {

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 9 && (text == "0" || text.front() != '0') &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// What may follow '-' or '+' in a version: identifiers of letters, digits and hyphens, with dots between.
bool is_version_suffix(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '.');
  return !parts.empty() && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
    return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
  });
}

/// SemVer 2.0.0 with major version 1: later minor versions only add what an older reader may ignore.
bool is_version_1(std::string_view text) {
  const auto [version, build] = cut(text, '+');
  const auto [core, pre_release] = cut(version, '-');
  const std::vector<std::string_view> numbers = split(core, '.');
  return numbers.size() == 3 && numbers[0] == "1" && is_number(numbers[1]) && is_number(numbers[2]) &&
         (!pre_release || is_version_suffix(*pre_release)) && (!build || is_version_suffix(*build));
}

constexpr Rule kVersion1 = {"a runtime-spec version 1.x, such as \"1.2.0\"", &is_version_1};

}  // namespace

template <>
inline constexpr auto fields<IdRange> =
    std::tuple(required("containerID", &IdRange::inside), required("hostID", &IdRange::outside),
               required("size", &IdRange::count, kNotZero));

template <>
inline constexpr auto fields<Root> = std::tuple(required("path", &Root::path), optional("readonly", &Root::readonly));

template <>
inline constexpr auto fields<Mount> =
    std::tuple(required("destination", &Mount::destination), optional("type", &Mount::type),
               optional("source", &Mount::source), optional("options", &Mount::options),
               optional("uidMappings", &Mount::uid_mappings), optional("gidMappings", &Mount::gid_mappings));

template <>
inline constexpr auto fields<ConsoleSize> =
    std::tuple(required("height", &ConsoleSize::height), required("width", &ConsoleSize::width));

// Go's readers take an absent uid or gid as 0, and so do their users.
template <>
inline constexpr auto fields<User> =
    std::tuple(written("uid", &User::uid), written("gid", &User::gid), optional("umask", &User::umask),
               optional("additionalGids", &User::additional_gids));

template <>
inline constexpr auto fields<Capabilities> =
    std::tuple(optional("bounding", &Capabilities::bounding), optional("effective", &Capabilities::effective),
               optional("inheritable", &Capabilities::inheritable), optional("permitted", &Capabilities::permitted),
               optional("ambient", &Capabilities::ambient));

template <>
inline constexpr auto fields<Rlimit> =
    std::tuple(required("type", &Rlimit::type), required("hard", &Rlimit::hard), required("soft", &Rlimit::soft));

template <>
inline constexpr auto fields<Scheduler> =
    std::tuple(required("policy", &Scheduler::policy), optional("nice", &Scheduler::nice),
               optional("priority", &Scheduler::priority), optional("flags", &Scheduler::flags),
               optional("runtime", &Scheduler::runtime), optional("deadline", &Scheduler::deadline),
               optional("period", &Scheduler::period));

template <>
inline constexpr auto fields<IoPriority> =
    std::tuple(required("class", &IoPriority::io_class), written("priority", &IoPriority::priority));

template <>
inline constexpr auto fields<ExecCpuAffinity> =
    std::tuple(optional("initial", &ExecCpuAffinity::initial), optional("final", &ExecCpuAffinity::final));

template <>
inline constexpr auto fields<Process> = std::tuple(
    optional("terminal", &Process::terminal), optional("consoleSize", &Process::console_size),
    optional("user", &Process::user), optional("args", &Process::args), optional("env", &Process::env),
    required("cwd", &Process::cwd), optional("capabilities", &Process::capabilities),
    optional("rlimits", &Process::rlimits), optional("noNewPrivileges", &Process::no_new_privileges),
    optional("oomScoreAdj", &Process::oom_score_adj), optional("apparmorProfile", &Process::apparmor_profile),
    optional("selinuxLabel", &Process::selinux_label), optional("scheduler", &Process::scheduler),
    optional("ioPriority", &Process::io_priority), optional("execCPUAffinity", &Process::exec_cpu_affinity));

template <>
inline constexpr auto fields<Hook> = std::tuple(required("path", &Hook::path), optional("args", &Hook::args),
                                                optional("env", &Hook::env), optional("timeout", &Hook::timeout));

template <>
inline constexpr auto fields<Hooks> = std::tuple(
    optional("prestart", &Hooks::prestart), optional("createRuntime", &Hooks::create_runtime),
    optional("createContainer", &Hooks::create_container), optional("startContainer", &Hooks::start_container),
    optional("poststart", &Hooks::poststart), optional("poststop", &Hooks::poststop));

template <>
inline constexpr auto fields<Namespace> =
    std::tuple(required("type", &Namespace::type), optional("path", &Namespace::path));

template <>
inline constexpr auto fields<TimeOffset> =
    std::tuple(optional("secs", &TimeOffset::secs), optional("nanosecs", &TimeOffset::nanosecs));

template <>
inline constexpr auto fields<Device> =
    std::tuple(required("type", &Device::type), required("path", &Device::path), written("major", &Device::major),
               written("minor", &Device::minor), optional("fileMode", &Device::file_mode),
               optional("uid", &Device::uid), optional("gid", &Device::gid));

template <>
inline constexpr auto fields<DeviceRule> = std::tuple(
    required("allow", &DeviceRule::allow), optional("type", &DeviceRule::type), optional("major", &DeviceRule::major),
    optional("minor", &DeviceRule::minor), optional("access", &DeviceRule::access));

template <>
inline constexpr auto fields<MemoryLimits> =
    std::tuple(optional("limit", &MemoryLimits::limit), optional("reservation", &MemoryLimits::reservation),
               optional("swap", &MemoryLimits::swap), optional("kernel", &MemoryLimits::kernel),
               optional("kernelTCP", &MemoryLimits::kernel_tcp), optional("swappiness", &MemoryLimits::swappiness),
               optional("disableOOMKiller", &MemoryLimits::disable_oom_killer),
               optional("useHierarchy", &MemoryLimits::use_hierarchy),
               optional("checkBeforeUpdate", &MemoryLimits::check_before_update));

template <>
inline constexpr auto fields<CpuLimits> = std::tuple(
    optional("shares", &CpuLimits::shares), optional("quota", &CpuLimits::quota), optional("burst", &CpuLimits::burst),
    optional("period", &CpuLimits::period), optional("realtimeRuntime", &CpuLimits::realtime_runtime),
    optional("realtimePeriod", &CpuLimits::realtime_period), optional("cpus", &CpuLimits::cpus),
    optional("mems", &CpuLimits::mems), optional("idle", &CpuLimits::idle));

template <>
inline constexpr auto fields<PidsLimits> = std::tuple(optional("limit", &PidsLimits::limit));

template <>
inline constexpr auto fields<WeightDevice> =
    std::tuple(required("major", &WeightDevice::major), required("minor", &WeightDevice::minor),
               optional("weight", &WeightDevice::weight), optional("leafWeight", &WeightDevice::leaf_weight));

template <>
inline constexpr auto fields<ThrottleDevice> =
    std::tuple(required("major", &ThrottleDevice::major), required("minor", &ThrottleDevice::minor),
               required("rate", &ThrottleDevice::rate));

template <>
inline constexpr auto fields<BlockIoLimits> =
    std::tuple(optional("weight", &BlockIoLimits::weight), optional("leafWeight", &BlockIoLimits::leaf_weight),
               optional("weightDevice", &BlockIoLimits::weight_devices),
               optional("throttleReadBpsDevice", &BlockIoLimits::read_bps),
               optional("throttleWriteBpsDevice", &BlockIoLimits::write_bps),
               optional("throttleReadIOPSDevice", &BlockIoLimits::read_iops),
               optional("throttleWriteIOPSDevice", &BlockIoLimits::write_iops));

template <>
inline constexpr auto fields<HugepageLimit> =
    std::tuple(required("pageSize", &HugepageLimit::page_size), required("limit", &HugepageLimit::limit));

template <>
inline constexpr auto fields<InterfacePriority> =
    std::tuple(required("name", &InterfacePriority::name), required("priority", &InterfacePriority::priority));

template <>
inline constexpr auto fields<NetworkLimits> =
    std::tuple(optional("classID", &NetworkLimits::class_id), optional("priorities", &NetworkLimits::priorities));

template <>
inline constexpr auto fields<RdmaLimit> =
    std::tuple(optional("hcaHandles", &RdmaLimit::hca_handles), optional("hcaObjects", &RdmaLimit::hca_objects));

template <>
inline constexpr auto fields<Resources> = std::tuple(
    optional("devices", &Resources::devices), optional("memory", &Resources::memory), optional("cpu", &Resources::cpu),
    optional("pids", &Resources::pids), optional("blockIO", &Resources::block_io),
    optional("hugepageLimits", &Resources::hugepage_limits), optional("network", &Resources::network),
    optional("rdma", &Resources::rdma), optional("unified", &Resources::unified));

template <>
inline constexpr auto fields<SeccompArg> =
    std::tuple(required("index", &SeccompArg::index), required("value", &SeccompArg::value),
               optional("valueTwo", &SeccompArg::value_two), required("op", &SeccompArg::op));

template <>
inline constexpr auto fields<SeccompRule> =
    std::tuple(required("names", &SeccompRule::names), required("action", &SeccompRule::action),
               optional("errnoRet", &SeccompRule::errno_ret), optional("args", &SeccompRule::args));

template <>
inline constexpr auto fields<Seccomp> = std::tuple(
    required("defaultAction", &Seccomp::default_action), optional("defaultErrnoRet", &Seccomp::default_errno_ret),
    optional("architectures", &Seccomp::architectures), optional("flags", &Seccomp::flags),
    optional("listenerPath", &Seccomp::listener_path), optional("listenerMetadata", &Seccomp::listener_metadata),
    optional("syscalls", &Seccomp::syscalls));

template <>
inline constexpr auto fields<Personality> =
    std::tuple(required("domain", &Personality::domain), optional("flags", &Personality::flags));

template <>
inline constexpr auto fields<NetDevice> = std::tuple(optional("name", &NetDevice::name));

template <>
inline constexpr auto fields<MemoryPolicy> =
    std::tuple(required("mode", &MemoryPolicy::mode), optional("nodes", &MemoryPolicy::nodes),
               optional("flags", &MemoryPolicy::flags));

template <>
inline constexpr auto fields<IntelRdt> =
    std::tuple(optional("closID", &IntelRdt::clos_id), optional("schemata", &IntelRdt::schemata),
               optional("l3CacheSchema", &IntelRdt::l3_cache_schema), optional("memBwSchema", &IntelRdt::mem_bw_schema),
               optional("enableMonitoring", &IntelRdt::enable_monitoring));

template <>
inline constexpr auto fields<Linux> =
    std::tuple(optional("namespaces", &Linux::namespaces), optional("uidMappings", &Linux::uid_mappings),
               optional("gidMappings", &Linux::gid_mappings), optional("timeOffsets", &Linux::time_offsets),
               optional("devices", &Linux::devices), optional("cgroupsPath", &Linux::cgroups_path),
               optional("rootfsPropagation", &Linux::rootfs_propagation), optional("resources", &Linux::resources),
               optional("seccomp", &Linux::seccomp), optional("sysctl", &Linux::sysctl),
               optional("maskedPaths", &Linux::masked_paths), optional("readonlyPaths", &Linux::readonly_paths),
               optional("mountLabel", &Linux::mount_label), optional("personality", &Linux::personality),
               optional("netDevices", &Linux::net_devices), optional("memoryPolicy", &Linux::memory_policy),
               optional("intelRdt", &Linux::intel_rdt));

template <>
inline constexpr auto fields<Config> =
    std::tuple(required("ociVersion", &Config::oci_version, kVersion1), optional("process", &Config::process),
               required("root", &Config::root), optional("hostname", &Config::hostname),
               optional("domainname", &Config::domainname), optional("mounts", &Config::mounts),
               optional("annotations", &Config::annotations), optional("hooks", &Config::hooks),
               optional("linux", &Config::linux));

Result<Config> decode_config(std::string_view json) { return decode<Config>("config.json", json); }
std::string encode_config(const Config& config) { return encode(config, JsonWriter::Style::indented); }

Result<Process> decode_process(std::string_view json) { return decode<Process>("process", json); }

namespace {
struct WithMounts {
  std::vector<Mount> mounts;
};
}  // namespace

template <>
inline constexpr auto fields<WithMounts> = std::tuple(required("mounts", &WithMounts::mounts));

Result<std::vector<Mount>> decode_mounts(std::string_view json) {
  const std::string_view text = trim(json);
  if (!text.starts_with('{')) return decode<std::vector<Mount>>("mounts", text);
  return std::move(TRY(decode<WithMounts>("mounts", text)).mounts);
}

Result<Resources> decode_resources(std::string_view json) { return decode<Resources>("resources", json); }

}  // namespace moss::oci
