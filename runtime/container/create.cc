// Making a container: create, run --detach, run.
//
// All that can be refused is refused before the name is taken. From then on whatever fails removes what was made
// (destructors), and whatever is killed leaves a record that says what is to be removed.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>

#include "moss/base/time.hh"
#include "moss/runtime/container.hh"
#include "moss/runtime/hooks.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "moss/sys/path.hh"
#include "moss/sys/thread.hh"
#include "runtime/container/folder.hh"
#include "runtime/container/handover.hh"
#include "runtime/container/lifecycle.hh"
#include "runtime/container/notify.hh"

namespace moss::runtime {

namespace {

using Life = PlanOptions::Life;

Result<std::string> absolute(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return sys_error("open bundle ", path);
  std::string resolved = real;
  ::free(real);
  return resolved;
}

HookState split_at_pid(const oci::ContainerRecord& record, const char* status) {
  const std::string json = hook_state(record, status, 0);
  // Before it stand only the version and the id, which holds no quotes.
  const size_t at = json.find("\"pid\":") + 6;
  return {json.substr(0, at), json.substr(at + 1)};
}

std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) environment.emplace_back(*variable);
  return environment;
}

bool has_hooks_inside(const oci::Hooks& hooks) {
  return !hooks.create_container.empty() || !hooks.start_container.empty();
}

// What is mounted below "/", without the first slash; the newest first, for it may lie over an older one.
Result<std::vector<std::string>> host_mounts() {
  const std::string mountinfo = TRY(sys::read_kernel_file("/proc/self/mountinfo"));
  std::vector<std::string> found;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() > 4 && fields[4].size() > 1) found.push_back(sys::unescape_mount(fields[4].substr(1)));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

// A container about to be launched.
struct Prepared {
  oci::Config config;
  std::string config_text;
  oci::ContainerRecord record;
  CgroupPlan cgroup;
  Plan plan;
  bool tells_readiness = false;
  Fd readiness;  // its NOTIFY_SOCKET, where it does not wait for a start
};

Result<Prepared> prepare(const CreateOptions& options, Life life) {
  if (!is_container_id(options.id)) {
    return Error(0, "\"", printable(options.id),
                 "\" is no container id: letters, digits and _+-. make one, and no dot comes first");
  }
  Prepared prepared;
  const std::string bundle = TRY(absolute(options.bundle));
  const std::string config_file = options.config_file.empty() ? bundle + "/config.json" : options.config_file;
  prepared.config_text = TRY(sys::read_file(config_file, kMaxConfigBytes));
  prepared.config = TRY(oci::decode_config(prepared.config_text));
  prepared.tells_readiness = TRY(hands_on_readiness(options.notify_socket, prepared.config));
  if (prepared.tells_readiness) {
    const std::string root = options.root.starts_with('/') ? options.root : TRY(absolute(".")) + "/" + options.root;
    show_notify_folder(prepared.config, cat(root, "/", options.id));
  }
  const oci::Config& config = prepared.config;
  TRY(check_console(config.process.terminal, life == Life::with_parent, options.console_socket));
  const sys::Host host = TRY(sys::probe_host());

  oci::ContainerRecord& record = prepared.record;
  record.id = options.id;
  record.bundle = bundle;
  record.rootfs = config.root.path.starts_with('/') ? config.root.path : cat(bundle, "/", config.root.path);
  record.created = now_rfc3339();
  record.owner = host.uid;
  record.annotations = config.annotations;
  record.has_poststart = !config.hooks.poststart.empty();
  record.has_poststop = !config.hooks.poststop.empty();
  for (const oci::Namespace& entry : config.linux.namespaces) {
    if (entry.type == "pid" && entry.path.empty()) record.own_pid_namespace = true;
  }

  const CgroupHost cgroups = options.cgroup_manager == CgroupManager::disabled
                                 ? CgroupHost{}
                                 : TRY(probe_cgroups(host, asks_for_limits(config)));
  prepared.cgroup = TRY(plan_cgroup(config, cgroups,
                                    {
                                        .id = options.id,
                                        .manager = options.cgroup_manager,
                                        .rootless = options.rootless,
                                    }));
  record.cgroup = prepared.cgroup.record;

  PlanOptions plan_options{
      .bundle = bundle,
      .id = options.id,
      .preserve_fds = options.preserve_fds,
      .mounts_in_order = true,
      .listen_fds = options.listen_fds,
      .session_keyring = options.new_keyring ? "_ses." + options.id : "",
      .cgroup_folders = record.cgroup.folders,
      .await_cgroup = !prepared.cgroup.empty(),
      .life = life,
  };
  if (options.no_pivot) plan_options.chroot_over_mounts = TRY(host_mounts());
  TRY(add_filter(config, options.root, plan_options));
  plan_options.hook_states = HookStates{split_at_pid(record, "creating"), split_at_pid(record, "created"), {}};
  if (!config.hooks.create_container.empty()) plan_options.hook_states->environment = own_environment();
  prepared.plan = TRY(plan(config, host, std::move(plan_options)));
  if (life == Life::waiting_for_start) {
    RemainingSteps remaining = remaining_steps(prepared.plan);
    record.steps = std::move(remaining.words);
    record.first_step = remaining.first;
    record.command = std::move(remaining.command);
  }
  return prepared;
}

