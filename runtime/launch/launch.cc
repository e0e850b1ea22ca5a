// The parent's side of a launch.
#include "moss/runtime/launch.hh"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/socket.hh"
#include "moss/sys/user_namespace.hh"
#include "runtime/launch/clone.hh"
#include "runtime/launch/inside.hh"
#include "runtime/launch/join.hh"
#include "runtime/launch/mounting.hh"
#include "runtime/launch/net_devices.hh"
#include "runtime/launch/process_steps.hh"

namespace moss::runtime {

namespace {

Result<sys::SocketPair> make_socket_pair() {
  sys::SocketPair pair = TRY(sys::make_socket_pair());
  // Our numbers must not be 0, 1 or 2, which the child hands to the workload.
  for (Fd* fd : {&pair.ours, &pair.theirs}) {
    if (fd->get() > 2) continue;
    Fd higher(::fcntl(fd->get(), F_DUPFD_CLOEXEC, 3));
    if (!higher) return sys_error("make a socket pair");
    *fd = std::move(higher);
  }
  return pair;
}

Result<Ok> tell(int socket, Message message) {
  const Packet packet{.message = message};
  if (::send(socket, &packet, sizeof packet, MSG_NOSIGNAL) < 0) return sys_error("speak to the container's process");
  return Ok{};
}

struct Received {
  bool end = false;
  bool reset = false;  ///< the other side closed without having read all that we said
  Packet packet;
  Fd fd;
};

Result<Received> receive(int socket) {
  Received received;
  ssize_t got;
  do {
    got = sys::receive_with_descriptors(socket, &received.packet, sizeof received.packet, std::span(&received.fd, 1));
    // ECONNRESET: the child ended with a message of ours unread. It comes once, before what the child said last.
    received.reset = received.reset || (got < 0 && errno == ECONNRESET);
  } while (got < 0 && errno == ECONNRESET);
  if (got < 0) return sys_error("listen to the container's process");
  received.end = got <= 0;
  if (!received.end && got != sizeof received.packet) return Error(EPROTO, "listen to the container's process");
  return received;
}

// What to do about a failure that many will meet.
std::string_view remedy(const Step& step, int error) {
  if (std::holds_alternative<PrepareMount>(step) && error == EPERM) {
    return " (a host that hides parts of /proc or /sys, as a container does, allows no new ones)";
  }
  if (std::holds_alternative<PrepareBind>(step) && error == EINVAL) {
    return " (other filesystems are mounted below the source; bind it with rbind)";
  }
  if (std::holds_alternative<SetRlimit>(step) && error == EPERM) return " (above the hard limit of the caller)";
  if (std::holds_alternative<HoldProcFile>(step) && error == ENOENT) return " (this kernel has no such parameter)";
  if (std::holds_alternative<MakeDir>(step) && error == EROFS) return " (the root is read-only)";
  if (std::holds_alternative<JoinKeyring>(step) && error == EDQUOT) {
    return " (every container has one, and its user may have no more; raise the sysctl kernel.keys.maxkeys, or give "
           "--no-new-keyring)";
  }
  return "";
}

Error command_failure(const std::string& command, int code) {
  const std::string name = printable(command);
  if (code == ENOENT || code == ENOTDIR) {
    const bool by_path = command.find('/') == std::string::npos;
    return Error(code, "execute ", name, by_path ? ": executable file not found in $PATH" : "").with_exit_code(127);
  }
  return Error(code, "execute ", name).with_exit_code(126);
}

// A step's failure in words. `error` is an errno or, for a hook, how it ended.
Error step_failure(std::string_view words, uint32_t number, size_t count, int code) {
  const std::string which = count == 0 ? cat("step ", number) : cat("step ", number, " of ", count);
  if (code < kHookStatus) return Error(code, which, ", ", words);
  const int status = code - kHookStatus;
  if (status > 128) return Error(0, which, ", ", words, ": killed by signal ", status - 128);
  return Error(0, which, ", ", words, ": exit status ", status);
}

Error failure_of(const Plan& plan, const Packet& packet) {
  if (packet.index >= plan.steps.size()) return Error(EPROTO, "the container's process speaks nonsense");
  const Step& step = plan.steps[packet.index];
  if (const auto* exec = std::get_if<Exec>(&step)) return command_failure(exec->args[0], packet.error);
  if (const auto* find = std::get_if<FindCommand>(&step)) return command_failure(find->name, packet.error);
  Error error =
      step_failure(cat(describe(step), remedy(step, packet.error)), packet.index + 1, plan.steps.size(), packet.error);
  if (std::holds_alternative<ChangeDir>(step))
    return std::move(error).with_exit_code(packet.error == ENOENT ? 127 : 126);
  return error;
}

// Hands the listener of a filter on to whoever answers for it. Nothing: there is nobody.
using OnListener = std::function<Result<Ok>(Fd)>;

Result<Ok> hand_on_listener(const OnListener& on_listener, Fd listener, int socket) {
  if (!on_listener) return Error(0, "linux.seccomp: nobody is there to take the listener");
  TRY(on_listener(std::move(listener)));
  return tell(socket, Message::listener_taken);
}

OnListener listener_of(const LaunchOptions& options, pid_t init) {
  if (!options.on_seccomp_listener) return {};
  return [&options, init](Fd listener) { return options.on_seccomp_listener(init, std::move(listener)); };
}

// Listens until the child says `wanted`; an end of file is success only where that is wanted: execve worked. When both
// sides fail, the child's word is the cause.
Result<Ok> listen_for(const Plan& plan, int socket, std::optional<Message> wanted, Fd& terminal,
                      const OnListener& on_listener = {}) {
  while (true) {
    Received received = TRY(receive(socket));
    if (received.end) {
      if (wanted) return Error(EPIPE, "wait for the container's process");
      return Ok{};
    }
    if (received.packet.message == wanted) return Ok{};
    switch (received.packet.message) {
      case Message::terminal:
        if (!received.fd || terminal) return Error(EPROTO, "the container's process speaks out of turn");
        terminal = std::move(received.fd);
        break;
      case Message::listener:
        if (!received.fd) return Error(EPROTO, "the container's process speaks out of turn");
        TRY(hand_on_listener(on_listener, std::move(received.fd), socket));
        break;
      case Message::failed:
        return failure_of(plan, received.packet);
      default:
        return Error(EPROTO, "the container's process speaks out of turn");
    }
  }
}

// What the child gave up for, if it has: without waiting, for it may be alive and the failure ours alone.
std::optional<Error> last_word(const Plan& plan, int socket) {
  Packet packet{};
  while (true) {
    const ssize_t got = ::recv(socket, &packet, sizeof packet, MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    if (got != sizeof packet) return std::nullopt;
    if (packet.message == Message::failed) return failure_of(plan, packet);
  }
}

Result<Ok> lead(const Plan& plan, const LaunchOptions& options, pid_t init, int socket, Fd& terminal) {
  std::optional<sys::IdMapping> mapping;
  if (plan.id_map) mapping = TRY(sys::IdMapping::start(init, *plan.id_map));
  if (options.enter_cgroup) {
    TRY(options.enter_cgroup(init));
    TRY(tell(socket, Message::in_cgroup));
  }
  if (options.meanwhile) TRY(options.meanwhile(init));
  const bool awaited = options.start_network || plan.has_parents_work();
  if (awaited) TRY(listen_for(plan, socket, Message::namespaces_ready, terminal));
  if (mapping) TRY(mapping->finish());
  TRY(move_net_devices(plan.net_devices, init));
  if (options.start_network) TRY(options.start_network(init));
  if (mapping) TRY(tell(socket, Message::ids_mapped));
  if (options.runtime_hooks) {
    TRY(listen_for(plan, socket, Message::before_pivot, terminal));
    TRY(options.runtime_hooks(init));
    TRY(tell(socket, Message::hooks_done));
  }
  if (options.start_network) TRY(options.await_network());
  if (awaited) TRY(tell(socket, Message::network_ready));
  return Ok{};
}

// Which message ends a launch: a held process says `created`, any other executes.
std::optional<Message> last_message(const Plan& plan) {
  for (const Step& step : plan.steps) {
    if (std::holds_alternative<WaitForRelease>(step)) return Message::created;
  }
  return std::nullopt;
}

// A process takes its group along to its children, so it is put there before it has any.
class Resctrl {
 public:
  static Result<Resctrl> enter(const Plan& plan, pid_t init) {
    Resctrl resctrl;
    if (!plan.intel_rdt) return resctrl;
    resctrl.groups_ = TRY(make_resctrl_groups(*plan.intel_rdt, plan.id));
    TRY(enter_resctrl_groups(resctrl.groups_, init));
    return resctrl;
  }
  Resctrl(Resctrl&& other) noexcept : groups_(std::exchange(other.groups_, {})) {}
  Resctrl& operator=(Resctrl&&) = delete;
  ~Resctrl() { (void)remove_resctrl_groups(groups_).ok(); }
  ResctrlGroups keep() { return std::exchange(groups_, {}); }

 private:
  Resctrl() = default;
  ResctrlGroups groups_;
};

Result<sys::Child> clone_child(const Plan& plan, int cgroup_fd, const std::function<void()>& inside) {
  if (!plan.joins.empty()) return clone_through(plan, TRY(open_joins(plan)), cgroup_fd, inside);
  int pidfd = -1;
  const pid_t pid = clone3(
      into_cgroup({.flags = plan.clone_flags | CLONE_PIDFD, .pidfd = reinterpret_cast<uint64_t>(&pidfd)}, cgroup_fd));
  if (pid == 0) inside();
  if (pid > 0) return sys::Child(pid, Fd(pidfd));
  const int code = errno;
  if (code == EPERM || code == ENOSPC || code == EACCES) return sys::no_user_namespace(code);
  return Error(code, "make the container's namespaces");
}

}  // namespace

Result<Launched> launch(const Plan& plan, const LaunchOptions& options) {
  sys::SocketPair pair = TRY(make_socket_pair());
  const Inherited inherited{.mounts = TRY(make_idmapped_mounts(plan))};
  Launched launched;
  launched.init = TRY(clone_child(plan, options.cgroup_fd, [&] {
    pair.ours.reset();
    run_inside(plan, options, inherited, pair.theirs.get());
  }));
  const pid_t pid = launched.init.pid();
  pair.theirs.reset();
  Resctrl resctrl = TRY(Resctrl::enter(plan, pid));
  const Result<Ok> led = lead(plan, options, pid, pair.ours.get(), launched.terminal);
  if (!led.ok()) {
    // If the child has said why it gave up, that is the cause and our own trouble with it the symptom.
    if (std::optional<Error> cause = last_word(plan, pair.ours.get())) return std::move(*cause);
    return led.error();
  }
  const std::optional<Message> last = last_message(plan);
  TRY(listen_for(plan, pair.ours.get(), last, launched.terminal, listener_of(options, pid)));
  if (last) launched.held = std::move(pair.ours);
  launched.resctrl = resctrl.keep();
  return launched;
}

Result<Ok> release(const Plan& plan, Launched& launched, const std::function<Result<Ok>(Fd)>& on_listener) {
  TRY(tell(launched.held.get(), Message::released));
  const bool executes = std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step& step) {
    const auto* wait = std::get_if<WaitForRelease>(&step);
    return wait != nullptr && !wait->for_start;
  });
  Fd none;
  if (executes) TRY(listen_for(plan, launched.held.get(), std::nullopt, none, on_listener));
  launched.held.reset();
  launched.init.release();
  return Ok{};
}

