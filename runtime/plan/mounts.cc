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

namespace {

using When = PlannedMount::When;

std::string root_path(const Builder& b) {
  const std::string& path = b.config().root.path;
  return path.starts_with('/') ? path : cat(b.options().bundle, '/', path);
}

const oci::Mount* root_mount(const Builder& b) {
  const std::vector<oci::Mount>& mounts = b.config().mounts;
  const auto found = std::find_if(mounts.begin(), mounts.end(), is_root);
  return found == mounts.end() ? nullptr : &*found;
}

// Root inside is whom the caller's own folders belong to.
bool root_is_caller(const Builder& b) {
  if (!b.creates(Namespace::user)) return true;
  const std::vector<IdRange>& uids = b.config().linux.uid_mappings;
  const std::vector<IdRange>& gids = b.config().linux.gid_mappings;
  return uids.front().inside == 0 && uids.front().outside == b.host().uid && gids.front().inside == 0 &&
         gids.front().outside == b.host().gid;
}

bool uses_classic_mount(const Builder& b, const oci::Mount& mount) {
  return mount.type == "overlay" && !b.host().has_overlay_lowerdir_append();
}

// A filesystem whose making asks for no id. A tmpfs gives its root to who makes it: that is root inside only where root
// inside is the caller outside.
bool needs_no_ids(const Builder& b, std::string_view type, const MountOptions& options) {
  if (type == "proc" || type == "sysfs" || type == "mqueue" || type == "cgroup2") return true;
  if (type != "tmpfs") return false;
  const bool names_ids = std::any_of(options.data.begin(), options.data.end(), [](const std::string& option) {
    return option.starts_with("uid=") || option.starts_with("gid=");
  });
  return root_is_caller(b) && !names_ids;
}

PlannedMount decide_bind(Builder& b, const oci::Mount& mount, const MountOptions& options) {
  const std::string source = mount.source.starts_with('/') ? mount.source : cat(b.options().bundle, '/', mount.source);
  // What the engine writes into the container's own folder meanwhile is not there early.
  const bool own = source.starts_with(b.options().bundle + "/");
  const std::optional<uint8_t> slot = b.early_slot();
  return {
      .prepare =
          PrepareBind{
              .slot = slot.value_or(Builder::kLateSlot),
              .source = b.text(source),
              .set = options.set,
              .clear = options.clear,
              .propagation = options.propagation,
              .recursive = options.recursive_bind,
              .set_recursive = options.set_recursive,
          },
      .attach = {.slot = slot.value_or(Builder::kLateSlot)},
      .when = !slot ? When::in_turn
              : own ? When::as_self
                    : When::early,
  };
}

PlannedMount decide_new(Builder& b, const std::string& type, const oci::Mount& mount, const MountOptions& options) {
  const std::optional<uint8_t> slot = needs_no_ids(b, type, options) ? b.early_slot() : std::nullopt;
  std::vector<std::string> data = options.data;
  if (type == "cgroup2") data.clear();
  if (type == "overlay" && b.host().has_overlay_lowerdir_append()) data = append_lower_dirs_singly(data);
  return {
      .prepare =
          PrepareMount{
              .slot = slot.value_or(Builder::kLateSlot),
              .type = b.text(type),
              .source = b.text(mount.source.empty() ? type : mount.source),
              .options = b.plan().list(data),
              .attributes = options.set,
          },
      .attach = {.slot = slot.value_or(Builder::kLateSlot), .copy_up = options.copy_up},
      .when = slot ? When::early : When::in_turn,
  };
}

// Covers may be laid early where nothing else is mounted between them and their filesystem.
bool is_alone(const oci::Config& config, const std::string& path) {
  return std::count_if(config.mounts.begin(), config.mounts.end(), [&](const oci::Mount& mount) {
           return mount.destination == path || (mount.destination.starts_with(path + "/") && mount.type != "cgroup");
         }) == 1;
}

}  // namespace

uint8_t Builder::parked(std::string_view path) const {
  for (const auto& [folder, slot] : parked_) {
    if (path.starts_with(folder + "/")) return slot;
  }
  return kBelowRoot;
}

Result<std::vector<PlannedMount>> decide_mounts(Builder& b) {
  std::vector<PlannedMount> planned;
  const std::vector<std::string>& optional = b.options().optional_binds;
  for (const oci::Mount& mount : b.config().mounts) {
    if (is_root(mount)) continue;
    const MountOptions options = parse_mount_options(mount.options);
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
    PlannedMount one = is_bind(mount, options) ? decide_bind(b, mount, options) : decide_new(b, type, mount, options);
    one.attach.destination = b.text(mount.destination);
    one.attach.optional = std::find(optional.begin(), optional.end(), mount.destination) != optional.end();
    if (one.when == When::early && (type == "proc" || type == "sysfs") && is_alone(b.config(), mount.destination) &&
        (mount.destination == "/proc" || mount.destination == "/sys")) {
      b.park(mount.destination, one.attach.slot);
    }
    planned.push_back(one);
  }
  return planned;
}

