// What the container's first process does, step by step.
//
// This code runs in a copy of the parent between clone3 and execve. Nothing here may allocate, lock or throw: system
// calls, the stack, and the plan. Each apply() gives 0 or an errno; the first errno ends the process, and the parent
// finds the words.
//
// The steps that build the container's filesystem are mount_steps.hh's.
#include "runtime/launch/inside.hh"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "moss/sys/socket.hh"
#include "runtime/launch/hook_process.hh"
#include "runtime/launch/mount_steps.hh"
#include "runtime/launch/process_steps.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

namespace {

class Inside {
 public:
  Inside(const Plan& plan, const LaunchOptions& options, const Inherited& inherited, int socket)
      : plan_(plan), options_(options), socket_(socket), mounts_(inherited) {}

  /// Where failures are told: the parent's socket or, later, that of `start`.
  int socket() const { return socket_; }

  int walk(const std::optional<InjectedFailure>& fail, uint32_t& index) {
    for (index = plan_.steps_outside; index < plan_.steps.size(); ++index) {
      if (fail && fail->step == index) return fail->error;
      if (const int error = take(plan_.steps[index])) return error;
    }
    return 0;
  }

 private:
  int take(const Step& step) {
    return std::visit(
        [this](const auto& one) {
          if constexpr (requires { mounts_.apply(one); }) {
            return mounts_.apply(one);
          } else {
            return this->apply(one);
          }
        },
        step);
  }

  // ---- talking to the parent ----

  int apply(const Tell& s) {
    const Packet packet{.message = s.message};
    return check(::send(socket_, &packet, sizeof packet, MSG_NOSIGNAL));
  }

  int apply(const Await& s) {
    Packet packet{};
    ssize_t got;
    do {
      got = ::recv(socket_, &packet, sizeof packet, 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno;
    return got == sizeof packet && packet.message == s.message ? 0 : ECANCELED;
  }

  int send_descriptor(Message what, int descriptor) {
    const Packet packet{.message = what};
    return check(sys::send_with_descriptor(socket_, &packet, sizeof packet, descriptor));
  }

  // ---- living on without the parent ----

  int apply(const OutliveParent&) {
    // Until execve nobody may look into this process, which may hold more rights than the container's other processes
    // and descriptors of the host's (CVE-2016-9962).
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno;
    return check(::prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
  }

  int apply(const WaitForRelease& s) {
    if (const int error = apply(Tell{Message::created})) return error;
    // An end of file here is a parent that died before its record was written: then so do we.
    if (const int error = apply(Await{Message::released})) return error;
    if (!s.for_start) return 0;
    ::close(socket_);
    socket_ = -1;
    while (true) {
      const int connection = ::accept4(options_.start_socket, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) {
        if (errno == EINTR || errno == ECONNABORTED) continue;
        return errno;
      }
      socket_ = connection;
      // A `start` that was killed before it said so has started nothing.
      if (apply(Await{Message::start}) == 0) break;
      ::close(connection);
      socket_ = -1;
    }
    // The next `start` is refused by the kernel.
    ::close(options_.start_socket);
    return 0;
  }

  // ---- hooks ----

  int apply(const RunHook& s) {
    HookProcess hook;
    if (const int error = hook.fork()) return error;
    if (hook.is_child()) {
      hook.take_stdio(options_.null_fd);
      if (s.at_root && ::fchdir(mounts_.root().root()) != 0) ::_exit(126);
      if (s.confine_from != kNoConfinement) {
        for (size_t i = s.confine_from; i + 1 < plan_.steps.size(); ++i) {
          if (take(plan_.steps[i]) != 0) ::_exit(126);
        }
      }
      hook.execute(s);
    }
    return hook.feed_and_wait(s);
  }

  static int apply(const FindHome& s) { return find_home(s); }

  int apply(const FindCommand& s) {
    int error = ENOENT;
    for (const char* candidate : s.candidates) {
      // With the effective ids, as execve will.
      if (::faccessat(AT_FDCWD, candidate, X_OK, AT_EACCESS) == 0) {
        struct stat status;
        if (::stat(candidate, &status) == 0 && S_ISREG(status.st_mode)) return 0;
        error = EACCES;
      } else if (errno == EACCES) {
        error = EACCES;
      } else if (errno != ENOENT && errno != ENOTDIR) {
        return errno;
      }
    }
    return error;
  }

  // ---- namespaces and ids ----

  int apply(const Unshare& s) { return check(::unshare(s.flags)); }

  int apply(const Hide&) { return check(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)); }
  static int apply(const SetOomScore& s) { return set_oom_score(s); }

  int apply(const BecomeRoot& s) {
    if (s.drop_groups && ::syscall(SYS_setgroups, 0, nullptr) != 0 && !(s.groups_may_stay && errno == EPERM)) {
      return errno;
    }
    if (::syscall(SYS_setresgid, s.gid, s.gid, s.gid) != 0) return errno;
    if (::syscall(SYS_setresuid, s.uid, s.uid, s.uid) != 0) return errno;
    // A change of ids hides /proc/self behind root's ownership, and the namespaces there from the network helper.
    return check(::prctl(PR_SET_DUMPABLE, s.visible ? 1 : 0, 0, 0, 0));
  }

  int apply(const DieWithParent&) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return errno;
    // It may have died before we asked: then the other end of the socket is closed.
    char byte;
    const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 ? ESRCH : 0;
  }

  // ---- the kernel's switches ----

  int apply(const SetExecLabel& s) {
    if (const int error = mounts_.hold_proc()) return error;
    return set_exec_label(mounts_.proc(), s);
  }

  int apply(const SetHostname& s) { return check(::sethostname(s.name, ::strlen(s.name))); }
  int apply(const SetDomainname& s) { return check(::setdomainname(s.name, ::strlen(s.name))); }

  int apply(const LoopbackUp&) {
    const Held socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket) return errno;
    ifreq request{};
    ::memcpy(request.ifr_name, "lo", 3);
    request.ifr_flags = IFF_UP;
    return check(::ioctl(socket.get(), SIOCSIFFLAGS, &request));
  }

