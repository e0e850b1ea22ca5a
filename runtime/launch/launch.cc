// The parent's side of a launch.
#include "moss/runtime/launch.hh"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "runtime/launch/clone.hh"
#include "runtime/launch/inside.hh"
#include "runtime/launch/join.hh"
#include "runtime/launch/net_devices.hh"
#include "runtime/launch/process_steps.hh"

namespace moss::runtime {

namespace {

struct SocketPair {
  Fd parent;
  Fd child;
};

Result<SocketPair> make_socket_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return sys_error("make a socket pair");
  SocketPair pair{Fd(fds[0]), Fd(fds[1])};
  // Our numbers must not be 0, 1 or 2, which the child hands to the workload.
  for (Fd* fd : {&pair.parent, &pair.child}) {
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
  Packet packet;
  Fd fd;
};

Result<Received> receive(int socket) {
  Received received;
  iovec data{.iov_base = &received.packet, .iov_len = sizeof received.packet};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    // ECONNRESET: the child ended with a message of ours unread. It comes once, before what the child said last.
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0) return sys_error("listen to the container's process");
  received.end = got <= 0;
  if (!received.end && got != sizeof received.packet) return Error(EPROTO, "listen to the container's process");
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int fd;
    ::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    received.fd.reset(fd);
  }
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
  if (std::holds_alternative<MakeDir>(step) && error == EROFS) return " (the root is read-only)";
  return "";
}

Error failure_of(const Plan& plan, const Packet& packet) {
  if (packet.index >= plan.steps.size()) return Error(EPROTO, "the container's process speaks nonsense");
  const Step& step = plan.steps[packet.index];
  if (const auto* exec = std::get_if<Exec>(&step)) {
    const std::string name = printable(exec->args[0]);
    if (packet.error == ENOENT || packet.error == ENOTDIR) {
      const bool by_path = exec->args[0][::strcspn(exec->args[0], "/")] == '\0';
      return Error(packet.error, "execute ", name, by_path ? ": executable file not found in $PATH" : "")
          .with_exit_code(127);
    }
    return Error(packet.error, "execute ", name).with_exit_code(126);
  }
  Error error(packet.error, "step ", packet.index + 1, " of ", plan.steps.size(), ", ", describe(step),
              remedy(step, packet.error));
  if (std::holds_alternative<ChangeDir>(step))
    return std::move(error).with_exit_code(packet.error == ENOENT ? 127 : 126);
  return error;
}

