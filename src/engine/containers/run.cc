// moss run, from the words to the exit code.
//
//   find the image -> choose the ids -> make the folders -> write the bundle -> plan -> launch -> look after it ->
//   clean up
//
// In the foreground all of it happens in one process. Detached, the process forks before the launch, so that the
// monitor is the container's parent, and hears from the monitor how the launch went.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "moss/base/time.hh"
#include "moss/engine/container.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/engine/supervise.hh"
#include "moss/runtime/launch.hh"
#include "moss/runtime/plan.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"
#include "moss/sys/process.hh"
#include "src/engine/containers/bundle.hh"
#include "src/engine/containers/layered_root.hh"
#include "src/engine/containers/monitor.hh"
#include "src/engine/containers/network_setup.hh"
#include "src/engine/containers/policy.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxPasswdBytes = 4u << 20;

// What a container is made from.
struct Origin {
  oci::ImageRunConfig config;
  std::string image_name;
  std::string image_id;
  std::string image_digest;
  std::vector<std::string> lower_dirs;  // topmost first; empty: `rootfs` as it is
  std::string rootfs;
  Fd hold;  // nothing of the store is collected while this is open
};

// Everything decided and looked up before anything is made.
struct Preparation {
  Paths paths;
  sys::Host host;
  ChosenMap map;
  Origin origin;
  ResolvedUser user;
  std::string passwd;
  std::string group;
  NetworkChoice network;
};

bool is_for(const Image& image, const oci::Platform& wanted) {
  const oci::Platform& is = image.config.platform;
  return is.os == wanted.os && is.architecture == wanted.architecture &&
         (is.variant.empty() || wanted.variant.empty() || is.variant == wanted.variant);
}

Result<Image> find_or_pull(const ImageStore& store, const RunOptions& options, const RunServices& services) {
  const std::string& policy = options.pull_policy;
  std::optional<oci::Platform> platform;
  if (!options.platform.empty()) platform = TRY(parse_platform(options.platform).context("--platform"));
  if (policy != "always" && policy != "newer") {
    std::optional<Image> image = TRY(store.find(options.image));
    if (image && (!platform || is_for(*image, *platform))) return std::move(*image);
    if (policy == "never" && image) {
      return Error(0, "image ", printable(options.image), " here is for ", image->config.platform.os, "/",
                   image->config.platform.architecture, ", not ", printable(options.platform),
                   ", and --pull never forbids fetching that; try: moss pull --platform ", printable(options.platform),
                   " ", printable(options.image));
    }
    if (policy == "never") {
      return Error(0, "no image ", printable(options.image),
                   " here, and --pull never forbids fetching it; try: moss pull ", printable(options.image));
    }
  }
  TRY(services.pull(options.image, options));
  if (std::optional<Image> image = TRY(store.find(options.image))) return std::move(*image);
  return Error(0, "image ", printable(options.image), " is gone again");
}

// An empty lowest layer with the places that moss mounts on, so that a rootfs that lacks one need not be written to.
// Made once; a container finds it whole or not at all.
Result<std::string> skeleton(const Paths& paths) {
  std::string path = paths.data + "/skeleton";
  if (sys::exists(path)) return path;
  TRY(sys::make_dirs(paths.data, 0700));
  sys::TemporaryDir staged = TRY(sys::TemporaryDir::create(paths.data, ".skeleton-"));
  if (::chmod(staged.path().c_str(), 0755) != 0) return sys_error("make ", staged.path());
  for (const char* folder : {"/dev", "/etc", "/proc", "/run", "/sys", "/tmp", "/var"}) {
    TRY(sys::make_dirs(staged.path() + folder, 0755));
  }
  for (const char* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}) {
    TRY(sys::create_file(staged.path() + file, ""));
  }
  if (::rename(staged.path().c_str(), path.c_str()) == 0) staged.keep();
  // Somebody else was quicker: theirs is as good.
  else if (errno != ENOTEMPTY && errno != EEXIST)
    return sys_error("make ", path);
  return path;
}