  // ---- the terminal ----

  int apply(const OpenTerminal& s) {
    const Held master(mounts_.root().open("/dev/pts/ptmx", O_RDWR | O_NOCTTY));
    if (!master) return errno;
    // CVE-2025-52565: it must be a devpts that the container's owner cannot have prepared, not any file of that name.
    struct statfs status;
    if (::fstatfs(master.get(), &status) != 0) return errno;
    if (status.f_type != DEVPTS_SUPER_MAGIC) return ENOTTY;
    const int unlocked = 0;
    if (::ioctl(master.get(), TIOCSPTLCK, &unlocked) != 0) return errno;
    const Held peer(::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!peer) return errno;
    if (s.uid != 0 && ::fchown(peer.get(), s.uid, static_cast<gid_t>(-1)) != 0) return errno;
    if (s.rows != 0 && s.columns != 0) {
      const winsize size{.ws_row = s.rows, .ws_col = s.columns};
      if (::ioctl(master.get(), TIOCSWINSZ, &size) != 0) return errno;
    }
    if (s.console) {
      const Held console(::open_tree(peer.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
      if (!console) return errno;
      if (const int error = mounts_.root().attach(console.get(), "/dev/console", S_IFREG)) return error;
    }
    if (const int error = send_descriptor(Message::terminal, master.get())) return error;
    if (::setsid() < 0 && errno != EPERM) return errno;
    if (::ioctl(peer.get(), TIOCSCTTY, 0) != 0) return errno;
    for (int fd = 0; fd < 3; ++fd) {
      if (::dup2(peer.get(), fd) < 0) return errno;
    }
    return 0;
  }

  // ---- giving up privileges ----

  int apply(const NewSession&) {
    // Already the leader of one: as good.
    if (::setsid() < 0 && errno != EPERM) return errno;
    return 0;
  }

  int apply(const SetRlimit& s) {
    const rlimit64 limit{.rlim_cur = s.soft, .rlim_max = s.hard};
    return check(::syscall(SYS_prlimit64, 0, s.resource, &limit, nullptr));
  }

  static int apply(const SetScheduler& s) { return set_scheduler(s); }
  static int apply(const SetIoPriority& s) { return set_io_priority(s); }
  static int apply(const SetCpuAffinity& s) { return set_cpu_affinity(s); }
  static int apply(const SetMemoryPolicy& s) { return set_memory_policy(s); }
  static int apply(const SetPersonality& s) { return set_personality(s); }
  static int apply(const JoinKeyring& s) { return join_keyring(s); }

  int apply(const SetUmask& s) {
    ::umask(s.mask);
    return 0;
  }

  int apply(const ChangeDir& s) {
    if (::chdir(s.path) != 0) return errno;
    // A working folder reached through a leaked descriptor would lie outside; the kernel then answers "(unreachable)".
    char path[PATH_MAX];
    if (::syscall(SYS_getcwd, path, sizeof path) < 0) return errno;
    return path[0] == '/' ? 0 : EXDEV;
  }

  static int apply(const SetIds& s) { return set_ids(s); }
  static int apply(const DropBounding& s) { return drop_bounding(s); }
  static int apply(const SetCapabilities& s) { return set_capabilities(s); }
  static int apply(const SetAmbient& s) { return set_ambient(s); }
  static int apply(const NoNewPrivileges&) { return check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

  int apply(const LoadSeccomp& s) {
    const sock_fprog program{.len = static_cast<unsigned short>(s.filter.size()),
                             .filter = const_cast<sock_filter*>(s.filter.data())};
    const long listener = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, s.flags, &program);
    if (listener < 0) return errno;
    if ((s.flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) == 0) return 0;
    if (const int error = send_descriptor(Message::listener, static_cast<int>(listener))) return error;
    return apply(Await{Message::listener_taken});
  }

  static int apply(const ResetSignals&) { return reset_signals(); }

  int apply(const CloseFds& s) { return check(::syscall(SYS_close_range, 3 + s.keep, ~0U, CLOSE_RANGE_CLOEXEC)); }

  // ---- the workload ----

  // Process 1 stays an image of moss: the caller's environment, all that moss has read, and behind /proc/1/exe the
  // caller's own binary (CVE-2019-5736). Not dumpable it is closed to everybody inside, whatever their capabilities: it
  // was executed in the host's user namespace. execve makes the workload dumpable again.
  int apply(const ForkFromInit&) {
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno;
    // Blocked before there is a workload to pass them on to: one that came in between would be lost, for a process 1
    // ignores what it does not handle.
    sigset_t all;
    sigset_t none;
    ::sigfillset(&all);
    ::sigemptyset(&none);
    if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return errno;
    const long child = ::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child < 0) return errno;
    if (child > 0) be_init(static_cast<pid_t>(child), all);
    return check(::sigprocmask(SIG_SETMASK, &none, nullptr));
  }

  static int apply(const Finish&) { ::_exit(0); }

  static int apply(const Exec& s) {
    int error = ENOENT;
    for (const char* candidate : s.candidates) {
      ::execve(candidate, const_cast<char* const*>(s.args.data()), const_cast<char* const*>(s.environment.data()));
      if (errno == EACCES) error = EACCES;  // as execvp(3): a later folder may hold one that may be run
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) return errno;
    }
    return error;
  }

  const Plan& plan_;
  const LaunchOptions& options_;
  int socket_;
  MountSteps mounts_;
};

int take_stdio(const LaunchOptions& options) {
  const int wanted[3] = {options.stdin_fd, options.stdout_fd, options.stderr_fd};
  for (int fd = 0; fd < 3; ++fd) {
    if (wanted[fd] < 0 || wanted[fd] == fd) continue;
    if (::dup2(wanted[fd], fd) < 0) return errno;
  }
  return 0;
}

}  // namespace

void run_inside(const Plan& plan, const LaunchOptions& options, const Inherited& inherited, int socket) {
  ::umask(0022);
  uint32_t index = 0;
  int error = take_stdio(options);
  Inside inside(plan, options, inherited, socket);
  if (error == 0) error = inside.walk(options.fail, index);
  const Packet packet{.message = Message::failed, .error = error, .index = index};
  (void)!::send(inside.socket(), &packet, sizeof packet, MSG_NOSIGNAL);
  ::_exit(125);
}

}  // namespace moss::runtime