// Clones the child and brings it as far as its life says. The folder's record then has its number and its cgroup.
Result<Launched> launch_into(NewFolder& folder, Prepared& prepared, int start_socket) {
  const oci::Hooks& hooks = prepared.config.hooks;
  LaunchOptions options{.start_socket = start_socket};
  std::optional<Cgroup> cgroup;
  if (!prepared.cgroup.empty()) {
    cgroup.emplace(TRY(Cgroup::prepare(std::move(prepared.cgroup))));
    options.cgroup_fd = cgroup->clone_fd();
    options.enter_cgroup = [&](pid_t init) { return cgroup->enter(init); };
  }
  Fd null;
  if (has_hooks_inside(hooks)) {
    null = TRY(sys::open_at(AT_FDCWD, "/dev/null", O_RDWR));
    options.null_fd = null.get();
  }
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty()) {
    options.runtime_hooks = [&](pid_t init) -> Result<Ok> {
      const std::string state = hook_state(prepared.record, "creating", init);
      TRY(run_hooks("prestart", hooks.prestart, state, prepared.record.bundle));
      return run_hooks("createRuntime", hooks.create_runtime, state, prepared.record.bundle);
    };
  }
  if (prepared.config.linux.seccomp) {
    options.on_seccomp_listener = [&](pid_t init, Fd listener) {
      return hand_on_listener(*prepared.config.linux.seccomp, prepared.record, "creating", init, listener.get());
    };
  }
  Launched launched = TRY(launch(prepared.plan, options));
  // From here on somebody else removes them: who deletes the container, or create() when it fails.
  prepared.record.resctrl = launched.resctrl.made;
  const Identity identity = TRY(identify(launched.init.pid(), launched.init.pidfd()));
  prepared.record.pid = identity.pid;
  prepared.record.start_time = identity.start_time;
  prepared.record.pidfd_inode = identity.pidfd_inode;
  prepared.record.boot_id = identity.boot_id;
  if (cgroup) prepared.record.cgroup = cgroup->record();
  TRY(folder.write_record(prepared.record));
  if (cgroup) (void)cgroup->keep();
  return launched;
}

Result<Ok> hand_over(const CreateOptions& options, Launched& launched) {
  if (launched.terminal && !options.console_socket.empty()) {
    TRY(send_terminal(options.console_socket, launched.terminal.get()));
    launched.terminal.reset();
  }
  TRY(send_pidfd(options.pidfd_socket, launched.init.pidfd()));
  return write_pid_file(options.pid_file, launched.init.pid());
}

// From the taking of the name to a process that is held (or, with its parent, runs).
Result<Launched> make(NewFolder& folder, Prepared& prepared, const CreateOptions& options, Life life) {
  TRY(folder.write_config(prepared.config_text));
  TRY(folder.write_record(prepared.record));
  Fd start_socket;
  if (life == Life::waiting_for_start) start_socket = TRY(folder.listen_for_start());
  if (prepared.tells_readiness) {
    TRY(make_notify_folder(folder.dir()));
    if (life != Life::waiting_for_start) prepared.readiness = TRY(bind_notify_socket(folder.dir()));
  }
  Launched launched = TRY(launch_into(folder, prepared, start_socket.get()));
  if (Result<Ok> handed = hand_over(options, launched); !handed.ok()) {
    launched.init.kill_and_reap();
    (void)remove_cgroup(prepared.record.cgroup);
    return handed.error();
  }
  return launched;
}