RemainingSteps remaining_steps(const Plan& plan) {
  RemainingSteps remaining;
  bool waited = false;
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    if (waited) remaining.words.push_back(describe(step));
    if (std::holds_alternative<WaitForRelease>(step)) {
      waited = true;
      remaining.first = static_cast<uint32_t>(i + 1);
    }
    if (const auto* exec = std::get_if<Exec>(&step)) remaining.command = exec->args[0];
  }
  return remaining;
}

Result<Ok> start_waiting(int socket, const RemainingSteps& steps, const std::function<Result<Ok>(Fd)>& on_listener) {
  TRY(tell(socket, Message::start));
  Received received = TRY(receive(socket));
  if (!received.end && received.packet.message == Message::listener && received.fd) {
    TRY(hand_on_listener(on_listener, std::move(received.fd), socket));
    received = TRY(receive(socket));
  }
  if (received.end && received.reset) return Error(0, "somebody else starts the container");
  if (received.end) return Ok{};
  if (received.packet.message != Message::failed) return Error(EPROTO, "the container's process speaks out of turn");
  const uint32_t index = received.packet.index;
  if (index < steps.first || index - steps.first >= steps.words.size()) {
    return Error(EPROTO, "the container's process speaks nonsense");
  }
  const size_t total = steps.first + steps.words.size();
  if (index + 1 == total) return command_failure(steps.command, received.packet.error);
  return step_failure(steps.words[index - steps.first], index + 1, total, received.packet.error);
}

