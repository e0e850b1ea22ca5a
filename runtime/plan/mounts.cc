// The rootfs, the mounts listed in the config, and what is hidden again.
//
// Mounts come in the config's order. Masked and read-only paths come after every mount, or a mount could uncover them.
// Spec: config.md "Mounts"; config-linux.md "Default Filesystems", "Masked Paths", "Readonly Paths".
#include <sys/mount.h>

#include <algorithm>

#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

bool is_root(const oci::Mount& mount) { return clean_path(mount.destination) == "/"; }

bool is_bind(const oci::Mount& mount, const MountOptions& options) {
  return options.bind || mount.type == "bind" || mount.type == "rbind";
}

bool is_recursive_bind(const oci::Mount& mount, const MountOptions& options) {
  return options.recursive_bind || mount.type == "rbind";
}

// mount(2)'s flags for a superblock's options that fsconfig(2) has by name.
unsigned long superblock_flag(std::string_view option) {
  if (option == "sync") return MS_SYNCHRONOUS;
  if (option == "dirsync") return MS_DIRSYNC;
  if (option == "lazytime") return MS_LAZYTIME;
  if (option == "mand") return MS_MANDLOCK;
  if (option == "iversion") return MS_I_VERSION;
  return 0;
}

bool is_superblock_default(std::string_view option) {
  return option == "async" || option == "nolazytime" || option == "nomand" || option == "noiversion";
}

// mount(2)'s flags and data for what fsmount(2) and fsconfig(2) are asked for.
unsigned long classic_flags(uint64_t attributes) {
  unsigned long flags = 0;
  if (attributes & MOUNT_ATTR_RDONLY) flags |= MS_RDONLY;
  if (attributes & MOUNT_ATTR_NOSUID) flags |= MS_NOSUID;
  if (attributes & MOUNT_ATTR_NODEV) flags |= MS_NODEV;
  if (attributes & MOUNT_ATTR_NOEXEC) flags |= MS_NOEXEC;
  return flags;
}

std::pair<unsigned long, std::string> classic_options(const MountOptions& options) {
  unsigned long flags = classic_flags(options.set);
  std::vector<std::string> data;
  for (const std::string& option : options.data) {
    if (const unsigned long flag = superblock_flag(option)) {
      flags |= flag;
    } else if (!is_superblock_default(option)) {
      data.push_back(option);
    }
  }
  return {flags, join(data, ",")};
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

}  // namespace

