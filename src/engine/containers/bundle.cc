// config.json from the words of `moss run` and the image.
//
// The defaults are Podman's: eleven capabilities, its masked and read-only paths, its mounts; a namespace of every
// kind. An image's config is data from a stranger: each member passes a grammar here, and none of them ever selects
// what happens on the host (CVE-2026-57231, CVE-2026-53488).
#include "src/engine/containers/bundle.hh"

#include <fnmatch.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "moss/runtime/capabilities.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/environment.hh"
#include "src/engine/containers/volumes.hh"

namespace moss::engine {

namespace {

const char* const kMaskedPaths[] = {"/proc/acpi",        "/proc/kcore",
                                    "/proc/keys",        "/proc/latency_stats",
                                    "/proc/sched_debug", "/proc/scsi",
                                    "/proc/timer_list",  "/proc/timer_stats",
                                    "/proc/asound",      "/proc/interrupts",
                                    "/sys/firmware",     "/sys/fs/selinux",
                                    "/sys/dev/block",    "/sys/devices/virtual/powercap"};

const char* const kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

bool lies_in_proc(std::string_view path) {
  const std::string clean = clean_path(path);
  return clean == "/proc" || clean.starts_with("/proc/");
}

bool maps_id(const std::vector<IdRange>& ranges, uint32_t id) {
  return ranges.empty() || std::any_of(ranges.begin(), ranges.end(), [&](const IdRange& range) {
           return id >= range.inside && id - range.inside < range.count;
         });
}

class BundleMaker {
 public:
  explicit BundleMaker(const BundleInput& input) : in_(input), config_(bundle_.config) {}

  Result<Bundle> make() {
    TRY(namespaces());
    TRY(process());
    TRY(environment());
    TRY(capabilities());
    TRY(security_options());
    TRY(rlimits());
    TRY(sysctls());
    TRY(root());
    TRY(mounts());
    TRY(annotations());
    return std::move(bundle_);
  }

 private:
  const RunOptions& options() const { return in_.options; }

  // "private" or "host", as an option says it; anything else is not supported.
  static Result<bool> is_private(const char* option, const std::string& mode, std::string_view also_private = "") {
    if (mode.empty() || mode == "private" || (!also_private.empty() && mode == also_private)) return true;
    if (mode == "host") return false;
    return Error(0, option, " ", printable(mode), " is not supported; use private or host");
  }

  Result<Ok> namespaces() {
    const auto add = [&](const char* type) { config_.linux.namespaces.push_back({type, ""}); };
    if (!in_.map.uids.empty()) {
      add("user");
      config_.linux.uid_mappings = in_.map.uids;
      config_.linux.gid_mappings = in_.map.gids;
    }
    add("mount");
    private_pid_ = TRY(is_private("--pid", options().pid));
    private_ipc_ = TRY(is_private("--ipc", options().ipc, "shareable"));
    private_uts_ = TRY(is_private("--uts", options().uts));
    private_cgroup_ = TRY(is_private("--cgroupns", options().cgroupns));
    if (private_pid_) add("pid");
    if (private_ipc_) add("ipc");
    if (private_uts_) add("uts");
    if (private_cgroup_) add("cgroup");
    if (in_.network != NetworkMode::host) add("network");
    return Ok{};
  }