namespace {

struct NamespaceKind {
  const char* file;
  int flag;
};
constexpr NamespaceKind kNamespaceKinds[] = {
    {"user", CLONE_NEWUSER}, {"pid", CLONE_NEWPID}, {"ipc", CLONE_NEWIPC},       {"uts", CLONE_NEWUTS},
    {"net", CLONE_NEWNET},   {"mnt", CLONE_NEWNS},  {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80 /* CLONE_NEWTIME */}};

std::string namespace_path(pid_t pid, const NamespaceKind& kind) { return cat("/proc/", pid, "/ns/", kind.file); }

// The namespaces of the container that are not ours already: joining one's own again would need rights over its owner.
Result<int> namespaces_to_join(pid_t container) {
  int flags = 0;
  for (const NamespaceKind& kind : kNamespaceKinds) {
    struct stat ours;
    struct stat theirs;
    const std::string path = namespace_path(container, kind);
    if (::stat(path.c_str(), &theirs) != 0) {
      // A kernel without time namespaces has no such file for anybody.
      if (errno == ENOENT && !sys::exists(cat("/proc/self/ns/", kind.file))) continue;
      return sys_error("look at ", path);
    }
    if (::stat(cat("/proc/self/ns/", kind.file).c_str(), &ours) != 0) return sys_error("look at our own namespaces");
    if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) flags |= kind.flag;
  }
  return flags;
}

