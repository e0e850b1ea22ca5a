// Containers, many of them: making, running, looking at and ending them.
//
// A container is two folders. What must last (its record, bundle, writable layer, log) lies in `<data>/containers/ID`;
// what is only true while it runs (process ids, its lock) in `<run>/containers/ID`, on a tmpfs. With --rm all but the
// writable layer lies on the tmpfs. Whoever runs a container holds a lock on it until the end, and the kernel lets go
// of it with the process: a container whose record says "running" and whose lock is free is known to be dead.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/paths.hh"
#include "moss/oci/config.hh"
#include "moss/sys/host.hh"

namespace moss::engine {

/// What never changes after a container was made. `<folder>/container.json`.
struct ContainerRecord {
  std::string id;  ///< 64 hex digits
  std::string name;
  std::string image;                 ///< as it was named, e.g. "docker.io/library/alpine:latest"; empty with --rootfs
  std::string image_id;              ///< config digest, hex
  std::string image_digest;          ///< its manifest's, "sha256:…"
  std::string rootfs;                ///< with --rootfs: the folder
  std::vector<std::string> command;  ///< what runs: entrypoint and arguments
  size_t entrypoint_words = 0;       ///< how many words of it are the entrypoint
  std::string user;                  ///< as -u or the image wrote it; empty: root
  std::string created;               ///< RFC 3339, UTC
  bool remove = false;               ///< --rm
  bool terminal = false;
  bool interactive = false;
  bool privileged = false;
  int stop_signal = 15;
  unsigned stop_timeout_s = 10;
  bool built_in_init = false;
  uint32_t preserve_fds = 0;
  std::string network;             ///< "none", "host", "private"
  std::vector<std::string> ports;  ///< "127.0.0.1:8080->80/tcp"
  std::map<std::string, std::string> labels;
  std::string seccomp_profile;  ///< path; empty: the default; "unconfined"
};

enum class Status { created, running, exited };
const char* to_string(Status status);

/// What changes. `<run>/containers/ID/state.json`, or `<data>/…` once it has ended for good.
struct ContainerState {
  Status status = Status::created;
  int64_t pid = 0;           ///< process 1, as the host counts; 0 when not running
  uint64_t start_ticks = 0;  ///< its start time, field 22 of /proc/PID/stat: the number alone may be somebody else's
  std::string boot_id;
  int64_t monitor_pid = 0;
  int exit_code = 0;
  std::string started;  ///< RFC 3339, UTC; empty: never
  std::string finished;
  std::string error;  ///< why it could not be started
};

struct Container {
  ContainerRecord record;
  ContainerState state;
  std::string folder;  ///< where record, bundle and log are
};

/// Everything `moss run` may say about a container.
struct RunOptions {
  std::string image;
  std::vector<std::string> command;

  std::string name;
  bool replace = false;
  bool remove = false;
  bool detach = false;
  bool interactive = false;
  bool terminal = false;
  bool quiet = false;
  bool built_in_init = false;
  bool privileged = false;
  bool read_only = false;
  bool rootfs = false;  ///< `image` is a folder
  std::string pull_policy = "missing";
  std::string platform;

  std::optional<std::vector<std::string>> entrypoint;
  std::vector<std::string> env;  ///< "NAME=value", or "NAME" to take the caller's
  std::vector<std::string> env_files;
  std::string working_dir;
  std::string user;
  std::vector<std::string> group_add;
  std::string hostname;
  std::string umask;
  std::string stop_signal;

  std::vector<std::string> volumes;  ///< -v
  std::vector<std::string> mounts;   ///< --mount
  std::vector<std::string> tmpfs;    ///< --tmpfs
  std::string shm_size;

  std::string network;  ///< empty: the default
  std::vector<std::string> publish;

  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  std::vector<std::string> security_opts;
  std::vector<std::string> sysctls;
  std::vector<std::string> ulimits;

  std::string userns;
  std::vector<std::string> uidmap;
  std::vector<std::string> gidmap;
  bool allow_groups = false;  ///< run with groups of the caller that could not be dropped
  std::string pid;
  std::string ipc;
  std::string uts;
  std::string cgroupns;

  std::vector<std::string> labels;
  std::vector<std::string> annotations;
  std::string cidfile;
  std::string pidfile;
  uint32_t preserve_fds = 0;
};

struct ExecOptions {
  std::string container;
  std::vector<std::string> command;
  bool detach = false;
  bool interactive = false;
  bool terminal = false;
  bool privileged = false;
  std::string user;
  std::string working_dir;
  std::vector<std::string> env;
  std::vector<std::string> env_files;
  uint32_t preserve_fds = 0;
};

/// A word to the user that is not the outcome: a warning, a fallback taken. Given line by line, without newline.
using Notice = std::function<void(const std::string&)>;
/// Finds the image, pulling it where the policy says so; the command line brings the progress display.
struct RunServices {
  Notice notice;
  std::function<Result<Ok>(const std::string& image, const RunOptions& options)> pull;
};

/// Runs a container to its end in the foreground and gives its exit code, or with `detach` starts it and gives 0.
/// `started` hears the id once the workload runs. Errors carry exit_code() 126 or 127 where the command is to blame.
Result<int> run_container(const RunOptions& options, const RunServices& services,
                          const std::function<void(const std::string& id)>& started);
/// The plan of what `run` would do, as text; nothing is started.
Result<std::string> explain_run(const RunOptions& options, const RunServices& services);

Result<int> exec_in_container(const ExecOptions& options, const Notice& notice);

/// All containers, oldest first; what has died unseen is noticed and, with --rm, removed.
Result<std::vector<Container>> list_containers(const Paths& paths);
/// By name, or by an id's beginning if only one has it; nothing where there is none. Error: several.
Result<std::optional<Container>> look_up_container(const Paths& paths, const std::string& name_or_id);
Error no_such_container(const std::string& name_or_id);
/// The same, where there must be one.
Result<Container> find_container(const Paths& paths, const std::string& name_or_id);
/// The newest one. Error: there is none.
Result<Container> latest_container(const Paths& paths);

Result<Ok> kill_container(const Container& container, int signal);
/// Sends the stop signal, waits `timeout_s`, then SIGKILL; waits for the end.
Result<Ok> stop_container(const Paths& paths, const Container& container, unsigned timeout_s, const Notice& notice);
/// Waits until it has ended; gives its exit code.
Result<int> wait_container(const Paths& paths, const Container& container);
/// Error: still running, unless `force`.
Result<Ok> remove_container(const Paths& paths, const Container& container, bool force, unsigned timeout_s);
/// What `inspect` prints of it.
Result<std::string> inspect_container_json(const Paths& paths, const Container& container);

struct LogOptions {
  bool follow = false;
  bool timestamps = false;
  std::optional<uint64_t> tail;
  std::string since;  ///< see parse_moment(); empty: from the beginning
  std::string until;  ///< the same, to the end
};
/// Gives the log piece by piece: `emit(is_stderr, text)`.
Result<Ok> read_log(const Paths& paths, const Container& container, const LogOptions& options,
                    const std::function<Result<Ok>(bool is_stderr, std::string_view text)>& emit);

/// "TERM", "SIGTERM", "15", "RTMIN+3" as a number. Error: no such signal.
Result<int> parse_signal(std::string_view text);

/// The id map the caller gets unless they ask for another: subordinate ids, or one id where there are none
/// (`why_single` says why).
struct DefaultIdMap {
  IdMap map;
  std::string why_single;
};
Result<DefaultIdMap> default_id_map(const sys::Host& host);

}  // namespace moss::engine