  Result<Ok> process() {
    oci::Process& process = config_.process;
    process.terminal = options().terminal;
    if (winsize size; options().terminal && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) {
      process.console_size = oci::ConsoleSize{size.ws_row, size.ws_col};
    }
    process.user = {.uid = in_.user.uid, .gid = in_.user.gid, .additional_gids = in_.user.groups};
    const auto unmapped = [&](const char* what, uint32_t id) {
      return Error(0, "run as ", what, " ", id, ": that id is not mapped into the container; add subordinate ids (",
                   "/etc/subuid, /etc/subgid) or choose another with -u");
    };
    if (!maps_id(in_.map.uids, in_.user.uid)) return unmapped("user", in_.user.uid);
    if (!maps_id(in_.map.gids, in_.user.gid)) return unmapped("group", in_.user.gid);
    if (!options().umask.empty()) {
      const auto mask = parse_number<uint32_t>(options().umask, 8);
      if (!mask || *mask > 0777)
        return Error(0, "--umask ", printable(options().umask), ": expected octal digits, 0000 to 0777");
      process.user.umask = mask;
    } else {
      process.user.umask = 0022;
    }
    bundle_.command = TRY(command_of(options(), in_.image));
    process.args = bundle_.command;
    const std::string& cwd = options().working_dir.empty() ? in_.image.working_dir : options().working_dir;
    if (!cwd.empty()) {
      if (!cwd.starts_with('/')) return Error(0, "working folder ", printable(cwd), " is not absolute");
      // CVE-2024-21626: a folder by descriptor number would be the host's.
      if (lies_in_proc(cwd)) return Error(0, "working folder ", printable(cwd), " lies in /proc");
      process.cwd = cwd;
    }
    const std::string& stop = options().stop_signal.empty() ? in_.image.stop_signal : options().stop_signal;
    if (!stop.empty()) bundle_.stop_signal = TRY(parse_signal(stop).context("stop signal"));
    if (private_uts_) {
      config_.hostname = options().hostname.empty() ? in_.id.substr(0, 12) : options().hostname;
    } else if (!options().hostname.empty()) {
      return Error(0, "--hostname ", printable(options().hostname), " needs --uts private");
    }
    return Ok{};
  }

  // ---- environment ----

  Result<Ok> environment() {
    Environment env;
    env.set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if (options().terminal) env.set("TERM", "xterm");
    env.set("container", "moss");
    for (const std::string& variable : in_.image.env) {
      // An entry without "=" is nothing; taking it from the host would hand out the caller's secrets (CVE-2026-57231).
      const auto [name, value] = cut(variable, '=');
      if (value && !name.empty()) env.set(name, *value);
    }
    for (const std::string& file : options().env_files) TRY(env.add_file(file));
    for (const std::string& variable : options().env) TRY(env.add_from_caller(variable).context("-e"));
    if (!env.has("HOSTNAME") && !config_.hostname.empty()) env.set("HOSTNAME", config_.hostname);
    if (!env.has("HOME")) env.set("HOME", in_.user.home);
    config_.process.env = std::move(env).take();
    return Ok{};
  }

  // ---- privileges ----

  static Result<std::string> capability_by_name(const std::string& text, const char* option) {
    std::string name;
    for (const char c : text) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
    if (!name.starts_with("CAP_")) name = "CAP_" + name;
    if (!runtime::capability_number(name)) return Error(0, option, " ", printable(text), ": no such capability");
    return name;
  }

  Result<Ok> capabilities() {
    std::vector<std::string> added;
    bool add_all = options().privileged;
    for (const std::string& list : options().cap_add) {
      for (const std::string_view one : split(list, ',')) {
        if (one == "all" || one == "ALL") {
          add_all = true;
        } else {
          added.push_back(TRY(capability_by_name(std::string(one), "--cap-add")));
        }
      }
    }
    std::set<std::string> dropped;
    bool drop_all = false;
    for (const std::string& list : options().cap_drop) {
      for (const std::string_view one : split(list, ',')) {
        if (one == "all" || one == "ALL") {
          drop_all = true;
        } else {
          dropped.insert(TRY(capability_by_name(std::string(one), "--cap-drop")));
        }
      }
    }
    std::vector<std::string> bounding;
    for (const std::string& name : runtime::all_capabilities()) {
      const bool by_default =
          !drop_all && std::find(runtime::default_capabilities().begin(), runtime::default_capabilities().end(),
                                 name) != runtime::default_capabilities().end();
      const bool asked = std::find(added.begin(), added.end(), name) != added.end();
      if (asked || ((by_default || add_all) && !dropped.contains(name))) bounding.push_back(name);
    }
    oci::Capabilities sets;
    sets.bounding = bounding;
    if (in_.user.uid == 0) {
      sets.effective = sets.permitted = bounding;
    } else if (!added.empty()) {
      // A user other than root holds only what was named; ambient carries it through execve.
      sets.effective = sets.permitted = sets.inheritable = sets.ambient = added;
    }
    config_.process.capabilities = std::move(sets);
    return Ok{};
  }

