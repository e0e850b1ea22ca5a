// spec: a config.json to begin with.
#include <unistd.h>

#include "moss/runtime/capabilities.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

oci::Config example(bool rootless) {
  oci::Config config;
  config.oci_version = oci::kSpecVersion;
  config.root = {.path = "rootfs", .readonly = true};
  config.hostname = "moss";
  oci::Process& process = config.process;
  process.terminal = true;
  process.args = {"sh"};
  process.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"};
  process.no_new_privileges = true;
  const std::vector<std::string> few = {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"};
  process.capabilities =
      oci::Capabilities{.bounding = few, .effective = few, .inheritable = {}, .permitted = few, .ambient = {}};
  process.rlimits = {{.type = "RLIMIT_NOFILE", .hard = 1024, .soft = 1024}};
  // devpts gives terminals to group 5, which a map of one id does not have.
  std::vector<std::string> devpts = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
  if (!rootless) devpts.emplace_back("gid=5");
  config.mounts = {
      {.destination = "/proc", .type = "proc", .source = "proc"},
      {.destination = "/dev",
       .type = "tmpfs",
       .source = "tmpfs",
       .options = {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {.destination = "/dev/pts", .type = "devpts", .source = "devpts", .options = devpts},
      {.destination = "/dev/shm",
       .type = "tmpfs",
       .source = "shm",
       .options = {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
      {.destination = "/dev/mqueue", .type = "mqueue", .source = "mqueue", .options = {"nosuid", "noexec", "nodev"}},
      {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}},
      {.destination = "/sys/fs/cgroup",
       .type = "cgroup",
       .source = "cgroup",
       .options = {"nosuid", "noexec", "nodev", "relatime", "ro"}},
  };
  oci::Linux& linux = config.linux;
  for (const char* type : {"pid", "network", "ipc", "uts", "mount"}) linux.namespaces.push_back({type, ""});
  // As runc has it: with cgroup v1 root's container is shown its own folders all the same.
  if (rootless || sys::exists("/sys/fs/cgroup/cgroup.controllers")) linux.namespaces.push_back({"cgroup", ""});
  linux.masked_paths = {"/proc/acpi",          "/proc/asound",     "/proc/kcore",       "/proc/keys",
                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                        "/sys/firmware",       "/proc/scsi"};
  linux.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  if (rootless) {
    linux.namespaces.push_back({"user", ""});
    linux.uid_mappings = {{.inside = 0, .outside = ::geteuid(), .count = 1}};
    linux.gid_mappings = {{.inside = 0, .outside = ::getegid(), .count = 1}};
  } else {
    linux.resources.emplace().devices = {{.allow = false, .access = "rwm"}};
  }
  return config;
}

}  // namespace

int oci_spec(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  std::string bundle;
  std::string file;
  bool rootless = false;
  Arguments arguments;
  arguments.value("-b,--bundle", bundle, "DIR", "write config.json there (.)")
      .value("-f,--file", file, "FILE", "write it there instead")
      .flag("--rootless", rootless, "for an ordinary user, with the one id that everybody has");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    if (!arguments.words().empty()) return Error(0, "spec takes no container");
    const std::string path = !file.empty() ? file : cat(bundle.empty() ? "." : bundle, "/config.json");
    TRY(sys::create_file(path, oci::encode_config(example(rootless || ::geteuid() != 0))));
    return 0;
  });
}

}  // namespace moss::cli