// A way into the container's namespaces: all at once by its pidfd, or one after the other where something is to be done
// between them. Who has entered the user namespace has no rights over the process any more, which may be closed to all
// but the host's root, but keeps what he has opened.
struct Entrance {
  int pidfd = -1;
  int flags = 0;
  std::vector<std::pair<Fd, int>> one_by_one;  ///< the user namespace first

  static Result<Entrance> open(pid_t container, int pidfd, bool one_by_one) {
    Entrance entrance{.pidfd = pidfd, .flags = TRY(namespaces_to_join(container))};
    for (const NamespaceKind& kind : kNamespaceKinds) {
      if (!one_by_one || (entrance.flags & kind.flag) == 0) continue;
      Fd opened = TRY(sys::open_at(AT_FDCWD, namespace_path(container, kind), O_RDONLY));
      entrance.one_by_one.emplace_back(std::move(opened), kind.flag);
    }
    // They were opened by a number, which meant that process as long as it lived.
    if (one_by_one) TRY(sys::send_signal(pidfd, 0).context("join the container's namespaces"));
    return entrance;
  }
  bool has_user_namespace() const { return (flags & CLONE_NEWUSER) != 0; }
  bool enter_user_namespace() const { return ::setns(one_by_one.front().first.get(), CLONE_NEWUSER) == 0; }
  bool enter_all() const {
    if (one_by_one.empty()) return flags == 0 || ::setns(pidfd, flags) == 0;
    for (const auto& [fd, flag] : one_by_one) {
      if (flag != CLONE_NEWUSER && ::setns(fd.get(), flag) != 0) return false;
    }
    return true;
  }
};

bool await_cgroup(int socket) {
  Packet packet{};
  while (::recv(socket, &packet, sizeof packet, 0) < 0) {
    if (errno != EINTR) return false;
  }
  return packet.message == Message::in_cgroup;
}

// Copies what the plan wants of the host's mounts into their slots. An ordinary user may do that in a user namespace of
// his own, in a mount namespace of its: the container's user namespace, and a copy of the mounts he sees. True, or
// `index` is the step that failed with errno.
bool prepare_outside(const Plan& plan, const Entrance& entrance, Inherited& inherited, uint32_t& index) {
  index = UINT32_MAX;
  if (entrance.has_user_namespace() && (!entrance.enter_user_namespace() || ::unshare(CLONE_NEWNS) != 0)) return false;
  for (index = 0; index < plan.steps_outside; ++index) {
    const auto& bind = std::get<PrepareBind>(plan.steps[index]);
    Fd made(prepare_bind(bind, -1));
    if (!made) return false;
    inherited.mounts.push_back({bind.slot, std::move(made)});
  }
  index = UINT32_MAX;
  return true;
}