bool has_listener(const Plan& plan) {
  return std::any_of(plan.steps.begin(), plan.steps.end(), [](const Step& step) {
    const auto* load = std::get_if<LoadSeccomp>(&step);
    return load != nullptr && (load->flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
  });
}

Result<Ok> hand_on_listener(const LaunchOptions& options, pid_t init, Fd listener, int socket) {
  if (!options.on_seccomp_listener) return Error(0, "linux.seccomp: nobody is there to take the listener");
  TRY(options.on_seccomp_listener(init, std::move(listener)));
  return tell(socket, Message::listener_taken);
}

// Listens until the workload runs. When both sides fail, the child's word is the cause.
Result<Fd> until_exec(const Plan& plan, const LaunchOptions& options, pid_t init, int socket) {
  Fd terminal;
  bool awaits_listener = has_listener(plan);
  while (true) {
    Received received = TRY(receive(socket));
    if (received.end && awaits_listener) return Error(EPIPE, "wait for the listener of the seccomp filter");
    if (received.end) return terminal;
    switch (received.packet.message) {
      case Message::terminal:
        if (!received.fd || terminal) return Error(EPROTO, "the container's process speaks out of turn");
        terminal = std::move(received.fd);
        break;
      case Message::listener:
        if (!received.fd || !awaits_listener) return Error(EPROTO, "the container's process speaks out of turn");
        awaits_listener = false;
        TRY(hand_on_listener(options, init, std::move(received.fd), socket));
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

Result<Ok> lead(const Plan& plan, const LaunchOptions& options, pid_t init, int socket) {
  std::optional<sys::IdMapping> mapping;
  if (plan.id_map) mapping = TRY(sys::IdMapping::start(init, *plan.id_map));
  if (options.meanwhile) TRY(options.meanwhile(init));
  const bool awaited = options.start_network || plan.has_parents_work();
  if (awaited) {
    const Received received = TRY(receive(socket));
    if (received.end) return Error(EPIPE, "wait for the container's namespaces");
    if (received.packet.message == Message::failed) return failure_of(plan, received.packet);
    if (received.packet.message != Message::namespaces_ready)
      return Error(EPROTO, "wait for the container's namespaces");
  }
  if (mapping) TRY(mapping->finish());
  TRY(move_net_devices(plan.net_devices, init));
  if (options.start_network) TRY(options.start_network(init));
  if (mapping) TRY(tell(socket, Message::ids_mapped));
  if (options.start_network) TRY(options.await_network());
  if (awaited) TRY(tell(socket, Message::network_ready));
  return Ok{};
}

}  // namespace

namespace {

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

Result<sys::Child> clone_child(const Plan& plan, const std::function<void()>& inside) {
  if (!plan.joins.empty()) return clone_through(plan, TRY(open_joins(plan)), inside);
  int pidfd = -1;
  const pid_t pid = clone3({.flags = plan.clone_flags | CLONE_PIDFD, .pidfd = reinterpret_cast<uint64_t>(&pidfd)});
  if (pid == 0) inside();
  if (pid > 0) return sys::Child(pid, Fd(pidfd));
  const int code = errno;
  if (code == EPERM || code == ENOSPC || code == EACCES) {
    return Error(code,
                 "make a user namespace; allow it with: sysctl user.max_user_namespaces=15000 "
                 "(and kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0 "
                 "where they exist)");
  }
  return Error(code, "make the container's namespaces");
}

}  // namespace

Result<Launched> launch(const Plan& plan, const LaunchOptions& options) {
  SocketPair pair = TRY(make_socket_pair());
  const Inherited inherited{.mounts = TRY(make_idmapped_mounts(plan))};
  Launched launched{TRY(clone_child(plan,
                                    [&] {
                                      pair.parent.reset();
                                      run_inside(plan, options, inherited, pair.child.get());
                                    })),
                    {}};
  const pid_t pid = launched.init.pid();
  pair.child.reset();
  Resctrl resctrl = TRY(Resctrl::enter(plan, pid));
  const Result<Ok> led = lead(plan, options, pid, pair.parent.get());
  if (!led.ok()) {
    // If the child has said why it gave up, that is the cause and our own trouble with it the symptom.
    if (std::optional<Error> cause = last_word(plan, pair.parent.get())) return std::move(*cause);
    return led.error();
  }
  launched.terminal = TRY(until_exec(plan, options, pid, pair.parent.get()));
  launched.resctrl = resctrl.keep();
  return launched;
}

namespace {

// The namespaces of the container that are not ours already: joining one's own again would need rights over its owner.
Result<int> namespaces_to_join(pid_t container) {
  struct Entry {
    const char* file;
    int flag;
  };
  static constexpr Entry kEntries[] = {
      {"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},       {"ipc", CLONE_NEWIPC},
      {"uts", CLONE_NEWUTS},   {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"time", 0x80 /* CLONE_NEWTIME */}};
  int flags = 0;
  for (const Entry& entry : kEntries) {
    struct stat ours;
    struct stat theirs;
    const std::string path = cat("/proc/", container, "/ns/", entry.file);
    if (::stat(path.c_str(), &theirs) != 0) {
      // A kernel without time namespaces has no such file for anybody.
      if (errno == ENOENT && !sys::exists(cat("/proc/self/ns/", entry.file))) continue;
      return sys_error("look at ", path);
    }
    if (::stat(cat("/proc/self/ns/", entry.file).c_str(), &ours) != 0) return sys_error("look at our own namespaces");
    if (ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) flags |= entry.flag;
  }
  return flags;
}

// Joins the container and clones the real child as the caller's own: a process that was outside when it was made
// cannot enter a pid namespace, its child can.
[[noreturn]] void join_and_clone(const Plan& plan, const LaunchOptions& options, int container_pidfd, int namespaces,
                                 int socket) {
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
  Inherited inherited{.proc = Fd(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC))};
  // Not to be traced or read by the container's processes while it holds descriptors of ours and runs our binary
  // (CVE-2016-9962, CVE-2019-5736); execve makes it readable again.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) give_up(errno);
  if (::setns(container_pidfd, namespaces) != 0) give_up(errno);
  // As root inside before the clone, so that the child need not ask.
  ::syscall(SYS_setresgid, 0, 0, 0);
  ::syscall(SYS_setresuid, 0, 0, 0);
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
  const int namespaces = TRY(namespaces_to_join(container));
  SocketPair pair = TRY(make_socket_pair());
  const pid_t joiner_pid = clone3({});
  if (joiner_pid < 0) return sys_error("fork");
  if (joiner_pid == 0) join_and_clone(plan, options, container_pidfd, namespaces, pair.child.get());
  sys::Child joiner(joiner_pid);
  pair.child.reset();
  // The joiner's word comes on the same socket as the child's; either may speak first.
  Launched launched;
  std::optional<Error> failure;
  Fd terminal;
  Fd listener;
  while (true) {
    Received received = TRY(receive(pair.parent.get()));
    if (received.end) break;
    switch (received.packet.message) {
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
        if (!received.fd || listener) return Error(EPROTO, "the container's process speaks out of turn");
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
      TRY(hand_on_listener(options, launched.init.pid(), std::move(listener), pair.parent.get()));
    }
  }
  (void)joiner.wait();
  if (failure) return std::move(*failure);
  if (!launched.init) return Error(EPIPE, "join the container's namespaces");
  launched.terminal = std::move(terminal);
  return launched;
}

}  // namespace moss::runtime
