// What a runtime can do, as runtime-spec features.md and features-linux.md have it told.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace moss::oci {

struct Enabled {
  bool enabled = false;
};

struct CgroupFeatures {
  bool v1 = false;
  bool v2 = false;
  bool systemd = false;       ///< through the machine's systemd
  bool systemd_user = false;  ///< through the user's
  bool rdma = false;
};

struct SeccompFeatures {
  bool enabled = false;
  std::vector<std::string> actions;
  std::vector<std::string> operators;
  std::vector<std::string> archs;
  std::vector<std::string> known_flags;
  std::vector<std::string> supported_flags;  ///< by this kernel as well
};

struct MemoryPolicyFeatures {
  std::vector<std::string> modes;
  std::vector<std::string> flags;
};

struct MountExtensions {
  Enabled idmap;
};

struct LinuxFeatures {
  std::vector<std::string> namespaces;
  std::vector<std::string> capabilities;
  CgroupFeatures cgroup;
  SeccompFeatures seccomp;
  Enabled apparmor;
  Enabled selinux;
  Enabled intel_rdt;
  MemoryPolicyFeatures memory_policy;
  MountExtensions mount_extensions;
  Enabled net_devices;
};

struct Features {
  std::string oci_version_min = "1.0.0";
  std::string oci_version_max;
  std::vector<std::string> hooks;
  std::vector<std::string> mount_options;
  LinuxFeatures linux;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> unsafe_annotations;  ///< of config.json, that change what a container may do
};

std::string encode_features(const Features& features);

}  // namespace moss::oci