// Joins the container and clones the real child as the caller's own: a process that was outside when it was made
// cannot enter a pid namespace, its child can.
[[noreturn]] void join_and_clone(const Plan& plan, const LaunchOptions& options, const Entrance& entrance,
                                 Inherited inherited, int socket) {
  Packet packet{.message = Message::failed, .error = 0, .index = UINT32_MAX};
  const auto give_up = [&](int error) {
    packet.error = error;
    (void)!::send(socket, &packet, sizeof packet, MSG_NOSIGNAL);
    ::_exit(125);
  };
  if (plan.oom_score) {
    if (const int error = set_oom_score(*plan.oom_score)) give_up(error);
  }
  // The container's /proc is not to be trusted with what confines the process, and it may mount no other.
  inherited.proc.reset(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  // Not to be traced or read by the container's processes while it holds descriptors of ours and runs our binary
  // (CVE-2016-9962, CVE-2019-5736); execve makes it readable again.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) give_up(errno);
  if (plan.steps_outside != 0 && !prepare_outside(plan, entrance, inherited, packet.index)) give_up(errno);
  if (!entrance.enter_all()) give_up(errno);
  // As root inside before the clone, so that the child need not ask.
  ::syscall(SYS_setresgid, 0, 0, 0);
  ::syscall(SYS_setresuid, 0, 0, 0);
  if (options.enter_cgroup && !await_cgroup(socket)) ::_exit(125);
  const pid_t pid = clone3({.flags = CLONE_PARENT, .exit_signal = 0});
  if (pid == 0) run_inside(plan, options, inherited, socket);
  // The number as our own pid namespace, the host's, counts it.
  packet.message = Message::namespaces_ready;
  packet.error = pid < 0 ? errno : pid;
  if (pid < 0) packet.message = Message::failed;
  (void)!::send(socket, &packet, sizeof packet, MSG_NOSIGNAL);
  ::_exit(0);
}

}  // namespace

Result<Launched> launch_exec(const Plan& plan, pid_t container, int container_pidfd, const LaunchOptions& options) {
  const Entrance entrance = TRY(Entrance::open(container, container_pidfd, plan.steps_outside != 0));
  sys::SocketPair pair = TRY(make_socket_pair());
  Inherited inherited{.mounts = TRY(make_idmapped_mounts(plan))};
  inherited.mounts.reserve(inherited.mounts.size() + plan.steps_outside);
  const pid_t joiner_pid = clone3(into_cgroup({}, options.cgroup_fd));
  if (joiner_pid < 0) return sys_error("fork");
  if (joiner_pid == 0) {
    join_and_clone(plan, options, entrance, std::move(inherited), pair.theirs.get());
  }
  sys::Child joiner(joiner_pid);
  pair.theirs.reset();
  if (options.enter_cgroup) {
    TRY(options.enter_cgroup(joiner_pid));
    TRY(tell(pair.ours.get(), Message::in_cgroup));
  }
  const std::optional<Message> last = last_message(plan);
  bool held = false;
  // The joiner's word comes on the same socket as the child's; either may speak first.
  Launched launched;
  std::optional<Error> failure;
  Fd terminal;
  Fd listener;
  bool listener_came = false;
  while (!held || !launched.init) {
    Received received = TRY(receive(pair.ours.get()));
    if (received.end) break;
    switch (received.packet.message) {
      case Message::created:
        if (last != Message::created || held) return Error(EPROTO, "the container's process speaks out of turn");
        held = true;
        break;
      case Message::namespaces_ready: {
        if (launched.init) return Error(EPROTO, "the container's process speaks out of turn");
        const pid_t pid = received.packet.error;
        launched.init = sys::Child(pid);
        Result<Fd> opened = sys::open_pidfd(pid);
        // Already gone and waiting to be reaped: wait() still gets its exit code.
        if (opened.ok()) launched.init = sys::Child(launched.init.release(), std::move(opened).value());
        break;
      }
      case Message::terminal:
        terminal = std::move(received.fd);
        break;
      case Message::listener:
        if (!received.fd || listener_came) return Error(EPROTO, "the container's process speaks out of turn");
        listener_came = true;
        listener = std::move(received.fd);
        break;
      case Message::failed:
        failure = received.packet.index == UINT32_MAX ? Error(received.packet.error, "join the container's namespaces")
                                                      : failure_of(plan, received.packet);
        break;
      default:
        return Error(EPROTO, "the container's process speaks out of turn");
    }
    if (listener && launched.init) {
      TRY(hand_on_listener(listener_of(options, launched.init.pid()), std::exchange(listener, Fd()), pair.ours.get()));
    }
  }
  (void)joiner.wait();
  if (failure) return std::move(*failure);
  if (!launched.init) return Error(EPIPE, "join the container's namespaces");
  launched.terminal = std::move(terminal);
  if (last) {
    if (!held) return Error(EPIPE, "wait for the process in the container");
    launched.held = std::move(pair.ours);
  }
  return launched;
}

Result<Ok> change_mounts(const Plan& plan, pid_t container, int container_pidfd) {
  Launched launched = TRY(launch_exec(plan, container, container_pidfd, {}));
  const sys::Exit exit = TRY(launched.init.wait());
  if (!exit.ok()) return Error(0, "the process that changes the mounts was killed");
  return Ok{};
}

}  // namespace moss::runtime