namespace {

using When = PlannedMount::When;

std::string root_path(const Builder& b) {
  const std::string& path = b.config().root.path;
  // Without a slash at the end, through which a symlink would be followed.
  return clean_path(path.starts_with('/') ? path : cat(b.options().bundle, '/', path));
}

const oci::Mount* root_mount(const Builder& b) {
  const std::vector<oci::Mount>& mounts = b.config().mounts;
  const auto found = std::find_if(mounts.begin(), mounts.end(), is_root);
  return found == mounts.end() ? nullptr : &*found;
}

// Root inside is whom the caller's own folders belong to.
bool root_is_caller(const Builder& b) {
  // What a joined one maps is not known here.
  if (!b.creates(Namespace::user)) return !b.joins(Namespace::user);
  const std::vector<IdRange>& uids = b.config().linux.uid_mappings;
  const std::vector<IdRange>& gids = b.config().linux.gid_mappings;
  return uids.front().inside == 0 && uids.front().outside == b.host().uid && gids.front().inside == 0 &&
         gids.front().outside == b.host().gid;
}

// The one id of a keep-id map need not be 0.
bool has_root(const Builder& b) {
  const auto maps_zero = [](const std::vector<IdRange>& ranges) {
    return std::any_of(ranges.begin(), ranges.end(), [](const IdRange& range) { return range.inside == 0; });
  };
  return !b.creates(Namespace::user) ||
         (maps_zero(b.config().linux.uid_mappings) && maps_zero(b.config().linux.gid_mappings));
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

std::string bind_source(const Builder& b, const oci::Mount& mount) {
  return mount.source.starts_with('/') ? mount.source : cat(b.options().bundle, '/', mount.source);
}

// `first`: before there is a child.
PlannedMount decide_bind(Builder& b, const oci::Mount& mount, const MountOptions& options, bool first = false) {
  const std::string source = bind_source(b, mount);
  // What the engine writes into the container's own folder meanwhile is not there early.
  const bool own = source.starts_with(b.options().bundle + "/");
  // In a new user namespace every copy of a shared mount is a slave, whatever is asked for.
  first = first || (options.propagation == MS_SHARED && !b.creates(Namespace::user));
  auto [when, slot] = b.turn(first ? When::first : own ? When::as_self : When::early);
  std::optional<HoldSource> hold;
  // In its turn root inside copies it, to whom the caller's folders may be closed.
  if (when == When::in_turn && b.creates(Namespace::user)) {
    if (const std::optional<uint8_t> own_slot = b.early_slot()) {
      slot = *own_slot;
      hold = HoldSource{slot, b.text(source)};
    }
  }
  return {
      .hold = hold,
      .prepare =
          PrepareBind{
              .slot = slot,
              .held = hold.has_value(),
              .source = b.text(source),
              .set = options.set,
              .clear = options.clear,
              .set_below = options.set_below,
              .clear_below = options.clear_below,
              .propagation = options.propagation,
              .propagation_recursive = options.propagation_recursive,
              .recursive = is_recursive_bind(mount, options),
          },
      .attach = Attach{.slot = slot},
      .when = when,
  };
}

// The kernel asks for CAP_SYS_ADMIN where the filesystem was mounted, so the parent makes it.
Result<PlannedMount> decide_idmapped_bind(Builder& b, const oci::Mount& mount, const MountOptions& options,
                                          size_t index) {
  PlannedMount planned = decide_bind(b, mount, options, true);
  if (planned.when == When::in_turn) return Error(0, "mounts[", index, "]: too many mounts before an idmapped one");
  const IdMap container{b.config().linux.uid_mappings, b.config().linux.gid_mappings};
  IdMap map{mount.uid_mappings, mount.gid_mappings};
  if (!options.idmap_ranges.empty()) map = TRY(parse_idmap_ranges(options.idmap_ranges, container));
  if (map.uids.empty()) map = container;
  b.plan().idmapped.push_back({
      .place = cat("mounts[", index, "]"),
      .bind = std::get<PrepareBind>(*planned.prepare),
      .map = std::move(map),
      .recursive = options.idmap_recursive,
  });
  planned.prepare.reset();
  planned.when = When::in_turn;
  return planned;
}

// What stands in, read-only, where the kernel refuses a new one because the namespace it would show is not ours.
const char* fallback_of(const Builder& b, std::string_view type) {
  if (type == "sysfs" && !b.creates(Namespace::network)) return "/sys";
  if (type == "proc" && !b.has_own(Namespace::pid)) return "/proc";
  if (type == "mqueue" && !b.creates(Namespace::ipc)) return "/dev/mqueue";
  return nullptr;
}

// A read-only tmpfs is empty, and nothing could be made in it: so it becomes one when what belongs there is there.
bool is_filled(const oci::Config& config, const std::string& path) {
  return path == "/dev" || std::any_of(config.mounts.begin(), config.mounts.end(), [&](const oci::Mount& mount) {
           return clean_path(mount.destination).starts_with(path + "/");
         });
}

bool takes_label(std::string_view type) { return type != "proc" && type != "sysfs" && type != "mqueue"; }

PlannedMount decide_new(Builder& b, const std::string& type, const oci::Mount& mount, MountOptions options) {
  if (const std::string& label = b.config().linux.mount_label; !label.empty() && takes_label(type)) {
    options.data.push_back(cat("context=", label));
  }
  const std::string destination = clean_path(mount.destination);
  if (type == "tmpfs" && (options.set & MOUNT_ATTR_RDONLY) != 0 && is_filled(b.config(), destination)) {
    options.set &= ~uint64_t{MOUNT_ATTR_RDONLY};
    b.readonly_later().push_back(b.text(destination));
  }
  const auto [when, slot] = b.turn(needs_no_ids(b, type, options) ? When::early : When::in_turn);
  const auto [flags, classic] = classic_options(options);
  std::vector<std::string> data = options.data;
  if (type == "overlay" && b.host().has_overlay_lowerdir_append()) data = append_lower_dirs_singly(data);
  return {
      .prepare =
          PrepareMount{
              .slot = slot,
              .type = b.text(type),
              .source = b.text(mount.source.empty() ? type : mount.source),
              .options = b.plan().list(data),
              .attributes = options.set | options.set_below,
              .propagation = options.propagation,
              .fallback = fallback_of(b, type),
              .classic_data = b.text(classic),
              .classic_flags = flags,
          },
      .attach = Attach{.slot = slot, .copy_up = options.copy_up},
      .when = when,
  };
}

// A mount that is there already is told otherwise.
PlannedMount decide_remount(Builder& b, const oci::Mount& mount, const MountOptions& options) {
  PlannedMount planned;
  const char* path = b.text(clean_path(mount.destination));
  if (!options.bind && !options.data.empty()) planned.after.push_back(Reconfigure{path, b.plan().list(options.data)});
  planned.after.push_back(ChangeMount{path, options.set, options.clear, options.set_below, options.clear_below});
  return planned;
}

// Covers may be laid early where nothing else is mounted between them and their filesystem.
bool is_alone(const oci::Config& config, const std::string& path) {
  return std::count_if(config.mounts.begin(), config.mounts.end(), [&](const oci::Mount& mount) {
           const std::string destination = clean_path(mount.destination);
           return destination == path || (destination.starts_with(path + "/") && mount.type != "cgroup");
         }) == 1;
}

}  // namespace

std::string clean_path(std::string_view path) {
  std::string clean;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != ".") clean += cat('/', part);
  }
  return clean.empty() ? "/" : clean;
}

