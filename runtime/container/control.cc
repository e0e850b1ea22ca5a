// What is done to a container that is there: start, kill, delete.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "moss/runtime/container.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "runtime/container/folder.hh"
#include "runtime/container/lifecycle.hh"
#include "runtime/container/notify.hh"

namespace moss::runtime {

namespace {

constexpr int kPatienceMs = 10'000;
constexpr int kSoonMs = 200;

// One verb at a time changes a container. Whoever holds the lock for longer than that is stuck.
Result<Ok> lock_folder(const Container& container) {
  for (int waited_ms = 0; ::flock(container.dir.get(), LOCK_EX | LOCK_NB) != 0; waited_ms += 5) {
    if (errno != EWOULDBLOCK && errno != EINTR) return sys_error("lock ", container.folder);
    if (waited_ms >= kPatienceMs) return Error(EBUSY, "container \"", container.id, "\" is held by another command");
    const timespec pause{.tv_sec = 0, .tv_nsec = 5'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return Ok{};
}

// A container under its lock, and as it is since then.
struct Locked {
  Container holder;
  Container now;
};

// Whoever had the lock before us may have deleted it, and another one may have its id: then that is the one.
Result<Locked> lock_container(Container found) {
  while (true) {
    TRY(lock_folder(found));
    Container now = TRY(find_container(found.root, found.id));
    struct stat held, named;
    if (::fstat(found.dir.get(), &held) != 0 || ::fstat(now.dir.get(), &named) != 0) {
      return sys_error("look at ", found.folder);
    }
    if (held.st_ino == named.st_ino && held.st_dev == named.st_dev) return Locked{std::move(found), std::move(now)};
    found = std::move(now);
  }
}

// Whoever looks sees a container before its creator is done. Its lock does not tell when that is: its process keeps it
// until it has been started.
Result<Container> once_made(Container now) {
  for (int waited_ms = 0; now.status == Status::creating && waited_ms < kPatienceMs; ++waited_ms) {
    const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
    ::nanosleep(&pause, nullptr);
    now = TRY(find_container(now.root, now.id));
  }
  return now;
}

// Nobody of it is on the way to execve any more: neither creator nor child.
bool wait_until_unlocked(const Container& container) {
  for (int waited_ms = 0; is_init_locked(container.dir.get()); ++waited_ms) {
    if (waited_ms >= kPatienceMs) return false;
    const timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
    ::nanosleep(&pause, nullptr);
  }
  return true;
}

bool has_ended(int pidfd, int timeout_ms) {
  pollfd ended{.fd = pidfd, .events = POLLIN, .revents = 0};
  int ready;
  do {
    ready = ::poll(&ended, 1, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

ino_t pid_namespace_of(pid_t pid) {
  struct stat status;
  return ::stat(cat("/proc/", pid, "/ns/pid").c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

Result<Ok> start_container(const Container& container, const std::string& notify_socket, const Note& note) {
  Container found = TRY(find_container(container.root, container.id));
  auto [holder, now] = TRY(lock_container(std::move(found)));
  now = TRY(once_made(std::move(now)));
  if (now.status != Status::created) {
    return Error(0, "start container \"", container.id, "\": it is not created but ", to_string(now.status));
  }
  Fd readiness;
  if (!notify_socket.empty() && has_notify_folder(now.dir.get())) {
    readiness = TRY(bind_notify_socket(now.dir.get()).context("start container \"", container.id, "\""));
  }
  Result<Fd> connected = connect_to_init(now.dir.get()).context("start container \"", container.id, "\"");
  if (!connected.ok() && connected.error().code() == ENOENT) {
    // One of `run` waits for nobody, and is on its way.
    return Error(0, "start container \"", container.id, "\": it is not created but running");
  }
  const Fd socket = TRY(std::move(connected));
  const RemainingSteps steps{now.record.first_step, now.record.steps, now.record.command};
  const auto on_listener = [&](Fd listener) -> Result<Ok> {
    const oci::Config config = TRY(read_config(now));
    if (!config.linux.seccomp) return Error(EPROTO, "the container's process speaks out of turn");
    return hand_on_listener(*config.linux.seccomp, now.record, "created", static_cast<pid_t>(now.record.pid),
                            listener.get());
  };
  TRY(start_waiting(socket.get(), steps, on_listener).context("start container \"", container.id, "\""));
  // execve closes one descriptor after the other: before the lock is gone too, the state would still be "created".
  (void)wait_until_unlocked(now);
  TRY(run_poststart(now));
  if (!readiness) return Ok{};
  // Whoever wants to delete it need not wait for what may never come.
  (void)::flock(holder.dir.get(), LOCK_UN);
  const Result<Ok> told =
      hand_on_readiness(readiness.get(), now.pidfd.get(), notify_socket, static_cast<pid_t>(now.record.pid));
  if (!told.ok() && note) note(told.error().to_string());
  return Ok{};
}

Result<std::vector<pid_t>> container_processes(const Container& container) {
  std::vector<pid_t> found;
  if (container.status == Status::stopped || container.status == Status::creating) return found;
  if (!container.record.cgroup.empty()) return cgroup_processes(container.record.cgroup);
  const auto init = static_cast<pid_t>(container.record.pid);
  if (!container.record.own_pid_namespace) {
    found.push_back(init);
    return found;
  }
  const ino_t wanted = pid_namespace_of(init);
  if (wanted == 0) return sys_error("look at the container's pid namespace");
  for (const std::string& name : TRY(sys::list_dir("/proc"))) {
    const auto pid = parse_number<pid_t>(name);
    if (pid && pid_namespace_of(*pid) == wanted) found.push_back(*pid);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Result<Ok> kill_container(const Container& container, int signal, bool all) {
  const oci::CgroupRecord& cgroup = container.record.cgroup;
  if (container.status == Status::stopped || container.status == Status::creating) {
    // Without a pid namespace of its own others may outlive process 1.
    if (all && !cgroup.empty() && !TRY(cgroup_processes(cgroup)).empty()) return kill_cgroup(cgroup, signal);
    // All of none: shims make sure in this way that nothing is left.
    if (all && container.status == Status::stopped) return Ok{};
    return Error(0, "container not running: \"", container.id, "\" is ", to_string(container.status));
  }
  if (all && !cgroup.empty()) return kill_cgroup(cgroup, signal);
  const bool takes_all_along = signal == SIGKILL && container.record.own_pid_namespace;
  if (all && !takes_all_along) {
    for (const pid_t pid : TRY(container_processes(container))) {
      if (pid != container.record.pid) (void)::kill(pid, signal);
    }
  }
  // A process that is frozen by cgroup v1 does not even die. With v2 it does, and systemd removes its cgroup at once.
  if (signal == SIGKILL && container.status == Status::paused) {
    TRY(sys::send_signal(container.pidfd.get(), signal));
    Result<Ok> thawed = thaw_cgroup(cgroup);
    if (!thawed.ok() && has_ended(container.pidfd.get(), 0)) return Ok{};
    return thawed;
  }
  Result<Ok> sent = sys::send_signal(container.pidfd.get(), signal);
  if (!sent.ok() && sent.error().code() == ESRCH) return Error(0, "container not running: \"", container.id, "\"");
  return sent;
}

namespace {

// A record that cannot be read names no process. While nobody waits in it, there is nothing but a folder.
Result<Ok> clear_damaged(const std::string& root, const std::string& id) {
  const std::string folder = cat(root, "/", id);
  const Fd dir = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (is_init_locked(dir.get())) return Error(EBUSY, "its process waits for its start");
  return remove_folder(folder, dir.get());
}

Result<Ok> delete_found(const Container& container, bool force, const Note& note) {
  if (!force && container.status != Status::stopped)
    return Error(0, "it is not stopped but ", to_string(container.status));
  const oci::CgroupRecord& cgroup = container.record.cgroup;
  if (!cgroup.empty() && force) TRY(kill_cgroup(cgroup, SIGKILL));
  if (container.pidfd) {
    (void)sys::send_signal(container.pidfd.get(), SIGKILL);
    // A process that somebody froze in another cgroup of v1 does not even die.
    if (!cgroup.empty() && !has_ended(container.pidfd.get(), kSoonMs)) {
      TRY(free_from_freezer(cgroup, static_cast<pid_t>(container.record.pid)));
    }
    if (!has_ended(container.pidfd.get(), kPatienceMs)) {
      return Error(EBUSY, "process ", container.record.pid, " does not end");
    }
  }
  // A creator that was killed may have a child for a moment longer.
  if (!wait_until_unlocked(container)) return Error(EBUSY, "it is being created");
  oci::Config config;
  if (container.record.has_poststop) {
    Result<oci::Config> kept = read_config(container);
    if (!kept.ok() && note) note(kept.error().to_string());
    if (kept.ok()) config = std::move(kept).value();
  }
  TRY(remove_resctrl_groups({.folders = {}, .made = container.record.resctrl}));
  TRY(remove_cgroup(cgroup));
  TRY(remove_folder(container.folder, container.dir.get()));
  run_poststop(config.hooks, container.record, note);
  return Ok{};
}

}  // namespace

Result<Ok> delete_container(const std::string& root, const std::string& id, bool force, const Note& note) {
  Result<Container> found = find_container(root, id);
  if (!found.ok()) {
    struct stat status;
    const bool is_there = is_container_id(id) && ::lstat(cat(root, "/", id).c_str(), &status) == 0;
    if (!force) return found.error();
    return is_there ? clear_damaged(root, id).context(found.error().to_string()) : Result<Ok>(Ok{});
  }
  Result<Locked> locked = lock_container(std::move(found).value());
  // Somebody may have been faster: there is no such container any more, an error without a code.
  if (!locked.ok()) return force && locked.error().code() == 0 ? Result<Ok>(Ok{}) : Result<Ok>(locked.error());
  Result<Container> now = force ? once_made(std::move(locked->now)) : std::move(locked->now);
  if (!now.ok()) return now.error().code() == 0 ? Result<Ok>(Ok{}) : Result<Ok>(now.error());
  return delete_found(*now, force, note).context("delete container \"", id, "\"");
}

}  // namespace moss::runtime
