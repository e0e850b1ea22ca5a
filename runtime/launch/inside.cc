// What the container's first process does, step by step.
//
// This code runs in a copy of the parent between clone3 and execve. Nothing here may allocate, lock or throw: system
// calls, the stack, and the plan. Each apply() gives 0 or an errno; the first errno ends the process, and the parent
// finds the words.
//
// Paths below the container's root are below_root.hh's: what was opened there is what is mounted over, written to or
// masked.
#include "runtime/launch/inside.hh"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
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
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "moss/sys/socket.hh"
#include "runtime/launch/below_root.hh"
#include "runtime/launch/copy_tree.hh"
#include "runtime/launch/hook_process.hh"
#include "runtime/launch/mounting.hh"
#include "runtime/launch/process_steps.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

namespace {

class Inside {
 public:
  Inside(const Plan& plan, const LaunchOptions& options, const Inherited& inherited, int socket)
      : plan_(plan), options_(options), socket_(socket), proc_(inherited.proc.get()) {
    for (const Inherited::Mount& mount : inherited.mounts) slots_[mount.slot] = mount.fd.get();
  }

  /// Where failures are told: the parent's socket or, later, that of `start`.
  int socket() const { return socket_; }

  int walk(const std::optional<InjectedFailure>& fail, uint32_t& index) {
    for (index = plan_.steps_outside; index < plan_.steps.size(); ++index) {
      if (fail && fail->step == index) return fail->error;
      const int error = std::visit([this](const auto& step) { return this->apply(step); }, plan_.steps[index]);
      if (error != 0) return error;
    }
    return 0;
  }

