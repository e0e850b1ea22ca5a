// The rootfs, the mounts listed in the config, the devices, and what is hidden again.
//
// Mounts come in the config's order. Masked and read-only paths come after every mount, or a mount could uncover them.
// Spec: config.md "Mounts"; config-linux.md "Default Filesystems", "Default Devices", "Masked Paths",
// "Readonly Paths".
#include <sys/mount.h>

#include <algorithm>

#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

bool is_root(const oci::Mount& mount) { return mount.destination == "/"; }

bool is_bind(const oci::Mount& mount, const MountOptions& options) {
  return options.bind || mount.type == "bind" || mount.type == "rbind";
}

// mount(2)'s flags for what MountRootClassic may be asked for.
unsigned long classic_flags(uint64_t attributes) {
  unsigned long flags = 0;
  if (attributes & MOUNT_ATTR_RDONLY) flags |= MS_RDONLY;
  if (attributes & MOUNT_ATTR_NOSUID) flags |= MS_NOSUID;
  if (attributes & MOUNT_ATTR_NODEV) flags |= MS_NODEV;
  if (attributes & MOUNT_ATTR_NOEXEC) flags |= MS_NOEXEC;
  return flags;
}

// overlay's options for fsconfig(2): lower folders one at a time, topmost first, so that there may be hundreds.
std::vector<std::string> append_lower_dirs_singly(const std::vector<std::string>& data) {
  std::vector<std::string> options;
  for (const std::string& option : data) {
    if (!option.starts_with("lowerdir=")) {
      options.push_back(option);
      continue;
    }
    for (const std::string_view folder : split(std::string_view(option).substr(9), ':')) {
      options.push_back(cat("lowerdir+=", folder));
    }
  }
  return options;
}

// mount(2) takes one page of options. Lower folders share a parent, so they are named relative to it.
std::pair<std::string, std::string> relative_lower_dirs(const std::vector<std::string>& data) {
  std::string parent = "/";
  std::string joined;
  for (const std::string& option : data) {
    if (!joined.empty()) joined += ',';
    if (!option.starts_with("lowerdir=")) {
      joined += option;
      continue;
    }
    const std::vector<std::string_view> folders = split(std::string_view(option).substr(9), ':');
    parent = folders.front().substr(0, folders.front().find_last_of('/') + 1);
    const bool shared = std::all_of(folders.begin(), folders.end(), [&](auto f) { return f.starts_with(parent); });
    joined += "lowerdir=";
    for (const std::string_view folder : folders) {
      if (joined.back() != '=') joined += ':';
      joined += shared ? folder.substr(parent.size()) : folder;
    }
  }
  return {joined, parent};
}

}  // namespace

Result<Ok> plan_rootfs(Builder& b) {
  const std::string& path = b.config().root.path;
  const std::string root = path.starts_with('/') ? path : cat(b.options().bundle, '/', path);
  for (const oci::Mount& mount : b.config().mounts) {
    if (!is_root(mount)) continue;
    const MountOptions options = parse_mount_options(mount.options);
    if (is_bind(mount, options)) return Error(0, "mounts: a bind mount over / is not supported; set root.path instead");
    if (mount.type == "overlay" && !b.host().has_overlay_lowerdir_append()) {
      const auto [data, parent] = relative_lower_dirs(options.data);
      b.then(MountRootClassic{b.text(mount.type), b.text(data), classic_flags(options.set), b.text(parent), b.text(root)});
      return Ok{};
    }
    const std::vector<std::string> data =
        mount.type == "overlay" ? append_lower_dirs_singly(options.data) : options.data;
    b.then(MountRoot{b.text(mount.type), b.plan().list(data), options.set, b.text(root)});
    return Ok{};
  }
  b.then(BindRoot{b.text(root)});
  return Ok{};
}

Result<Ok> plan_mounts(Builder& b) {
  for (const oci::Mount& mount : b.config().mounts) {
    if (is_root(mount)) continue;
    const MountOptions options = parse_mount_options(mount.options);
    const char* destination = b.text(mount.destination);
    const std::vector<std::string>& optional = b.options().optional_binds;
    if (is_bind(mount, options)) {
      const std::string source =
          mount.source.starts_with('/') ? mount.source : cat(b.options().bundle, '/', mount.source);
      b.then(Bind{
          .source = b.text(source),
          .destination = destination,
          .set = options.set,
          .clear = options.clear,
          .propagation = options.propagation,
          .recursive = options.recursive_bind,
          .set_recursive = options.set_recursive,
          .optional = std::find(optional.begin(), optional.end(), mount.destination) != optional.end(),
      });
      continue;
    }
    std::string type = mount.type;
    if (type == "cgroup") {
      // In a cgroup namespace of one's own the v2 tree may be mounted wherever the kernel has one; of v1 nothing may be
      // seen without privilege, and sysfs leaves an empty folder there.
      if (!b.creates(Namespace::cgroup) || b.host().cgroups == sys::CgroupMode::v1 ||
          b.host().cgroups == sys::CgroupMode::none) {
        continue;
      }
      type = "cgroup2";
    }
    const bool singly = type == "overlay" && b.host().has_overlay_lowerdir_append();
    const std::vector<std::string> data = singly ? append_lower_dirs_singly(options.data) : options.data;
    b.then(MountNew{
        .type = b.text(type),
        .source = b.text(mount.source.empty() ? type : mount.source),
        .options = b.plan().list(type == "cgroup2" ? std::vector<std::string>{} : data),
        .attributes = options.set,
        .destination = destination,
        .copy_up = options.copy_up,
    });
  }
  if (const std::string& cwd = b.config().process.cwd; cwd != "/") {
    const oci::User& user = b.config().process.user;
    b.then(MakeDir{b.text(cwd), 0755, user.uid, user.gid});
  }
  return Ok{};
}

Result<Ok> plan_devices(Builder& b) {
  // A user namespace may make no device nodes, so the host's are bound; the six every container has come first.
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}) {
    b.then(BindDevice{name, name});
  }
  for (const oci::Device& device : b.config().linux.devices) {
    b.then(BindDevice{b.text(device.path), b.text(device.path)});
  }
  b.then(Symlink{"/proc/self/fd", "/dev/fd"});
  b.then(Symlink{"/proc/self/fd/0", "/dev/stdin"});
  b.then(Symlink{"/proc/self/fd/1", "/dev/stdout"});
  b.then(Symlink{"/proc/self/fd/2", "/dev/stderr"});
  b.then(Symlink{"/proc/kcore", "/dev/core"});
  b.then(Symlink{"pts/ptmx", "/dev/ptmx"});
  if (b.config().process.terminal) {
    const oci::ConsoleSize size = b.config().process.console_size.value_or(oci::ConsoleSize{});
    b.then(OpenTerminal{
        .rows = static_cast<uint16_t>(size.height), .columns = static_cast<uint16_t>(size.width), .console = true});
  }
  return Ok{};
}

Result<Ok> plan_hidden_paths(Builder& b) {
  for (const std::string& path : b.config().linux.readonly_paths) b.then(ReadonlyPath{b.text(path)});
  for (const std::string& path : b.config().linux.masked_paths) b.then(Mask{b.text(path)});
  if (b.config().root.readonly) b.then(ReadonlyRoot{});
  return Ok{};
}

}  // namespace moss::runtime