  Result<Ok> security_options() {
    std::vector<std::string> masked(std::begin(kMaskedPaths), std::end(kMaskedPaths));
    std::vector<std::string> readonly(std::begin(kReadonlyPaths), std::end(kReadonlyPaths));
    if (options().privileged) {
      masked.clear();
      readonly.clear();
    }
    for (const std::string& option : options().security_opts) {
      auto [key, value] = cut(option, '=');
      if (!value) std::tie(key, value) = cut(option, ':');
      if (key == "no-new-privileges") {
        if (value && *value != "true" && *value != "false") {
          return Error(0, "--security-opt ", printable(option), ": expected true or false");
        }
        config_.process.no_new_privileges = value.value_or("true") == "true";
      } else if (key == "mask" && value) {
        for (const std::string_view path : split(*value, ':')) {
          if (!path.starts_with('/')) return Error(0, "--security-opt ", printable(option), ": paths must be absolute");
          masked.emplace_back(path);
        }
      } else if (key == "unmask" && value) {
        for (const std::string_view path : split(*value, ':')) {
          if (path == "ALL" || path == "all") {
            masked.clear();
            readonly.clear();
            continue;
          }
          if (!path.starts_with('/')) return Error(0, "--security-opt ", printable(option), ": paths must be absolute");
          // A pattern as the shell's, as Podman takes it: /proc/* is every masked path of that folder.
          const std::string pattern(path);
          const auto is_meant = [&](const std::string& hidden) {
            return ::fnmatch(pattern.c_str(), hidden.c_str(), FNM_PATHNAME) == 0;
          };
          std::erase_if(masked, is_meant);
          std::erase_if(readonly, is_meant);
        }
      } else {
        // The caller, who has the cache, compiles the filter; and there is neither label nor profile to take away.
        const bool is_done = (key == "seccomp" && value && !value->empty()) || (key == "label" && value == "disable") ||
                             (key == "apparmor" && value == "unconfined");
        if (is_done) continue;
        return Error(0, "--security-opt ", printable(option), " is not supported");
      }
    }
    config_.linux.masked_paths = std::move(masked);
    config_.linux.readonly_paths = std::move(readonly);
    return Ok{};
  }

