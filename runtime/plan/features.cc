// `features`, from the same tables that decode, check and plan a config.
#include "moss/runtime/features.hh"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moss/oci/state.hh"
#include "moss/runtime/capabilities.hh"
#include "moss/runtime/cgroup.hh"
#include "moss/runtime/plan.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/host.hh"
#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

// The least that can be planned.
oci::Config plain_config() {
  oci::Config config;
  config.root.path = "/rootfs";
  config.process.args = {"true"};
  for (const char* type : {"user", "mount", "pid", "network"}) config.linux.namespaces.push_back({type, ""});
  config.linux.uid_mappings = config.linux.gid_mappings = {{.inside = 0, .outside = 1000, .count = 1}};
  return config;
}

// Whether a config that wants it can be planned here.
template <typename Change>
oci::Enabled plans(const sys::Host& host, const Change& change) {
  oci::Config config = plain_config();
  change(config);
  return {plan(config, host, {.bundle = "/"}).ok()};
}

// A flag that the kernel knows makes it look at the filter, of which there is none; another one is refused before.
std::vector<std::string> supported_flags(const std::vector<SeccompFlag>& flags) {
  std::vector<std::string> names;
  for (const SeccompFlag& flag : flags) {
    unsigned bits = flag.flag;
    // It is for listeners only.
    if (bits == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) bits |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, bits, nullptr) != 0 && errno == EFAULT) {
      names.emplace_back(flag.name);
    }
  }
  return names;
}

oci::SeccompFeatures seccomp_features() {
  const SeccompWords words = seccomp_words();
  oci::SeccompFeatures features{
      .enabled = true, .actions = words.actions, .operators = words.operators, .archs = words.archs};
  for (const SeccompFlag& flag : words.flags) features.known_flags.emplace_back(flag.name);
  features.supported_flags = supported_flags(words.flags);
  return features;
}

}  // namespace

Result<oci::Features> features() {
  const sys::Host host = TRY(sys::probe_host());
  oci::Features found;
  found.oci_version_max = oci::kSpecVersion;
  found.hooks = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};
  found.mount_options = known_mount_options();
  oci::LinuxFeatures& linux = found.linux;
  for (const char* name : {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"}) {
    if (parse_namespace(name)) linux.namespaces.emplace_back(name);
  }
  linux.capabilities = all_capabilities();
  const bool systemd = parse_cgroup_manager("systemd").has_value();
  linux.cgroup = {.v1 = true, .v2 = true, .systemd = systemd, .systemd_user = systemd, .rdma = true};
  linux.seccomp = seccomp_features();
  linux.apparmor = plans(host, [](oci::Config& c) { c.process.apparmor_profile = "unconfined"; });
  linux.selinux = plans(host, [](oci::Config& c) { c.process.selinux_label = "a:b:c:d"; });
  linux.mount_extensions.idmap = plans(host, [](oci::Config& c) {
    const std::vector<IdRange> map = {{.inside = 0, .outside = 1000, .count = 1}};
    c.mounts = {{.destination = "/m",
                 .type = "bind",
                 .source = "/",
                 .options = {"bind"},
                 .uid_mappings = map,
                 .gid_mappings = map}};
  });
  linux.intel_rdt = plans(host, [](oci::Config& c) { c.linux.intel_rdt = oci::IntelRdt{.clos_id = "x"}; });
  linux.net_devices = plans(host, [](oci::Config& c) { c.linux.net_devices["eth0"]; });
  for (const char* mode : {"MPOL_DEFAULT", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE", "MPOL_PREFERRED",
                           "MPOL_PREFERRED_MANY", "MPOL_LOCAL"}) {
    const bool takes_nodes = std::string_view(mode) != "MPOL_DEFAULT" && std::string_view(mode) != "MPOL_LOCAL";
    const auto works = plans(host, [&](oci::Config& c) {
      c.linux.memory_policy = oci::MemoryPolicy{.mode = mode, .nodes = takes_nodes ? "0" : ""};
    });
    if (works.enabled) linux.memory_policy.modes.emplace_back(mode);
  }
  for (const char* flag : {"MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES", "MPOL_F_NUMA_BALANCING"}) {
    const auto works = plans(host, [&](oci::Config& c) {
      c.linux.memory_policy = oci::MemoryPolicy{.mode = "MPOL_BIND", .nodes = "0", .flags = {flag}};
    });
    if (works.enabled) linux.memory_policy.flags.emplace_back(flag);
  }
  // They reach the unit that systemd makes for the container; one that ends with a dot is a prefix.
  found.unsafe_annotations = {"org.systemd.property.", "run.oci.systemd.subgroup"};
  return found;
}

}  // namespace moss::runtime
