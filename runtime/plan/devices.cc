// Device nodes.
//
// Real root makes them. In a user namespace nobody may, so the host's own are bound over empty files; the same happens
// where the device cgroup forbids mknod(2). Whoever binds the host's /dev wants it as it is: nothing below it is
// touched. Spec: config-linux.md "Devices", "Default Devices".
#include <sys/stat.h>

#include <algorithm>

#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

struct DefaultDevice {
  const char* path;
  uint32_t major;
  uint32_t minor;
};

constexpr DefaultDevice kDefaultDevices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                                             {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};

constexpr uint32_t kDefaultMode = 0666;

uint32_t node_type(const oci::Device& device) {
  if (device.type == "p") return S_IFIFO;
  return device.type == "b" ? S_IFBLK : S_IFCHR;
}

bool binds_dev(const oci::Config& config) {
  return std::any_of(config.mounts.begin(), config.mounts.end(), [](const oci::Mount& mount) {
    return clean_path(mount.destination) == "/dev" && (mount.type == "bind" || parse_mount_options(mount.options).bind);
  });
}

bool is_below_dev(std::string_view path) { return path == "/dev" || path.starts_with("/dev/"); }

void bind_device(Builder& b, const PrepareDevice& device) {
  b.then(device);
  b.then(Attach{.slot = Builder::kLateSlot, .destination = device.source});
}

void plan_default_device(Builder& b, const DefaultDevice& device) {
  if (b.is_real_root()) {
    b.then(MakeNode{.path = device.path,
                    .mode = S_IFCHR | kDefaultMode,
                    .major = device.major,
                    .minor = device.minor,
                    .uid = 0,
                    .gid = 0,
                    .or_bind = true});
  } else {
    bind_device(b, {.slot = Builder::kLateSlot,
                    .source = device.path,
                    .type = S_IFCHR,
                    .major = device.major,
                    .minor = device.minor});
  }
}

void plan_device(Builder& b, const oci::Device& device) {
  const char* path = b.text(clean_path(device.path));
  const uint32_t type = node_type(device);
  const auto major = static_cast<uint32_t>(device.major);
  const auto minor = static_cast<uint32_t>(device.minor);
  if (b.is_real_root() || type == S_IFIFO) {
    // fileMode may come as stat(2) gives it, with the type.
    b.then(MakeNode{.path = path,
                    .mode = type | (device.file_mode.value_or(kDefaultMode) & 07777),
                    .major = major,
                    .minor = minor,
                    .uid = device.uid.value_or(0),
                    .gid = device.gid.value_or(0),
                    .or_bind = false});
  } else {
    bind_device(b, {.slot = Builder::kLateSlot, .source = path, .type = type, .major = major, .minor = minor});
  }
}

}  // namespace

Result<Ok> plan_devices(Builder& b) {
  const std::vector<oci::Device>& devices = b.config().linux.devices;
  const bool hosts = binds_dev(b.config());
  for (const DefaultDevice& device : kDefaultDevices) {
    const bool listed = std::any_of(devices.begin(), devices.end(),
                                    [&](const oci::Device& other) { return clean_path(other.path) == device.path; });
    if (!hosts && !listed) plan_default_device(b, device);
  }
  for (const oci::Device& device : devices) {
    if (!hosts || !is_below_dev(clean_path(device.path))) plan_device(b, device);
  }
  if (!hosts) {
    b.then(Symlink{"/proc/self/fd", "/dev/fd"});
    b.then(Symlink{"/proc/self/fd/0", "/dev/stdin"});
    b.then(Symlink{"/proc/self/fd/1", "/dev/stdout"});
    b.then(Symlink{"/proc/self/fd/2", "/dev/stderr"});
    b.then(Symlink{"/proc/kcore", "/dev/core"});
    b.then(Symlink{"pts/ptmx", "/dev/ptmx"});
  }
  if (b.config().process.terminal) {
    const oci::ConsoleSize size = b.config().process.console_size.value_or(oci::ConsoleSize{});
    b.then(OpenTerminal{.rows = static_cast<uint16_t>(size.height),
                        .columns = static_cast<uint16_t>(size.width),
                        .console = true,
                        .uid = b.config().process.user.uid});
  }
  return Ok{};
}

}  // namespace moss::runtime