  Result<Ok> rlimits() {
    struct Limit {
      std::string_view name;
      const char* type;
      int resource;
    };
    static constexpr Limit kLimits[] = {{"as", "RLIMIT_AS", RLIMIT_AS},
                                        {"core", "RLIMIT_CORE", RLIMIT_CORE},
                                        {"cpu", "RLIMIT_CPU", RLIMIT_CPU},
                                        {"data", "RLIMIT_DATA", RLIMIT_DATA},
                                        {"fsize", "RLIMIT_FSIZE", RLIMIT_FSIZE},
                                        {"locks", "RLIMIT_LOCKS", RLIMIT_LOCKS},
                                        {"memlock", "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
                                        {"msgqueue", "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
                                        {"nice", "RLIMIT_NICE", RLIMIT_NICE},
                                        {"nofile", "RLIMIT_NOFILE", RLIMIT_NOFILE},
                                        {"nproc", "RLIMIT_NPROC", RLIMIT_NPROC},
                                        {"rss", "RLIMIT_RSS", RLIMIT_RSS},
                                        {"rtprio", "RLIMIT_RTPRIO", RLIMIT_RTPRIO},
                                        {"rttime", "RLIMIT_RTTIME", RLIMIT_RTTIME},
                                        {"sigpending", "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
                                        {"stack", "RLIMIT_STACK", RLIMIT_STACK}};
    for (const std::string& option : options().ulimits) {
      if (option == "host") continue;  // the caller's limits are inherited anyway
      const auto [name, values] = cut(option, '=');
      const auto* limit =
          std::find_if(std::begin(kLimits), std::end(kLimits), [&](const Limit& l) { return l.name == name; });
      if (limit == std::end(kLimits)) return Error(0, "--ulimit ", printable(option), ": no such limit");
      if (!values) return Error(0, "--ulimit ", printable(option), ": expected NAME=SOFT[:HARD]");
      const auto [soft_text, hard_text] = cut(*values, ':');
      const auto number = [](std::string_view text) -> std::optional<uint64_t> {
        if (text == "-1" || text == "unlimited") return UINT64_MAX;
        return parse_number<uint64_t>(text);
      };
      const auto soft = number(soft_text);
      const auto hard = hard_text ? number(*hard_text) : soft;
      if (!soft || !hard) return Error(0, "--ulimit ", printable(option), ": expected NAME=SOFT[:HARD]");
      if (*soft > *hard) return Error(0, "--ulimit ", printable(option), ": the soft limit is above the hard one");
      rlimit64 current;
      if (::getrlimit64(static_cast<__rlimit_resource_t>(limit->resource), &current) == 0 && *hard > current.rlim_max) {
        return Error(0, "--ulimit ", printable(option), ": your own hard limit is ", current.rlim_max,
                     "; only the administrator can raise it (limits.conf)");
      }
      std::erase_if(config_.process.rlimits, [&](const oci::Rlimit& r) { return r.type == limit->type; });
      config_.process.rlimits.push_back({limit->type, *hard, *soft});
    }
    return Ok{};
  }

  Result<Ok> sysctls() {
    for (const std::string& option : options().sysctls) {
      const auto [key, value] = cut(option, '=');
      if (!value || key.empty()) return Error(0, "--sysctl ", printable(option), ": expected NAME=VALUE");
      config_.linux.sysctl[std::string(key)] = *value;
    }
    if (in_.network != NetworkMode::host && !in_.map.gids.empty()) {
      // ping without privilege, for every group there is inside (the kernel's default is none at all).
      const IdRange& last = *std::max_element(in_.map.gids.begin(), in_.map.gids.end(),
                                              [](const IdRange& a, const IdRange& b) { return a.inside < b.inside; });
      if (maps_id(in_.map.gids, 0)) {
        config_.linux.sysctl.try_emplace("net.ipv4.ping_group_range", cat("0 ", last.inside + last.count - 1));
      }
    }
    return Ok{};
  }

  // ---- filesystems ----

  Result<Ok> root() {
    config_.root.readonly = options().read_only;
    if (in_.lower_dirs.empty()) {
      config_.root.path = in_.rootfs;
      return Ok{};
    }
    config_.root.path = in_.live + "/rootfs";
    bundle_.staging = config_.root.path;
    oci::Mount overlay{.destination = "/", .type = "overlay", .source = "overlay"};
    overlay.options.push_back("lowerdir=" + join(in_.lower_dirs, ":"));
    if (in_.writable_layer) {
      overlay.options.push_back(cat("upperdir=", in_.lasting, "/upper"));
      overlay.options.push_back(cat("workdir=", in_.lasting, "/work"));
      bundle_.folders.push_back(in_.lasting + "/upper");
      bundle_.folders.push_back(in_.lasting + "/work");
      // What --rm throws away need not be synced when it is unmounted.
      if (options().remove) overlay.options.push_back("volatile");
    }
    overlay.options.push_back("userxattr");
    config_.mounts.push_back(std::move(overlay));
    return Ok{};
  }

  void add_mount(const char* destination, const char* type, std::vector<std::string> mount_options,
                 std::string source = {}) {
    config_.mounts.push_back({.destination = destination,
                              .type = type,
                              .source = source.empty() ? type : std::move(source),
                              .options = std::move(mount_options)});
  }

  Result<Ok> kernel_mounts() {
    if (private_pid_) {
      add_mount("/proc", "proc", {"nosuid", "noexec", "nodev"});
    } else {
      // A procfs of the host's pid namespace may not be mounted anew without rights over it.
      add_mount("/proc", "bind", {"rbind", "nosuid", "noexec", "nodev"}, "/proc");
    }
    add_mount("/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
    if (in_.network == NetworkMode::host) {
      add_mount("/sys", "bind", {"rbind", "rro", "nosuid", "noexec", "nodev"}, "/sys");
    } else {
      add_mount("/sys", "sysfs", {"nosuid", "noexec", "nodev", options().privileged ? "rw" : "ro"});
      add_mount("/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", options().privileged ? "rw" : "ro"});
    }
    std::vector<std::string> devpts{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
    if (maps_id(in_.map.gids, 5)) devpts.emplace_back("gid=5");  // the group "tty" of every distribution
    add_mount("/dev/pts", "devpts", std::move(devpts));
    if (private_ipc_) {
      add_mount("/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
      const std::string size = options().shm_size.empty() ? "64m" : options().shm_size;
      const uint64_t bytes = TRY(parse_size(size).context("--shm-size"));
      add_mount("/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "mode=1777", cat("size=", bytes)});
    } else {
      // Not every host has one mounted.
      if (sys::exists("/dev/mqueue"))
        add_mount("/dev/mqueue", "bind", {"rbind", "nosuid", "noexec", "nodev"}, "/dev/mqueue");
      add_mount("/dev/shm", "bind", {"rbind", "nosuid", "noexec", "nodev"}, "/dev/shm");
    }
    return Ok{};
  }

  Result<Ok> mounts() {
    TRY(kernel_mounts());
    VolumeMounts volumes = TRY(volume_mounts(options(), in_.lasting));
    const auto is_taken = [&](std::string_view destination) {
      return std::any_of(volumes.mounts.begin(), volumes.mounts.end(),
                         [&](const oci::Mount& mount) { return mount.destination == destination; });
    };
    // What the user mounts replaces ours at the same place.
    std::erase_if(config_.mounts, [&](const oci::Mount& mount) { return is_taken(mount.destination); });
    if (options().read_only) {
      for (const char* path : {"/run", "/tmp", "/var/tmp"}) {
        if (!is_taken(path)) add_mount(path, "tmpfs", {"nosuid", "nodev", "mode=1777"});
      }
    }
    for (const std::string& path : in_.image.volumes) TRY(image_volume(path, is_taken(path)));
    // Ours over /etc come last: a volume that brings the host's /etc does not bring the host's name.
    struct EtcFile {
      const char* name;
      bool wanted;
    };
    for (const EtcFile& file :
         {EtcFile{"hosts", true}, EtcFile{"resolv.conf", true}, EtcFile{"hostname", !config_.hostname.empty()},
          EtcFile{"passwd", !in_.user.in_passwd}, EtcFile{"group", !in_.user.in_group}}) {
      const std::string destination = cat("/etc/", file.name);
      if (!file.wanted || is_taken(destination)) continue;
      bundle_.optional_binds.push_back(destination);
      volumes.mounts.push_back({.destination = destination,
                                .type = "bind",
                                .source = cat(in_.live, "/", file.name),
                                .options = {"bind", "rprivate"}});
    }
    for (oci::Mount& mount : volumes.mounts) config_.mounts.push_back(std::move(mount));
    for (std::string& folder : volumes.folders) bundle_.folders.push_back(std::move(folder));
    return Ok{};
  }

  // A folder the image wants kept apart. It lies in the writable layer; below a read-only root it becomes a tmpfs.
  Result<Ok> image_volume(const std::string& path, bool taken) {
    const std::vector<std::string_view> parts = split(path, '/');
    const bool dots = std::find(parts.begin(), parts.end(), "..") != parts.end();
    if (!path.starts_with('/') || clean_path(path) == "/" || dots || lies_in_proc(path)) {
      return Error(0, "the image's volume ", printable(path), " is no place for one; choose another image");
    }
    if (options().read_only && !taken) {
      config_.mounts.push_back({.destination = path,
                                .type = "tmpfs",
                                .source = "tmpfs",
                                .options = {"nosuid", "nodev", "mode=755", "tmpcopyup"}});
    }
    return Ok{};
  }

  Result<Ok> annotations() {
    for (const std::string& option : options().annotations) {
      const auto [key, value] = cut(option, '=');
      if (!value || key.empty()) return Error(0, "--annotation ", printable(option), ": expected NAME=VALUE");
      config_.annotations[std::string(key)] = *value;
    }
    return Ok{};
  }

  const BundleInput& in_;
  Bundle bundle_;
  oci::Config& config_;
  bool private_pid_ = true;
  bool private_ipc_ = true;
  bool private_uts_ = true;
  bool private_cgroup_ = true;
};

}  // namespace

Result<NetworkMode> parse_network_mode(const std::string& text) {
  if (text == "none") return NetworkMode::none;
  if (text == "host") return NetworkMode::host;
  if (text == "private" || text == "pasta" || text == "slirp4netns") return NetworkMode::private_net;
  return Error(0, "--network ", printable(text), " is not supported; use private, host or none");
}

const char* to_string(NetworkMode mode) {
  switch (mode) {
    case NetworkMode::none:
      return "none";
    case NetworkMode::host:
      return "host";
    case NetworkMode::private_net:
      return "private";
  }
  return "none";
}

Result<std::vector<std::string>> command_of(const RunOptions& options, const oci::ImageRunConfig& image) {
  std::vector<std::string> command = options.entrypoint ? *options.entrypoint : image.entrypoint;
  // A new entrypoint does not go with the image's own arguments.
  const std::vector<std::string>& arguments =
      !options.command.empty() || options.entrypoint ? options.command : image.cmd;
  command.insert(command.end(), arguments.begin(), arguments.end());
  if (command.empty() || command.front().empty()) {
    return Error(0, "no command: the image names none; give one after the image's name");
  }
  return command;
}

Result<Bundle> make_bundle(const BundleInput& input) { return BundleMaker(input).make(); }

Result<int> parse_signal(std::string_view text) {
  struct Signal {
    std::string_view name;
    int number;
  };
  static constexpr Signal kSignals[] = {
      {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},   {"TRAP", SIGTRAP},
      {"ABRT", SIGABRT},     {"BUS", SIGBUS},   {"FPE", SIGFPE},     {"KILL", SIGKILL}, {"USR1", SIGUSR1},
      {"SEGV", SIGSEGV},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},   {"ALRM", SIGALRM}, {"TERM", SIGTERM},
      {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CONT", SIGCONT},   {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},
      {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU}, {"URG", SIGURG},     {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},
      {"VTALRM", SIGVTALRM}, {"PROF", SIGPROF}, {"WINCH", SIGWINCH}, {"IO", SIGIO},     {"PWR", SIGPWR},
      {"SYS", SIGSYS}};
  const auto unknown = [&] { return Error(0, "no signal ", printable(text)); };
  if (const auto number = parse_number<int>(text)) {
    if (*number < 1 || *number > 64) return unknown();
    return *number;
  }
  std::string name;
  for (const char c : text) name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  std::string_view bare = name;
  if (bare.starts_with("SIG")) bare.remove_prefix(3);
  for (const Signal& signal : kSignals) {
    if (signal.name == bare) return signal.number;
  }
  // Real-time signals as the kernel counts them: glibc keeps 32 and 33 for itself, so RTMIN is 34.
  if (bare.starts_with("RTMIN")) {
    bare.remove_prefix(5);
    const auto offset = bare.empty() ? 0 : bare.front() == '+' ? parse_number<int>(bare.substr(1)) : std::nullopt;
    if (offset && *offset >= 0 && *offset <= 30) return 34 + *offset;
  }
  if (bare.starts_with("RTMAX")) {
    bare.remove_prefix(5);
    const auto offset = bare.empty() ? 0 : bare.front() == '-' ? parse_number<int>(bare.substr(1)) : std::nullopt;
    if (offset && *offset >= 0 && *offset <= 30) return 64 - *offset;
  }
  return unknown();
}

}  // namespace moss::engine