Result<Origin> origin_of_image(const Paths& paths, const IdMap& map, const RunOptions& options,
                               const RunServices& services) {
  ImageStore store(paths.data);
  const Image image = TRY(find_or_pull(store, options, services));
  Origin origin;
  origin.hold = TRY(store.hold());
  origin.config = image.config.config;
  origin.image_id = image.id;
  origin.image_digest = image.manifest_digest;
  origin.image_name = image.names.empty() ? image.id.substr(0, 12) : image.names.front();
  origin.lower_dirs = TRY(store.prepare_layers(image, map));
  origin.lower_dirs.push_back(TRY(skeleton(paths)));
  return origin;
}

Result<Origin> origin_of_folder(const RunOptions& options, const Paths& paths) {
  Origin origin;
  std::string path = options.image;
  // DIR:O keeps the folder as it is and writes beside it.
  const bool overlay = path.ends_with(":O");
  if (overlay) path.resize(path.size() - 2);
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return sys_error("--rootfs ", printable(path));
  path = real;
  ::free(real);
  struct stat status;
  if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return Error(ENOTDIR, "--rootfs ", printable(path));
  }
  // CVE class "root.path is /": the host itself is no rootfs.
  if (path == "/") return Error(0, "--rootfs /: that is this host itself; give a folder of its own");
  if (overlay) {
    if (path.find_first_of(":,\\") != std::string::npos) {
      return Error(0, "--rootfs ", printable(path), ":O: overlayfs takes no \":\", \",\" or \"\\\" in a path");
    }
    origin.lower_dirs = {path, TRY(skeleton(paths))};
  }
  origin.rootfs = path;
  return origin;
}

// Groups that /etc/group gives the user but the map does not hold stay away; those asked for are an error.
Result<Ok> leave_out_unmapped_groups(ResolvedUser& user, const IdMap& map, const std::vector<std::string>& asked) {
  if (!asked.empty() && map.is_single()) {
    return Error(0, "--group-add ", printable(asked.front()), ": with one id mapped there are no groups to add; get ",
                 "subordinate ids (/etc/subuid, /etc/subgid)");
  }
  std::erase_if(user.groups, [&](uint32_t gid) {
    return map.is_single() || std::none_of(map.gids.begin(), map.gids.end(), [&](const IdRange& range) {
             return gid >= range.inside && gid - range.inside < range.count;
           });
  });
  return Ok{};
}

// What is missing on this host is told once a boot, not at every run.
void note_once(const Paths& paths, const Notice& notice, const char* what, const std::string& text) {
  const std::string told = paths.run + "/told";
  if (!sys::make_dirs(told, 0700).ok()) return notice(text);
  const Result<Ok> first = sys::create_file(told + "/" + what, "");
  if (first.ok() || first.error().code() != EEXIST) notice(text);
}

Result<Preparation> prepare(const RunOptions& options, const RunServices& services) {
  Preparation p;
  p.paths = TRY(find_paths());
  p.host = TRY(sys::probe_host());
  p.map = TRY(choose_id_map(options, p.host));
  if (!p.map.notice.empty()) note_once(p.paths, services.notice, "ids", p.map.notice);
  if (p.map.map) {
    const std::vector<std::string> groups = TRY(check_remaining_groups(*p.map.map, options.allow_groups));
    if (!groups.empty()) {
      services.notice(cat("your groups could not be dropped and count inside too: ", join(groups, ", ")));
    }
  }
  p.origin = options.rootfs ? TRY(origin_of_folder(options, p.paths))
                            : TRY(origin_of_image(p.paths, p.map.map ? *p.map.map : every_id(), options, services));
  const LayeredRoot root(p.origin.lower_dirs.empty() ? std::vector{p.origin.rootfs} : p.origin.lower_dirs);
  p.passwd = TRY(root.read("/etc/passwd", kMaxPasswdBytes)).value_or("");
  p.group = TRY(root.read("/etc/group", kMaxPasswdBytes)).value_or("");
  std::string user = options.user.empty() ? p.origin.config.user : options.user;
  if (user.empty() && p.map.keeps_id) {
    const auto inside = [](const std::vector<IdRange>& ranges, uint32_t outside) {
      for (const IdRange& range : ranges) {
        if (range.outside == outside && range.count == 1) return range.inside;
      }
      return uint32_t{0};
    };
    user = cat(inside(p.map.map->uids, p.host.uid), ":", inside(p.map.map->gids, p.host.gid));
  }
  p.user = TRY(resolve_user(user, p.passwd, p.group, options.group_add));
  if (p.map.map) TRY(leave_out_unmapped_groups(p.user, *p.map.map, options.group_add));
  p.network = TRY(choose_network(options, p.paths, services.notice));
  if (!p.network.why_none.empty()) {
    note_once(p.paths, services.notice, "network", cat("containers get no network: ", p.network.why_none));
  }
  return p;
}