 private:
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
      if (s.at_root && ::fchdir(root_.root()) != 0) ::_exit(126);
      if (s.confine_from != kNoConfinement) {
        for (size_t i = s.confine_from; i + 1 < plan_.steps.size(); ++i) {
          if (std::visit([this](const auto& step) { return this->apply(step); }, plan_.steps[i]) != 0) ::_exit(126);
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

  // ---- mounts ----

  int apply(const SetPropagation& s) { return check(::mount(nullptr, "/", nullptr, s.type, nullptr)); }

  int apply(const SetRootPropagation& s) { return check(::mount(nullptr, "/", nullptr, s.type, nullptr)); }

  int apply(const HoldStaging& s) {
    scratch_ = s.source;
    staging_ = ::open(s.source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat staging;
    struct stat root;
    if (staging_ < 0 || ::fstat(staging_, &staging) != 0 || ::stat("/", &root) != 0) return errno;
    return staging.st_dev == root.st_dev && staging.st_ino == root.st_ino ? EBUSY : 0;
  }

  int apply(const HoldFolders& s) {
    if (s.sources.size() > kMaxHeldFolders) return E2BIG;
    for (size_t i = 0; i < s.sources.size(); ++i) {
      held_[i] = ::open(s.sources[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (held_[i] < 0) return errno;
    }
    return 0;
  }

  int apply(const GiveToRoot& s) { return check(::chown(s.source, 0, 0)); }

  int apply(const BindRoot&) {
    const Held tree(::open_tree(staging_, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    return tree ? attach_root(tree) : errno;
  }

  int apply(const MountRoot& s) {
    const Held mount(new_mount(s.type, s.type, s.options, s.attributes, s.held ? held_ : nullptr));
    return mount ? attach_root(mount) : errno;
  }

  int apply(const MountRootClassic& s) {
    const Held mount(classic_overlay(s, held_));
    return mount ? attach_root(mount) : errno;
  }

  int apply(const PrepareMount& s) { return fill(s.slot, prepare_mount(s, scratch_)); }

  int apply(const HoldSource& s) { return fill(s.slot, ::open_tree(AT_FDCWD, s.source, OPEN_TREE_CLOEXEC)); }

  int apply(const PrepareBind& s) {
    const Held source(s.held ? slots_[s.slot] : -1);
    return fill(s.slot, prepare_bind(s, source.get()));
  }

  int apply(const PrepareDevice& s) {
    Held device(::open_tree(AT_FDCWD, s.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!device) return errno;
    struct stat status;
    if (::fstat(device.get(), &status) != 0) return errno;
    if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) return ENODEV;
    if (s.type != 0 && !is_node(status, s.type, s.major, s.minor)) return ENODEV;
    return fill(s.slot, device.release());
  }

  static bool is_node(const struct stat& status, uint32_t type, uint32_t major, uint32_t minor) {
    if ((status.st_mode & S_IFMT) != type) return false;
    return type == S_IFIFO || status.st_rdev == makedev(major, minor);
  }

  int apply(const MakeNode& s) {
    const char* name = nullptr;
    const Held parent(root_.open_parent(s.path, &name));
    if (!parent) return errno;
    const mode_t mask = ::umask(0);
    const int error = check(::mknodat(parent.get(), name, s.mode, makedev(s.major, s.minor)));
    ::umask(mask);
    if (error == 0) {
      if (s.uid == 0 && s.gid == 0) return 0;
      return check(::fchownat(parent.get(), name, s.uid, s.gid, AT_SYMLINK_NOFOLLOW));
    }
    struct stat status;
    if (error == EEXIST && ::fstatat(parent.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        is_node(status, s.mode & S_IFMT, s.major, s.minor)) {
      return 0;
    }
    if (!s.or_bind && error != EPERM) return error;
    const PrepareDevice hosts{kSlots - 1, s.path, s.mode & S_IFMT, s.major, s.minor};
    if (apply(hosts) != 0) return error;
    return apply(Attach{.slot = hosts.slot, .destination = s.path});
  }

  int apply(const ChangeMount& s) {
    const Held mount(root_.open(s.path, O_PATH));
    if (!mount) return errno;
    if (const int error = change_attributes(mount.get(), s.set_below, s.clear_below, true)) return error;
    return change_attributes(mount.get(), s.set, s.clear, false);
  }

  int apply(const Reconfigure& s) {
    const Held mount(root_.open(s.path, O_PATH));
    if (!mount) return errno;
    return reconfigure(mount.get(), s.options);
  }

  int apply(const Park& s) {
    return check(::move_mount(slots_[s.slot], "", AT_FDCWD, s.source, MOVE_MOUNT_F_EMPTY_PATH));
  }

  int apply(const Attach& s) {
    const Held mount(slots_[s.slot]);
    slots_[s.slot] = -1;
    struct stat status;
    if (::fstat(mount.get(), &status) != 0) return errno;
    if (s.copy_up) {
      const Held original(root_.open(s.destination, O_RDONLY | O_DIRECTORY));
      const Held copy(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!copy) return errno;
      if (original) {
        if (const int error = copy_tree(original.get(), copy.get())) return error;
      }
    }
    const int error = root_.attach(mount.get(), s.destination, status.st_mode & S_IFMT);
    const bool no_place = error == EROFS || error == EACCES || error == ENOENT || error == EEXIST || error == ENOTDIR;
    return s.optional && no_place ? 0 : error;
  }

  int apply(const Detach& s) {
    const Held mount(root_.open(s.destination, O_PATH));
    if (!mount) return errno;
    if (const int error = hold_proc()) return error;
    // umount2(2) takes no descriptor. The procfs is the host's own, so this name of one leads where it should.
    char path[32] = "thread-self/fd/";
    path[15 + write_number(path + 15, static_cast<unsigned>(mount.get()))] = '\0';
    if (::fchdir(proc_) != 0) return errno;
    const int error = check(::umount2(path, MNT_DETACH));
    return ::fchdir(root_.root()) != 0 ? errno : error;
  }

  int apply(const Symlink& s) {
    const char* name = nullptr;
    const Held parent(root_.open_parent(s.path, &name));
    if (!parent) return errno;
    if (::symlinkat(s.target, parent.get(), name) != 0 && errno != EEXIST) return errno;
    return 0;
  }

  int apply(const MakeDir& s) {
    const Held existing(root_.open(s.path, O_PATH | O_DIRECTORY));
    if (existing || errno != ENOENT) return existing ? 0 : errno;
    const Held made(root_.make_dirs(s.path, s.mode));
    if (!made) return errno;
    if (s.uid == 0 && s.gid == 0) return 0;
    return check(::fchownat(made.get(), "", s.uid, s.gid, AT_EMPTY_PATH));
  }

  int apply(const Mask& s) {
    const Held target(open_below(s.below, s.path));
    if (!target) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
    struct stat status;
    if (::fstat(target.get(), &status) != 0) return errno;
    if (!S_ISDIR(status.st_mode)) {
      // The host's own, never the one in the container's /dev, which the image may have replaced (CVE-2025-31133).
      const Held null_device(::open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
      if (!null_device) return errno;
      if (::fstat(null_device.get(), &status) != 0) return errno;
      if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) return ENODEV;
      return cover(null_device.get(), target.get());
    }
    // One empty tmpfs serves every folder: a mount costs half of what a filesystem does.
    if (empty_dir_ >= 0) {
      const Held copy(::open_tree(empty_dir_, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
      return copy ? cover(copy.get(), target.get()) : errno;
    }
    static constexpr const char* kOptions[] = {"nr_inodes=1", "mode=555"};
    empty_dir_ = new_mount("tmpfs", "tmpfs", kOptions,
                           MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    return empty_dir_ < 0 ? errno : cover(empty_dir_, target.get());
  }

  int apply(const ReadonlyPath& s) {
    const Held target(open_below(s.below, s.path));
    if (!target) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
    const Held copy(::open_tree(target.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    if (!copy) return errno;
    if (set_attributes(copy.get(), true, {.attr_set = MOUNT_ATTR_RDONLY}) != 0) return errno;
    return cover(copy.get(), target.get());
  }

  int apply(const ReadonlyRoot&) { return check(set_attributes(root_.root(), false, {.attr_set = MOUNT_ATTR_RDONLY})); }

  int apply(const PivotRoot&) {
    // The new root on top of the old one, at the same place: no folder for the old one is needed, and it goes at once.
    if (::fchdir(root_.root()) != 0) return errno;
    if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
    if (::umount2(".", MNT_DETACH) != 0) return errno;
    return check(::chdir("/"));
  }

  int apply(const ChrootRoot& s) {
    // The way to the old root's mounts once the new one covers it.
    const Held old(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!old || ::fchdir(root_.root()) != 0) return errno;
    if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0) return errno;
    if (::fchdir(old.get()) != 0) return errno;
    for (const char* path : s.mounts) {
      // In a user namespace the host's mounts are locked, and stay.
      if (::umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
      const Held left(open_at_with(old.get(), path, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
      struct statfs status;
      if (!left || ::fstatfs(left.get(), &status) != 0) continue;
      if (status.f_type != PROC_SUPER_MAGIC && status.f_type != SYSFS_MAGIC) continue;
      const Held cover_up(new_mount("tmpfs", "tmpfs", {}, MOUNT_ATTR_RDONLY));
      if (!cover_up) return errno;
      if (const int error = cover(cover_up.get(), left.get())) return error;
    }
    return check(::chdir("/"));
  }

  // ---- the kernel's switches ----

  int apply(const HoldProcFile& s) {
    const int file = open_at_with(slots_[s.slot], s.file, O_WRONLY, 0, kProcFile);
    if (file < 0) return errno;
    proc_files_[s.index] = file;
    return 0;
  }

  int apply(const WriteProc& s) {
    if (s.held != kNotHeld) return check(::write(proc_files_[s.held], s.text, ::strlen(s.text)));
    if (const int error = hold_proc()) return error;
    const Held file(open_at_with(proc_, s.file, O_WRONLY, 0, kProcFile));
    return file ? write_text(file.get(), s.text) : errno;
  }

  // A procfs that nobody else has had a hand in.
  int hold_proc() {
    if (proc_ >= 0) return 0;
    proc_ = new_mount("proc", "proc", {}, 0);
    // Without a pid namespace of its own a container may not mount one; the host's is not the image's, so it serves.
    if (proc_ < 0) proc_ = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statfs status;
    if (proc_ < 0 || ::fstatfs(proc_, &status) != 0) return errno;
    return status.f_type == PROC_SUPER_MAGIC ? 0 : EXDEV;
  }

  int apply(const SetExecLabel& s) {
    if (const int error = hold_proc()) return error;
    return set_exec_label(proc_, s);
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
    const Held master(root_.open("/dev/pts/ptmx", O_RDWR | O_NOCTTY));
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
      if (const int error = root_.attach(console.get(), "/dev/console", S_IFREG)) return error;
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

  // ---- below the root ----

  // What a mask covers: below the root, or below a mount that is parked on the host's place for it.
  int open_below(uint8_t below, const char* path) {
    if (below == kBelowRoot) return root_.open(path, O_PATH);
    const char* inside = ::strchr(path + 1, '/');
    return open_at_with(slots_[below], inside, O_PATH, 0, kBelow);
  }

  int fill(uint8_t slot, int fd) {
    if (fd < 0) return errno;
    slots_[slot] = fd;
    return 0;
  }

  int attach_root(const Held& mount) {
    if (const int error = cover(mount.get(), staging_)) return error;
    return hold_root(::fcntl(mount.get(), F_DUPFD_CLOEXEC, 3));
  }

  int hold_root(int root) {
    if (root < 0) return errno;
    root_.set_root(root);
    return 0;
  }

  const Plan& plan_;
  const LaunchOptions& options_;
  int socket_;
  // Open until execve closes them.
  int staging_ = -1;               // what the root is mounted on
  const char* scratch_ = nullptr;  // the same by name, for what only mount(2) can mount
  BelowRoot root_;                 // the container's "/"
  int proc_;                       // a procfs of our own, or the host's
  int empty_dir_ = -1;             // the tmpfs that masks folders
  int slots_[kSlots];              // prepared mounts
  int held_[kMaxHeldFolders];
  int proc_files_[kHeldProcFiles];
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