// A container that did not come about: its processes are gone, and nobody will delete it.
void undo(const Prepared& prepared, const Note& note) {
  (void)remove_resctrl_groups({.folders = {}, .made = prepared.record.resctrl});
  run_poststop(prepared.config.hooks, prepared.record, note);
}

void tell_warnings(const Plan& plan, const Note& note) {
  for (const std::string& warning : plan.warnings) {
    if (note) note(warning);
  }
}

// What comes back is its NOTIFY_SOCKET, if it has one and does not wait for a start.
Result<Fd> create(const CreateOptions& options, Life life, const Note& note) {
  Prepared prepared = TRY(prepare(options, life));
  tell_warnings(prepared.plan, note);
  NewFolder folder = TRY(NewFolder::claim(options.root, options.id));
  Result<Launched> launched = make(folder, prepared, options, life);
  if (!launched.ok()) {
    undo(prepared, note);
    return launched.error();
  }
  // From here on it is a container, whatever becomes of us.
  const Result<Ok> released = release(prepared.plan, *launched, [&](Fd listener) -> Result<Ok> {
    return hand_on_listener(*prepared.config.linux.seccomp, prepared.record, "creating",
                            static_cast<pid_t>(prepared.record.pid), listener.get());
  });
  if (!released.ok()) {
    launched->init.kill_and_reap();
    (void)remove_cgroup(prepared.record.cgroup);
    undo(prepared, note);
    return released.error();
  }
  folder.keep();
  return std::move(prepared.readiness);
}

}  // namespace

Result<Ok> create_container(const CreateOptions& options, const Note& note) {
  TRY(create(options, Life::waiting_for_start, note));
  return Ok{};
}

Result<Ok> run_detached(const CreateOptions& options, const Note& note) {
  const Fd readiness = TRY(create(options, Life::detached, note));
  const Container container = TRY(find_container(options.root, options.id));
  TRY(run_poststart(container));
  if (!readiness || !container.pidfd) return Ok{};
  const Result<Ok> told = hand_on_readiness(readiness.get(), container.pidfd.get(), options.notify_socket,
                                            static_cast<pid_t>(container.record.pid));
  if (!told.ok() && note) note(told.error().to_string());
  return Ok{};
}

Result<RunningContainer> RunningContainer::start(const CreateOptions& options, const Note& note) {
  Prepared prepared = TRY(prepare(options, Life::with_parent));
  tell_warnings(prepared.plan, note);
  NewFolder folder = TRY(NewFolder::claim(options.root, options.id));
  Result<Launched> launched = make(folder, prepared, options, Life::with_parent);
  if (!launched.ok()) {
    undo(prepared, note);
    return launched.error();
  }
  folder.keep();
  RunningContainer running;
  running.root_ = options.root;
  running.id_ = options.id;
  running.launched_ = std::move(launched).value();
  running.note_ = note;
  if (prepared.record.has_poststart) {
    const Container container = TRY(find_container(options.root, options.id));
    TRY(run_poststart(container));
  }
  if (!prepared.readiness) return running;
  // Not before the last process was cloned. The caller is the service's process and stays it.
  Fd pidfd(::fcntl(running.launched_.init.pidfd(), F_DUPFD_CLOEXEC, 0));
  if (!pidfd) return sys_error("hold on to the container's process");
  running.readiness_ = TRY(sys::start_thread(
      [socket = std::move(prepared.readiness), process = std::move(pidfd), to = options.notify_socket, note] {
        const Result<Ok> told = hand_on_readiness(socket.get(), process.get(), to, 0);
        if (!told.ok() && note) note(told.error().to_string());
      }));
  return running;
}

RunningContainer::~RunningContainer() {
  launched_.init.kill_and_reap();
  if (!id_.empty()) (void)finish(false);
}

Result<Ok> RunningContainer::finish(bool keep) {
  const std::string id = std::exchange(id_, {});
  if (readiness_.joinable()) readiness_.join();
  if (keep) return Ok{};
  return delete_container(root_, id, true, note_);
}

}  // namespace moss::runtime
