// The answer of `features`.
#include "moss/oci/features.hh"

#include "json_table.hh"

namespace moss::oci {

template <>
inline constexpr auto fields<Enabled> = std::tuple(written("enabled", &Enabled::enabled));

template <>
inline constexpr auto fields<CgroupFeatures> =
    std::tuple(written("v1", &CgroupFeatures::v1), written("v2", &CgroupFeatures::v2),
               written("systemd", &CgroupFeatures::systemd), written("systemdUser", &CgroupFeatures::systemd_user),
               written("rdma", &CgroupFeatures::rdma));

template <>
inline constexpr auto fields<SeccompFeatures> =
    std::tuple(written("enabled", &SeccompFeatures::enabled), optional("actions", &SeccompFeatures::actions),
               optional("operators", &SeccompFeatures::operators), optional("archs", &SeccompFeatures::archs),
               optional("knownFlags", &SeccompFeatures::known_flags),
               optional("supportedFlags", &SeccompFeatures::supported_flags));

template <>
inline constexpr auto fields<MemoryPolicyFeatures> =
    std::tuple(optional("modes", &MemoryPolicyFeatures::modes), optional("flags", &MemoryPolicyFeatures::flags));

template <>
inline constexpr auto fields<MountExtensions> = std::tuple(written("idmap", &MountExtensions::idmap));

template <>
inline constexpr auto fields<LinuxFeatures> = std::tuple(
    written("namespaces", &LinuxFeatures::namespaces), written("capabilities", &LinuxFeatures::capabilities),
    written("cgroup", &LinuxFeatures::cgroup), written("seccomp", &LinuxFeatures::seccomp),
    written("apparmor", &LinuxFeatures::apparmor), written("selinux", &LinuxFeatures::selinux),
    written("intelRdt", &LinuxFeatures::intel_rdt), optional("memoryPolicy", &LinuxFeatures::memory_policy),
    written("mountExtensions", &LinuxFeatures::mount_extensions), written("netDevices", &LinuxFeatures::net_devices));

template <>
inline constexpr auto fields<Features> = std::tuple(
    required("ociVersionMin", &Features::oci_version_min), required("ociVersionMax", &Features::oci_version_max),
    optional("hooks", &Features::hooks), optional("mountOptions", &Features::mount_options),
    written("linux", &Features::linux), optional("annotations", &Features::annotations),
    optional("potentiallyUnsafeConfigAnnotations", &Features::unsafe_annotations));

std::string encode_features(const Features& features) { return encode(features, JsonWriter::Style::indented); }

}  // namespace moss::oci