struct Made {
  Bundle bundle;
  runtime::Plan plan;
  ContainerRecord record;
};

Result<Made> make(const Preparation& p, const RunOptions& options, const std::string& id, const std::string& name,
                  const std::string& live, const std::string& lasting) {
  Made made;
  made.bundle = TRY(make_bundle({
      .options = options,
      .host = p.host,
      .image = p.origin.config,
      .map = p.map.map.value_or(IdMap{}),
      .user = p.user,
      .network = p.network.mode,
      .id = id,
      .live = live,
      .lasting = lasting,
      .lower_dirs = p.origin.lower_dirs,
      .rootfs = p.origin.rootfs,
      // Read-only all through: nothing could be written to an upper folder.
      .writable_layer = true,
  }));
  SeccompChoice seccomp = TRY(choose_seccomp(options.security_opts, options.privileged,
                                             made.bundle.config.process.capabilities->bounding, p.paths));
  made.record = {
      .id = id,
      .name = name,
      .image = p.origin.image_name,
      .image_id = p.origin.image_id,
      .image_digest = p.origin.image_digest,
      .rootfs = options.rootfs ? p.origin.rootfs : "",
      .command = made.bundle.command,
      .entrypoint_words = (options.entrypoint ? *options.entrypoint : p.origin.config.entrypoint).size(),
      .user = options.user.empty() ? p.origin.config.user : options.user,
      .created = now_rfc3339(),
      .remove = options.remove,
      .terminal = options.terminal,
      .interactive = options.interactive,
      .privileged = options.privileged,
      .stop_signal = made.bundle.stop_signal,
      .built_in_init = options.built_in_init,
      .preserve_fds = options.preserve_fds,
      .network = to_string(p.network.mode),
      .ports = describe_ports(p.network),
      .seccomp_profile = seccomp.name,
  };
  for (const std::string& label : options.labels) {
    const auto [key, value] = cut(label, '=');
    made.record.labels[std::string(key)] = value.value_or("");
  }
  for (const auto& [key, value] : p.origin.config.labels) made.record.labels.try_emplace(key, value);
  made.bundle.config.linux.seccomp = std::move(seccomp.policy);
  made.plan = TRY(runtime::plan(made.bundle.config, p.host,
                                {
                                    .bundle = live,
                                    .built_in_init = options.built_in_init,
                                    .await_network = p.network.mode == NetworkMode::private_net,
                                    .preserve_fds = options.preserve_fds,
                                    .seccomp = std::move(seccomp.filter),
                                    .seccomp_flags = seccomp.flags,
                                    .optional_binds = made.bundle.optional_binds,
                                }));
  return made;
}

// A user or group that the image does not know gets a line, so that whoami and ls have a name to show.
Result<Ok> write_users(const Preparation& p, const std::string& live) {
  const auto with_newline = [](std::string text) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    return text;
  };
  const std::string name = p.map.keeps_id ? sys::user_name(p.host.uid) : std::to_string(p.user.uid);
  if (!p.user.in_passwd) {
    TRY(sys::create_file(live + "/passwd", cat(with_newline(p.passwd), name, ":*:", p.user.uid, ":", p.user.gid, ":",
                                               name, ":", p.user.home, ":/bin/sh\n")));
  }
  if (!p.user.in_group) {
    TRY(sys::create_file(live + "/group",
                         cat(with_newline(p.group), p.user.gid == p.user.uid ? name : cat("group", p.user.gid),
                             ":x:", p.user.gid, ":\n")));
  }
  return Ok{};
}

