// One container that lives beyond the process that made it: its folder of state, and what the runtime's verbs do to it.
//
//   create ──▶ created ──start──▶ running ──▶ stopped ──delete──▶ gone          run = all of it in one process
//
// The folder, ROOT/ID, is the container's name: who makes it has the name. In it are
//   state.json    the record (oci::ContainerRecord), written and renamed
//   config.json   the bundle's config as it was at create; what is changed later has no effect
//   init.lock     locked (flock) by process 1 from before its birth to its execve, and by its creator
//   start.sock    where process 1 waits for `start`
//   notify/       what it sees at /run/notify, if somebody waits to hear that it is ready (sd_notify(3))
// and the folder itself is locked by a verb that changes something.
//
// What may change is asked of the kernel, never remembered: a locked init.lock is a container that is being created or
// waits for its start; a dead process 1 is a stopped one. So no verb that is killed leaves a wrong word behind, and a
// record without process and lock is that of a killed creator, which `delete --force` clears. See
// runtime/container/README.md.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/oci/config.hh"
#include "moss/oci/state.hh"
#include "moss/runtime/cgroup.hh"
#include "moss/runtime/launch.hh"

namespace moss::runtime {

/// Where containers are kept: `given` (--root), else /run/moss-oci for the machine's root, else
/// $XDG_RUNTIME_DIR/moss-oci; without that variable the same place is guessed from the user's number, by which the user
/// namespace maps root where we are one, so that every call finds it. `rootless`: not /run, whoever we are.
/// Does not make it.
Result<std::string> state_root(const std::string& given, bool rootless);

/// Letters, digits and _+-. and no dot first (crun's rule; runc allows one).
bool is_container_id(std::string_view id);

enum class Status { creating, created, running, paused, stopped };
const char* to_string(Status status);

/// A container as found: what was remembered of it, and what the kernel says now.
struct Container {
  std::string root;
  std::string id;
  std::string folder;  ///< ROOT/ID
  Fd dir;
  /// A folder without one is what a killed creator or deleter left: `creating` or `stopped`, with an empty record.
  oci::ContainerRecord record;
  Status status = Status::stopped;
  Fd pidfd;  ///< of process 1 while it lives

  /// The runtime-spec's state.
  oci::State state() const;
};

/// Errors: `container "x" does not exist` (code ENOENT is left out: clients compare words); a damaged record.
Result<Container> find_container(const std::string& root, const std::string& id);
/// The ids in `root`, sorted. None where there is no such folder.
Result<std::vector<std::string>> list_containers(const std::string& root);

/// The config as it was at create.
Result<oci::Config> read_config(const Container& container);

/// To be called before anything is opened, with how many descriptors from 3 up the container gets. Those of them that
/// are not open are held until execve, or one of ours would take the place of one and be handed to the container. They
/// are what comes back: "5, 7"; crun too goes on without them.
Result<std::string> hold_preserved(uint32_t preserve);

// ---- making one ----

struct CreateOptions {
  std::string root;
  std::string id;
  std::string bundle;       ///< folder with config.json
  std::string config_file;  ///< empty: BUNDLE/config.json
  std::string pid_file;
  std::string console_socket;
  std::string pidfd_socket;
  uint32_t preserve_fds = 0;
  uint32_t listen_fds = 0;  ///< of those, the ones that LISTEN_FDS tells of
  bool no_pivot = false;    ///< see PlanOptions::chroot_over_mounts
  bool new_keyring = true;
  CgroupManager cgroup_manager = CgroupManager::cgroupfs;
  bool rootless = false;  ///< as the caller says; an ordinary user is it anyhow
  /// $NOTIFY_SOCKET: a service manager that waits for READY=1 of the workload, which gets a socket to say it over,
  /// unless its environment has one. It is told of it by start_container(), run_detached() or the thread of a
  /// RunningContainer.
  std::string notify_socket;
};

/// A warning or the like, for the log.
using Note = std::function<void(const std::string&)>;

/// `create`. When it returns, process 1 waits for its start and belongs to whoever reaps the caller's orphans.
/// On an error nothing is left. Errors: the id is taken; what is wrong with config.json; the failed step.
Result<Ok> create_container(const CreateOptions& options, const Note& note);

/// `run --detach`: the same, but it runs. With a notify_socket returns when the workload is ready, or has ended.
Result<Ok> run_detached(const CreateOptions& options, const Note& note);

/// `run`: the caller waits for launched().init and then calls finish() (or lets the value go): the container goes.
class RunningContainer {
 public:
  static Result<RunningContainer> start(const CreateOptions& options, const Note& note);
  RunningContainer(RunningContainer&&) = default;
  RunningContainer& operator=(RunningContainer&&) = delete;
  ~RunningContainer();

  Launched& launched() { return launched_; }
  /// Removes what is left of it and runs its poststop hooks. `keep`: the record stays, as that of a stopped container.
  Result<Ok> finish(bool keep);

 private:
  RunningContainer() = default;
  std::string root_;
  std::string id_;
  Launched launched_;
  std::thread readiness_;  ///< ends with process 1
  Note note_;
};

// ---- what is done to one ----

/// `notify_socket`: $NOTIFY_SOCKET. If create had one too, returns when the workload is ready, or has ended; that
/// nobody listens there is noted. Errors: not created (or started already), the failed step, a poststart hook (the
/// container is then stopped).
Result<Ok> start_container(const Container& container, const std::string& notify_socket, const Note& note);

/// `kill`. `all`: every process of the container. Errors: "container not running".
Result<Ok> kill_container(const Container& container, int signal, bool all);

/// `delete`. `force` kills it first, and what is not there is no error. Waits until everything is gone.
/// Errors: not stopped; does not exist.
Result<Ok> delete_container(const std::string& root, const std::string& id, bool force, const Note& note);

/// Every process of the container, by the caller's pid namespace.
Result<std::vector<pid_t>> container_processes(const Container& container);

/// `mounts add`: the mounts are made in the running container, in their order, as they would have been at create; the
/// container's root folder is not looked at by path. Nothing is attached where one cannot be prepared; where one cannot
/// be attached, those before it stay. Errors: not running; what is wrong with them; the failed step.
Result<Ok> add_mounts(const Container& container, std::vector<oci::Mount> mounts);

/// `mounts remove`: only their destinations count. Errors: not running; nothing is mounted there.
Result<Ok> remove_mounts(const Container& container, const std::vector<oci::Mount>& mounts);

struct ExecOptions {
  oci::Process process;
  bool detach = false;
  std::string pid_file;
  std::string console_socket;
  std::string pidfd_socket;
  std::string cgroup;  ///< below the container's own
  uint32_t preserve_fds = 0;
  bool ignore_paused = false;
};

/// `exec`. Attached, the caller waits for Launched::init; detached, it is on its own.
/// Errors: the container is not running, or paused; the failed step.
Result<Launched> exec_in_container(const Container& container, const ExecOptions& options, const Note& note);

}  // namespace moss::runtime