namespace {

// The folders an overlay's options name, in the order MountRoot meets them.
std::vector<std::string> folders_of(const oci::Mount& mount) {
  std::vector<std::string> folders;
  for (const std::string& option : append_lower_dirs_singly(parse_mount_options(mount.options).data)) {
    const auto [key, value] = cut(option, '=');
    if (value && value->starts_with('/')) folders.emplace_back(*value);
  }
  return folders;
}

bool needs_held_folders(const Builder& b, const oci::Mount& mount) {
  return mount.type == "overlay" && b.host().uid == 0 && !root_is_caller(b) && !uses_classic_mount(b, mount);
}

}  // namespace

Result<Ok> plan_early_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  if (const oci::Mount* mount = root_mount(b); mount == nullptr || !uses_classic_mount(b, *mount)) {
    b.then(HoldStaging{b.text(root_path(b))});
  }
  for (const PlannedMount& mount : mounts) {
    if (mount.when != When::early) continue;
    b.then(mount.prepare);
    for (const char* place : {"/proc", "/sys"}) {
      if (b.parked(cat(place, "/")) == mount.attach.slot) b.then(Park{mount.attach.slot, place});
    }
  }
  if (const uint8_t proc = b.parked("/proc/"); proc != kBelowRoot) {
    for (const KernelSetting& setting : b.settings()) {
      if (setting.held != kNotHeld) b.then(HoldProcFile{setting.held, proc, setting.file});
    }
  }
  for (const std::string& path : b.config().linux.readonly_paths) {
    if (const uint8_t slot = b.parked(path); slot != kBelowRoot) b.then(ReadonlyPath{b.text(path), slot});
  }
  for (const std::string& path : b.config().linux.masked_paths) {
    if (const uint8_t slot = b.parked(path); slot != kBelowRoot) b.then(Mask{b.text(path), slot});
  }
  return Ok{};
}

Result<Ok> plan_own_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  for (const PlannedMount& mount : mounts) {
    if (mount.when == When::as_self) b.then(mount.prepare);
  }
  if (const oci::Mount* mount = root_mount(b); mount != nullptr && needs_held_folders(b, *mount)) {
    const std::vector<std::string> folders = folders_of(*mount);
    if (folders.size() > kMaxHeldFolders) return Error(0, "mounts: more than ", kMaxHeldFolders, " layers");
    b.then(HoldFolders{b.plan().list(folders)});
  }
  return Ok{};
}

Result<Ok> plan_rootfs(Builder& b) {
  const oci::Mount* mount = root_mount(b);
  const std::string root = root_path(b);
  if (mount == nullptr) {
    b.then(BindRoot{b.text(root)});
    return Ok{};
  }
  const MountOptions options = parse_mount_options(mount->options);
  if (is_bind(*mount, options)) return Error(0, "mounts: a bind mount over / is not supported; set root.path instead");
  if (uses_classic_mount(b, *mount)) {
    const auto [data, parent] = relative_lower_dirs(options.data);
    b.then(
        MountRootClassic{b.text(mount->type), b.text(data), classic_flags(options.set), b.text(parent), b.text(root)});
    return Ok{};
  }
  const std::vector<std::string> data =
      mount->type == "overlay" ? append_lower_dirs_singly(options.data) : options.data;
  // The upper folder is what "/" looks like. (Real root, who may, gave it away already.)
  if (mount->type == "overlay" && !root_is_caller(b) && b.host().uid != 0) {
    for (const std::string& option : options.data) {
      if (option.starts_with("upperdir=")) b.then(GiveToRoot{b.text(std::string_view(option).substr(9))});
    }
  }
  b.then(MountRoot{b.text(mount->type), b.plan().list(data), options.set, needs_held_folders(b, *mount)});
  return Ok{};
}

Result<Ok> plan_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  for (const PlannedMount& mount : mounts) {
    if (mount.when == When::in_turn) b.then(mount.prepare);
    b.then(mount.attach);
  }
  if (const std::string& cwd = b.config().process.cwd; cwd != "/") {
    const oci::User& user = b.config().process.user;
    b.then(MakeDir{b.text(cwd), 0755, user.uid, user.gid});
  }
  return Ok{};
}

Result<Ok> plan_devices(Builder& b) {
  // A user namespace may make no device nodes, so the host's are bound; the six every container has come first.
  const auto bind_device = [&](const char* path) {
    b.then(PrepareDevice{Builder::kLateSlot, path});
    b.then(Attach{.slot = Builder::kLateSlot, .destination = path});
  };
  for (const char* name : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}) {
    bind_device(name);
  }
  for (const oci::Device& device : b.config().linux.devices) bind_device(b.text(device.path));
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
  for (const std::string& path : b.config().linux.readonly_paths) {
    if (b.parked(path) == kBelowRoot) b.then(ReadonlyPath{b.text(path), kBelowRoot});
  }
  for (const std::string& path : b.config().linux.masked_paths) {
    if (b.parked(path) == kBelowRoot) b.then(Mask{b.text(path), kBelowRoot});
  }
  if (b.config().root.readonly) b.then(ReadonlyRoot{});
  return Ok{};
}

}  // namespace moss::runtime