// hosts, hostname, resolv.conf and the rest of what is bound over /etc; the folders that are mounted on or written to.
Result<Ok> write_files(const Preparation& p, const Made& made, const OwnedContainer& container) {
  const oci::Config& config = made.bundle.config;
  const std::string live = container.live();
  for (const std::string& folder : made.bundle.folders) {
    // The writable layer is what "/" looks like from inside; everything else only moss sees.
    TRY(sys::make_dirs(folder, folder.ends_with("/upper") ? 0755 : 0700));
    // Real root is nobody inside: what the container writes to must belong to its own root.
    if (p.host.uid == 0 && p.map.map && !p.map.map->uids.empty() &&
        ::chown(folder.c_str(), p.map.map->uids.front().outside, p.map.map->gids.front().outside) != 0) {
      return sys_error("give ", folder, " to the container's root");
    }
  }
  TRY(sys::create_file(live + "/hosts", hosts_file(p.network, config.hostname)));
  const std::string resolv_conf = TRY(resolv_conf_file(p.network));
  TRY(sys::create_file(live + "/resolv.conf", resolv_conf));
  if (!config.hostname.empty()) TRY(sys::create_file(live + "/hostname", config.hostname + "\n"));
  return write_users(p, live);
}

// stdin, stdout and stderr of the workload, and our ends of them.
struct Stdio {
  Fd null;
  Fd stdout_inside, stdout_outside;
  Fd stderr_inside, stderr_outside;
};

Result<Stdio> make_stdio(const RunOptions& options) {
  Stdio stdio;
  // Without -i the workload reads an empty stdin, not the caller's.
  if (!options.interactive || options.detach) stdio.null = TRY(sys::open_at(AT_FDCWD, "/dev/null", O_RDWR));
  if (options.terminal || (options.remove && !options.detach)) return stdio;
  sys::Pipe output = TRY(sys::make_pipe());
  stdio.stdout_outside = std::move(output.reading);
  stdio.stdout_inside = std::move(output.writing);
  sys::Pipe errors = TRY(sys::make_pipe());
  stdio.stderr_outside = std::move(errors.reading);
  stdio.stderr_inside = std::move(errors.writing);
  return stdio;
}