uint8_t Builder::parked(std::string_view path) const {
  for (const auto& [folder, slot] : parked_) {
    if (path.starts_with(folder + "/")) return slot;
  }
  return kBelowRoot;
}

Result<std::vector<PlannedMount>> decide_mounts(Builder& b) {
  std::vector<PlannedMount> planned;
  const std::vector<std::string>& optional = b.options().optional_binds;
  const std::vector<oci::Mount>& mounts = b.config().mounts;
  for (size_t i = 0; i < mounts.size(); ++i) {
    const oci::Mount& mount = mounts[i];
    if (is_root(mount)) continue;
    const MountOptions options = parse_mount_options(mount.options);
    if (options.remount) {
      planned.push_back(decide_remount(b, mount, options));
      continue;
    }
    if (mount.type == "cgroup" && !is_bind(mount, options)) {
      decide_cgroup_mount(b, mount, planned);
      continue;
    }
    const bool idmapped = options.idmap || !mount.uid_mappings.empty();
    PlannedMount one = idmapped                  ? TRY(decide_idmapped_bind(b, mount, options, i))
                       : is_bind(mount, options) ? decide_bind(b, mount, options)
                                                 : decide_new(b, mount.type, mount, options);
    const std::string destination = clean_path(mount.destination);
    one.attach->destination = b.text(destination);
    one.attach->optional = std::find(optional.begin(), optional.end(), mount.destination) != optional.end();
    // In a mount namespace that others use too, nothing is laid over the host's /proc.
    if (one.when == When::early &&
        ((mount.type == "proc" && destination == "/proc") || (mount.type == "sysfs" && destination == "/sys")) &&
        is_alone(b.config(), destination) && !b.joins(Namespace::mount)) {
      b.park(destination, one.attach->slot);
    }
    planned.push_back(std::move(one));
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
  return uses_classic_mount(b, mount) || (mount.type == "overlay" && b.host().uid == 0 && !root_is_caller(b));
}

}  // namespace

void plan_first_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  for (const PlannedMount& mount : mounts) {
    if (mount.when == When::first) b.then(*mount.prepare);
  }
}

Result<Ok> plan_early_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  b.then(HoldStaging{b.text(root_path(b))});
  for (const PlannedMount& mount : mounts) {
    if (mount.when != When::early) continue;
    b.then(*mount.prepare);
    for (const char* place : {"/proc", "/sys"}) {
      if (b.parked(cat(place, "/")) == mount.attach->slot) b.then(Park{mount.attach->slot, place});
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
    if (mount.hold) b.then(*mount.hold);
    if (mount.when == When::as_self) b.then(*mount.prepare);
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
  if (mount == nullptr) {
    b.then(BindRoot{b.text(root_path(b))});
    return Ok{};
  }
  const MountOptions options = parse_mount_options(mount->options);
  if (is_bind(*mount, options)) return Error(0, "mounts: a bind mount over / is not supported; set root.path instead");
  const std::vector<std::string> data =
      mount->type == "overlay" ? append_lower_dirs_singly(options.data) : options.data;
  // The upper folder is what "/" looks like. (Real root, who may, gave it away already.)
  if (mount->type == "overlay" && !root_is_caller(b) && b.host().uid != 0 && has_root(b)) {
    for (const std::string& option : options.data) {
      if (option.starts_with("upperdir=")) b.then(GiveToRoot{b.text(std::string_view(option).substr(9))});
    }
  }
  if (uses_classic_mount(b, *mount)) {
    // Of the places that the mount may lie over, the root's own is closed where id 0 inside is nobody outside; the
    // /proc that we see is ours alone, unless the mount namespace is not.
    const std::string scratch = b.joins(Namespace::mount) ? root_path(b) : "/proc";
    b.then(MountRootClassic{b.text(mount->type), b.plan().list(data), options.set, b.text(scratch)});
    return Ok{};
  }
  b.then(MountRoot{b.text(mount->type), b.plan().list(data), options.set, needs_held_folders(b, *mount)});
  return Ok{};
}

Result<Ok> plan_mounts(Builder& b, const std::vector<PlannedMount>& mounts) {
  for (const PlannedMount& mount : mounts) {
    if (mount.when == When::in_turn && mount.prepare) b.then(*mount.prepare);
    if (mount.attach) b.then(*mount.attach);
    for (const Step& step : mount.after) b.then(step);
  }
  if (const std::string& cwd = b.config().process.cwd; cwd != "/") {
    const oci::User& user = b.config().process.user;
    b.then(MakeDir{b.text(cwd), 0755, user.uid, user.gid});
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
  for (const char* path : b.readonly_later()) b.then(ChangeMount{path, MOUNT_ATTR_RDONLY, 0, 0, 0});
  if (b.config().root.readonly) b.then(ReadonlyRoot{});
  return Ok{};
}

}  // namespace moss::runtime