Result<Fd> open_log(const OwnedContainer& container, const RunOptions& options) {
  // With --rm in the foreground nobody could ever read it.
  if (options.remove && !options.detach) return Fd();
  return sys::open_at(AT_FDCWD, container.folder() + "/ctr.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
}

// What a full disk, or a full runtime folder, means here and what helps.
template <typename T>
Result<T> or_say_full(Result<T> result, const Paths& paths) {
  if (!result.ok() && (result.error().code() == ENOSPC || result.error().code() == EDQUOT)) {
    result.error().add_context("no space left for containers in ", paths.data, " or ", paths.run,
                               " (free some, or name other folders in XDG_DATA_HOME and XDG_RUNTIME_DIR)");
  }
  return result;
}

struct Running {
  Supervision supervision;
  std::optional<NetworkHelper> network;
  ContainerState state;
};

Result<Running> start(const Preparation& p, Made& made, const RunOptions& options, OwnedContainer& container) {
  Running running;
  Stdio stdio = TRY(make_stdio(options));
  running.supervision.log = TRY(open_log(container, options));
  running.state = {
      .status = Status::running, .boot_id = sys::boot_id(), .monitor_pid = ::getpid(), .started = now_rfc3339()};
  if (!made.bundle.staging.empty()) TRY(sys::make_dirs(made.bundle.staging, 0700));
  runtime::LaunchOptions launch{
      .stdin_fd = stdio.null.get(),
      .stdout_fd = stdio.stdout_inside.get(),
      .stderr_fd = stdio.stderr_inside.get(),
  };
  // Only a process whose ids are still to be mapped waits for us before it mounts these.
  const bool waits = made.plan.id_map.has_value();
  if (!waits) TRY(or_say_full(write_files(p, made, container), p.paths));
  launch.meanwhile = [&, waits](pid_t init) -> Result<Ok> {
    if (waits) TRY(or_say_full(write_files(p, made, container), p.paths));
    TRY(or_say_full(container.write_record(made.record), p.paths));
    if (made.record.seccomp_profile.empty()) {
      // For whoever runs the bundle next; ours is compiled already.
      made.bundle.config.linux.seccomp =
          runtime::default_seccomp_policy(made.bundle.config.process.capabilities->bounding);
    }
    TRY(sys::create_file(container.folder() + "/config.json", oci::encode_config(made.bundle.config), 0600));
    running.state.pid = init;
    running.state.start_ticks = sys::start_time_of(init).value_or(0);
    return container.write_state(running.state);
  };
  if (p.network.mode == NetworkMode::private_net) {
    launch.start_network = [&](pid_t init) -> Result<Ok> {
      running.network =
          TRY(NetworkHelper::start(init, p.network.ports, p.network.tool,
                                   {.program = p.network.program, .runtime_folder = p.network.runtime_folder}));
      return Ok{};
    };
    launch.await_network = [&] { return running.network->wait_ready(); };
  }
  Result<runtime::Launched> made_process = runtime::launch(made.plan, launch);
  // It can be seen a moment before it runs, and `moss rm --force` or `moss kill` end it then, too.
  if (!made_process.ok() && made_process.error().code() == EPIPE) {
    return Error(0, "the container's process was killed before it ran its command");
  }
  runtime::Launched launched = TRY(std::move(made_process));
  running.supervision.init = std::move(launched.init);
  running.supervision.terminal = std::move(launched.terminal);
  running.supervision.stdout_pipe = std::move(stdio.stdout_outside);
  running.supervision.stderr_pipe = std::move(stdio.stderr_outside);
  // Only a next mount would look at these, and there is none; removing them now costs nobody time at the end.
  if (options.remove) container.clear_overlay_marks();
  return running;
}

Result<Ok> write_id_files(const RunOptions& options, const std::string& id, pid_t init) {
  if (!options.pidfile.empty()) TRY(sys::replace_file(options.pidfile, std::to_string(init)).context("--pidfile"));
  if (!options.cidfile.empty()) TRY(sys::create_file(options.cidfile, id).context("--cidfile"));
  return Ok{};
}

// Letters, digits and some of "_.-", a letter or digit first: a name becomes a file's name and a word of commands.
bool is_container_name(std::string_view name) {
  static constexpr std::string_view kFirst = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  return kFirst.find(name.front()) != std::string_view::npos && name.size() <= 200 &&
         name.find_first_not_of(cat(kFirst, "_.-")) == std::string_view::npos;
}

// RFC 1123, and the underscore that people use; it also stands in /etc/hosts inside.
bool is_hostname(std::string_view name) { return is_container_name(name) && name.size() <= 64; }

Result<Ok> check_options(const RunOptions& options) {
  if (!options.name.empty() && !is_container_name(options.name)) {
    return Error(0, "--name ", printable(options.name),
                 ": a name is made of letters, digits and _.-, a letter or digit first");
  }
  if (!options.hostname.empty() && !is_hostname(options.hostname)) {
    return Error(0, "--hostname ", printable(options.hostname),
                 ": a host name is made of at most 64 letters, digits and _.-, a letter or digit first");
  }
  for (const char* policy : {"missing", "always", "never", "newer"}) {
    if (options.pull_policy != policy) continue;
    if (!options.cidfile.empty() && sys::exists(options.cidfile)) {
      return Error(0, "--cidfile ", printable(options.cidfile), " exists already; remove it first");
    }
    return Ok{};
  }
  return Error(0, "--pull ", printable(options.pull_policy), ": use always, missing, never or newer");
}

// The descriptors 3 … 2+n are the caller's word; ours came later and lie above them.
Result<Ok> check_preserved_fds(uint32_t count) {
  for (uint32_t fd = 3; fd < 3 + count; ++fd) {
    if (::fcntl(static_cast<int>(fd), F_GETFD) < 0) {
      return Error(EBADF, "--preserve-fds ", count, ": descriptor ", fd, " is not open");
    }
  }
  return Ok{};
}

Result<int> run_attached(const Preparation& p, Made& made, const RunOptions& options, const RunServices& services,
                         OwnedContainer& container, const std::function<void(const std::string&)>& started) {
  TRY(block_signals());
  Running running = TRY(start(p, made, options, container));
  TRY(write_id_files(options, container.id(), running.supervision.init.pid()));
  started(container.id());
  running.supervision.from_caller = options.terminal && options.interactive;
  sys::Exit exit;
  {
    const std::optional<RawTerminal> raw = options.terminal && options.interactive
                                               ? std::optional<RawTerminal>(std::in_place, STDIN_FILENO)
                                               : std::nullopt;
    exit = TRY(supervise(std::move(running.supervision), services.notice));
  }
  running.state.exit_code = exit.shell_code();
  TRY(finish(container, running.state, p.map.map.value_or(IdMap{})));
  return exit.shell_code();
}

// The monitor's half of a detached run: never returns.
[[noreturn]] void be_monitor(const Preparation& p, Made& made, const RunOptions& options, OwnedContainer& container,
                             int report) {
  const auto fail = [&](const Error& error) {
    (void)container.remove(p.map.map.value_or(IdMap{}));
    (void)sys::write_all(report, cat(error.exit_code().value_or(125), "\n", error.to_string()), "report");
    ::_exit(1);
  };
  ::setsid();
  if (Result<Ok> blocked = block_signals(); !blocked.ok()) fail(blocked.error());
  Result<Running> running = start(p, made, options, container);
  if (!running.ok()) fail(running.error());
  if (Result<Ok> written = write_id_files(options, container.id(), running->supervision.init.pid()); !written.ok()) {
    // It may be writing to what is removed now.
    running->supervision.init.kill_and_reap();
    fail(written.error());
  }
  (void)sys::write_all(report, "0\n", "report");
  ::close(report);
  become_monitor(container, std::move(running->supervision), std::move(running->network));
}

Result<int> run_detached(const Preparation& p, Made& made, const RunOptions& options, OwnedContainer& container,
                         const std::function<void(const std::string&)>& started) {
  auto [reading, writing] = TRY(sys::make_pipe());
  const pid_t monitor = ::fork();
  if (monitor < 0) return sys_error("fork");
  if (monitor == 0) {
    reading.reset();
    be_monitor(p, made, options, container, writing.get());
  }
  writing.reset();
  std::string report;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(reading.get(), buffer, sizeof buffer)) != 0) {
    if (got < 0 && errno != EINTR) return sys_error("listen to the monitor");
    if (got > 0) report.append(buffer, static_cast<size_t>(got));
  }
  const auto [code_text, message] = cut(report, '\n');
  const auto code = parse_number<int>(code_text);
  if (!code || !message) return Error(0, "the monitor died before the container ran");
  if (*code != 0) return Error(0, *message).with_exit_code(*code);
  started(container.id());
  return 0;
}

}  // namespace

Result<int> run_container(const RunOptions& options, const RunServices& services,
                          const std::function<void(const std::string& id)>& started) {
  TRY(check_options(options));
  TRY(check_preserved_fds(options.preserve_fds));
  const Preparation p = TRY(prepare(options, services));
  OwnedContainer container =
      TRY(or_say_full(OwnedContainer::create(p.paths, options.remove, options.name, options.replace), p.paths));
  const IdMap map = p.map.map.value_or(IdMap{});
  const auto clean_up = [&](Error error) {
    (void)container.remove(map);
    return error;
  };
  Result<Made> made = make(p, options, container.id(), container.name(), container.live(), container.lasting());
  if (!made.ok()) return clean_up(std::move(made).error());
  Result<int> code = options.detach ? run_detached(p, *made, options, container, started)
                                    : run_attached(p, *made, options, services, container, started);
  if (!code.ok()) return clean_up(std::move(code).error());
  return code;
}

Result<std::string> explain_run(const RunOptions& options, const RunServices& services) {
  const Preparation p = TRY(prepare(options, services));
  const std::string id(64, '0');
  const Made made = TRY(make(p, options, id, options.name, p.paths.live_containers() + "/" + id,
                             p.paths.lasting_containers() + "/" + id));
  return runtime::to_string(made.plan);
}

}  // namespace moss::engine
