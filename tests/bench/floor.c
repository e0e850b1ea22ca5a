// The floor: the system calls of `moss run --rm --network none alpine true`, and nothing else.
//
//   floor [-t] [-x LETTERS] [-f FILTER] ROOTFS SCRATCH [COMMAND ARG...]
//
// ROOTFS is an unpacked Alpine, SCRATCH a folder on disk where one run keeps its upper, work and /etc files, and takes
// them away again. FILTER is a raw array of struct sock_filter; without it a stand-in of the default filter's shape is
// used. No library but libc, no checks a user would want, no words for errors but the step's name: what moss takes
// longer than this is what moss costs.
//
// -t prints when each step was reached (microseconds since start, of both processes, on one clock).
// -x picks other arrangements, to see what each is worth; the default is the fastest found:
//   e  every namespace at once in clone3           (default: user, mnt, pid in clone3; net, ipc, uts, cgroup while
//   waiting) c  the child has its own copy of the memory    (default: CLONE_VM, a stack of its own) v  helpers one
//   after another into exec, CLONE_VFORK  (default: CLONE_VM without waiting) q  helpers in sequence, each waited for
//   s  a single-id map by plain writes, no helpers
//   m  every mount only after the ids are mapped
//   u  upper folder on a tmpfs of the mount namespace (default: on disk, volatile)
//   d  upper folder on disk, not volatile
//   k  a tmpfs for each masked folder              (default: one tmpfs and binds)
//   r  resolv.conf is missing below: created through the overlay (default: an extra lowest layer holds the mount
//   points) j  the child waits for the ids on a pipe       (default: a futex in shared memory) b  the scratch folders
//   and /etc files before the clone (default: while the helpers run) i  the mark of a volatile overlay is removed after
//   the run (default: while it runs) n  no network namespace      l  no lo up       p  no seccomp filter      w  no
//   newly written /etc files
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kStackBytes = 128 * 1024, kMaxMarks = 128, kFilterMax = 4096 };

static const char* rootfs;
static const char* scratch;
static char** command;
static const char* letters = "";
static int timed;

// What both processes see; on a shared mapping, so that it also holds when the child has its own memory.
static struct {
  uint32_t mapped;  // futex word: 0 until the id maps are written
  uint32_t marks;
  struct {
    const char* name;
    int child;
    uint64_t ns;
  } mark[kMaxMarks];
}* shared;

static char run_dir[512];     // SCRATCH/PID, holds upper and work
static char etc_dir[512];     // holds hosts, hostname, resolv.conf: $XDG_RUNTIME_DIR/floor-PID, else run_dir
static int go[2] = {-1, -1};  // for -x j
static int report[2];         // closed by the execve: the container runs
static struct sock_filter filter[kFilterMax];
static unsigned short filter_len;

static int with(char letter) { return strchr(letters, letter) != NULL; }

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void mark(int child, const char* name) {
  if (!timed) return;
  const uint32_t i = __atomic_fetch_add(&shared->marks, 1, __ATOMIC_RELAXED);
  if (i >= kMaxMarks) return;
  shared->mark[i].name = name;
  shared->mark[i].child = child;
  shared->mark[i].ns = now_ns();
}

static void die(const char* what) {
  const char* why = strerror(errno);
  dprintf(2, "floor: %s: %s\n", what, why);
  _exit(125);
}

static long ok(long result, const char* what) {
  if (result < 0) die(what);
  return result;
}

static void write_file(const char* path, const char* text) {
  const int fd = (int)ok(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), path);
  ok(write(fd, text, strlen(text)), path);
  close(fd);
}

static const char* in(const char* folder, const char* name) {
  static char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

// --- the filter -----------------------------------------------------------------------------------------------------

static void emit(unsigned short code, unsigned char jt, unsigned char jf, unsigned k) {
  filter[filter_len++] = (struct sock_filter){code, jt, jf, k};
}

// A binary tree over the numbers low..high, each leaf one verdict: the shape of a compiled default profile.
static void emit_tree(unsigned low, unsigned high) {
  if (high - low < 2) {
    emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    return;
  }
  const unsigned middle = (low + high) / 2;
  emit(BPF_JMP | BPF_JGE | BPF_K, 1, 0, middle);
  const unsigned short to_low = filter_len;
  emit(BPF_JMP | BPF_JA, 0, 0, 1);
  const unsigned short to_high = filter_len;
  emit(BPF_JMP | BPF_JA, 0, 0, 0);
  filter[to_low].k = (unsigned)(filter_len - to_low - 1);
  emit_tree(low, middle);
  filter[to_high].k = (unsigned)(filter_len - to_high - 1);
  emit_tree(middle, high);
}

static void make_filter(const char* path) {
  if (path) {
    const int fd = (int)ok(open(path, O_RDONLY | O_CLOEXEC), path);
    const long bytes = ok(read(fd, filter, sizeof filter), path);
    filter_len = (unsigned short)((size_t)bytes / sizeof filter[0]);
    close(fd);
    return;
  }
  emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch));
  emit(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, AUDIT_ARCH_X86_64);
  emit(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
  emit(BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
  emit_tree(0, 160);  // about 80 runs of allowed and refused numbers
}

// --- the child ------------------------------------------------------------------------------------------------------

static int new_fs(const char* type, const char* const* options, unsigned attributes) {
  const int fs = (int)ok(fsopen(type, FSOPEN_CLOEXEC), type);
  for (; options && *options; options += 2) {
    if (options[1])
      ok(fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0), options[0]);
    else
      ok(fsconfig(fs, FSCONFIG_SET_FLAG, options[0], NULL, 0), options[0]);
  }
  ok(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), type);
  const int mount_fd = (int)ok(fsmount(fs, FSMOUNT_CLOEXEC, attributes), type);
  close(fs);
  return mount_fd;
}

static int look_up(int root, const char* path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static void attach_at(int mount_fd, int target, const char* path) {
  ok(move_mount(mount_fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH), path);
  close(target);
}

static void attach(int mount_fd, int root, const char* path) {
  attach_at(mount_fd, (int)ok(look_up(root, path), path), path);
}

static int clone_tree(int at, const char* path, unsigned flags) {
  return (int)ok(open_tree(at, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags), path);
}

static int mount_overlay(void) {
  char upper[600], work[600], lower[1200];
  const char* base = run_dir;
  if (with('u')) {
    const int fd = new_fs("tmpfs", NULL, 0);
    ok(mkdirat(fd, "upper", 0755), "upper");
    ok(mkdirat(fd, "work", 0700), "work");
    ok(move_mount(fd, "", AT_FDCWD, run_dir, MOVE_MOUNT_F_EMPTY_PATH), "tmpfs for upper");
  }
  snprintf(upper, sizeof upper, "%s/upper", base);
  snprintf(work, sizeof work, "%s/work", base);
  if (with('r'))
    snprintf(lower, sizeof lower, "%s", rootfs);
  else
    snprintf(lower, sizeof lower, "%s:%s/skeleton", rootfs, scratch);
  const char* options[] = {"lowerdir", lower, "upperdir", upper, "workdir", work, "userxattr", NULL, NULL, NULL, NULL};
  if (!with('d')) options[8] = "volatile";
  return new_fs("overlay", options, 0);
}

static const char* const kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};
enum { kDeviceCount = sizeof kDevices / sizeof kDevices[0] };
static const struct {
  int in_sys;
  const char* path;
} kMaskedFolders[] = {{0, "acpi"},       {0, "scsi"},      {1, "firmware"},
                      {1, "fs/selinux"}, {1, "dev/block"}, {1, "devices/virtual/powercap"}};
static const char* const kMaskedFiles[] = {"kcore",      "keys",        "latency_stats", "interrupts",
                                           "timer_list", "timer_stats", "sched_debug"};
static const char* const kReadOnly[] = {"asound", "bus", "fs", "irq", "sys", "sysrq-trigger"};
static const char* const kMaskOptions[] = {"size", "0k", NULL};
enum { kReadOnlyAttributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
static const char* const kEtc[] = {"hosts", "hostname", "resolv.conf"};
#define EACH(i, list) (size_t i = 0; i < sizeof list / sizeof list[0]; i++)

static void wait_for_ids(void) {
  if (with('j')) {
    char byte;
    ok(read(go[0], &byte, 1), "wait for ids");
  }
  while (__atomic_load_n(&shared->mapped, __ATOMIC_ACQUIRE) == 0)
    syscall(SYS_futex, &shared->mapped, FUTEX_WAIT, 0, NULL, NULL, 0);
  mark(1, "ids mapped");
}

// Podman's 11 default capabilities, by number.
static const uint64_t kCapabilities =
    1u << 0 | 1u << 1 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 10 | 1u << 18 | 1u << 31;

static int child(void* unused) {
  (void)unused;
  mark(1, "child starts");
  if (with('m')) wait_for_ids();

  // While the helpers write the maps: whatever needs no mapped id.
  if (!with('e'))
    ok(unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | (with('n') ? 0 : CLONE_NEWNET)), "unshare");
  mark(1, "namespaces");
  ok(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
  mark(1, "private");
  ok(sethostname("floor", 5), "hostname");
  ok(setsid(), "setsid");
  if (!with('n') && !with('l')) {
    const int s = (int)ok(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    ok(ioctl(s, SIOCSIFFLAGS, &lo), "lo up");
    close(s);
    mark(1, "lo up");
  }
  const int proc = new_fs("proc", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  mark(1, "proc");
  // A new sysfs belongs to a network namespace of ours; on the host's network only a bind is allowed.
  const int sys = with('n') ? clone_tree(AT_FDCWD, "/sys", AT_RECURSIVE) : new_fs("sysfs", NULL, kReadOnlyAttributes);
  mark(1, "sysfs");
  const int mqueue = new_fs("mqueue", NULL, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  mark(1, "mqueue");
  int device[kDeviceCount];
  const int host_dev = (int)ok(open("/dev", O_PATH | O_CLOEXEC), "/dev");
  for
    EACH(i, kDevices) device[i] = clone_tree(host_dev, kDevices[i], 0);
  const int null_dev = (int)ok(openat(host_dev, "null", O_PATH | O_CLOEXEC), "null");
  mark(1, "device clones");

  // Only an attached mount takes others, and the overlay needs mapped ids (volatile makes a folder below one of mode
  // 0). So proc and sys wait over the host's own, in this mount namespace, and move with all their covers later.
  ok(move_mount(proc, "", AT_FDCWD, "/proc", MOVE_MOUNT_F_EMPTY_PATH), "attach proc");
  ok(move_mount(sys, "", AT_FDCWD, "/sys", MOVE_MOUNT_F_EMPTY_PATH), "attach sys");
  const int empty = with('k') ? -1 : new_fs("tmpfs", kMaskOptions, kReadOnlyAttributes);
  mark(1, "mask tmpfs");
  int used = 0;
  for
    EACH(i, kMaskedFolders) {
      const int target = look_up(kMaskedFolders[i].in_sys ? sys : proc, kMaskedFolders[i].path);
      if (target < 0) continue;
      const int cover = with('k') ? new_fs("tmpfs", kMaskOptions, kReadOnlyAttributes)
                        : used    ? clone_tree(empty, "", AT_EMPTY_PATH)
                                  : empty;
      used = 1;
      attach_at(cover, target, kMaskedFolders[i].path);
    }
  mark(1, "masked folders");
  for
    EACH(i, kMaskedFiles) {
      const int target = look_up(proc, kMaskedFiles[i]);
      if (target < 0) continue;
      const int cover = clone_tree(null_dev, "", AT_EMPTY_PATH);
      attach_at(cover, target, kMaskedFiles[i]);
      close(cover);
    }
  mark(1, "masked files");
  for
    EACH(i, kReadOnly) {
      const int target = look_up(proc, kReadOnly[i]);
      if (target < 0) continue;
      const int cover = clone_tree(target, "", AT_EMPTY_PATH | AT_RECURSIVE);
      struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
      ok(mount_setattr(cover, "", AT_EMPTY_PATH | AT_RECURSIVE, &read_only, sizeof read_only), kReadOnly[i]);
      attach_at(cover, target, kReadOnly[i]);
      close(cover);
    }
  mark(1, "read-only paths");
  const char* const dev_options[] = {"mode", "755", "size", "65536k", NULL};
  const int dev = new_fs("tmpfs", dev_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  const char* const shm_options[] = {"mode", "1777", "size", "64000k", NULL};
  const int shm = new_fs("tmpfs", shm_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  mark(1, "dev and shm tmpfs");

  if (!with('m')) wait_for_ids();
  // From here on a file may be made.
  const int overlay = mount_overlay();
  mark(1, "overlay");
  // The tree grows at the scratch folder: no folder has to be made for it.
  ok(move_mount(overlay, "", AT_FDCWD, scratch, MOVE_MOUNT_F_EMPTY_PATH), "attach overlay");
  attach(proc, overlay, "proc");
  attach(sys, overlay, "sys");
  attach(dev, overlay, "dev");
  const int host_etc = (int)ok(open(etc_dir, O_PATH | O_CLOEXEC), etc_dir);
  for
    EACH(i, kEtc) {
      char path[64];
      snprintf(path, sizeof path, "etc/%s", kEtc[i]);
      if (with('r') && look_up(overlay, path) < 0) {
        close((int)ok(openat(overlay, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), path));
        mark(1, "created through the overlay");
      }
      attach(with('w') ? clone_tree(AT_FDCWD, "/etc/hosts", 0) : clone_tree(host_etc, kEtc[i], 0), overlay, path);
    }
  mark(1, "proc, sys, dev, etc attached");
  ok(syscall(SYS_setgroups, 0, NULL) == 0 || with('s') ? 0 : -1, "setgroups");
  for
    EACH(i, kDevices) {
      close((int)ok(openat(dev, kDevices[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0644), kDevices[i]));
      attach(device[i], dev, kDevices[i]);
    }
  mark(1, "devices");
  ok(symlinkat("/proc/self/fd", dev, "fd"), "fd");
  ok(symlinkat("/proc/self/fd/0", dev, "stdin"), "stdin");
  ok(symlinkat("/proc/self/fd/1", dev, "stdout"), "stdout");
  ok(symlinkat("/proc/self/fd/2", dev, "stderr"), "stderr");
  ok(symlinkat("/proc/kcore", dev, "core"), "core");
  ok(symlinkat("pts/ptmx", dev, "ptmx"), "ptmx");
  ok(mkdirat(dev, "pts", 0755), "pts");
  ok(mkdirat(dev, "mqueue", 0755), "mqueue");
  ok(mkdirat(dev, "shm", 0755), "shm");
  mark(1, "dev links");
  const char* pts_options[] = {"ptmxmode", "0666", "mode", "0620", with('s') ? NULL : "gid", "5", NULL};
  attach(new_fs("devpts", pts_options, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC), dev, "pts");
  mark(1, "devpts");
  attach(mqueue, dev, "mqueue");
  attach(shm, dev, "shm");
  mark(1, "shm");

  ok(fchdir(overlay), "fchdir");
  ok(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  mark(1, "pivot_root");
  ok(umount2(".", MNT_DETACH), "detach the old root");
  mark(1, "old root detached");

  prctl(PR_SET_KEEPCAPS, 0);
  for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++)
    if (!(kCapabilities >> cap & 1)) prctl(PR_CAPBSET_DROP, cap);
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  const struct rlimit files = {1024, 1024};
  setrlimit(RLIMIT_NOFILE, &files);
  umask(022);
  syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */);
  signal(SIGPIPE, SIG_DFL);
  mark(1, "bounding set");
  if (!with('p')) {
    struct sock_fprog program = {filter_len, filter};
    ok(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
    mark(1, "seccomp");
  }
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  const uint32_t low = (uint32_t)kCapabilities;
  struct __user_cap_data_struct sets[2] = {{low, low, 0}, {0, 0, 0}};
  ok(syscall(SYS_capset, &header, sets), "capset");
  char* environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                         "TERM=xterm", "HOSTNAME=floor", NULL};
  mark(1, "execve");
  execve(command[0], command, environment);
  die(command[0]);
  return 0;
}

// --- the parent -----------------------------------------------------------------------------------------------------

static char helper_pid[16], helper_uid[16], helper_gid[16], subuid[16], subgid[16], subcount[16];
static char stack[3][kStackBytes] __attribute__((aligned(64)));
static char* uid_helper[] = {"newuidmap", helper_pid, "0", helper_uid, "1", "1", subuid, subcount, NULL};
static char* gid_helper[] = {"newgidmap", helper_pid, "0", helper_gid, "1", "1", subgid, subcount, NULL};

static int run_helper(void* argv) {
  char** words = argv;
  char path[64] = "/usr/bin/";
  strcat(path, words[0]);
  execve(path, words, (char*[]){NULL});
  _exit(127);
}

static pid_t start(int (*body)(void*), void* argument, char* its_stack, unsigned long long flags, int* pidfd) {
  struct clone_args args = {
      .flags = flags | (pidfd ? CLONE_PIDFD : 0), .exit_signal = SIGCHLD, .pidfd = (uint64_t)(uintptr_t)pidfd};
  if (flags & CLONE_VM) {
    // glibc's clone() switches the stack for us; its flags fit in an int.
    return clone(body, its_stack + kStackBytes, (int)(flags | SIGCHLD | (pidfd ? CLONE_PIDFD : 0)), argument, pidfd);
  }
  const pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) _exit(body(argument));
  return pid;
}

static void reap(pid_t pid, const char* what) {
  int status = 0;
  ok(waitpid(pid, &status, 0), what);
  if (status != 0) die(what);
}

static void find_subordinate_ids(const char* path, const char* name, char* first) {
  const int fd = (int)ok(open(path, O_RDONLY | O_CLOEXEC), path);
  char text[4096];
  const long n = ok(read(fd, text, sizeof text - 1), path);
  text[n] = 0;
  close(fd);
  const size_t length = strlen(name);
  for (char* line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    if (sscanf(line + length + 1, "%15[0-9]:%15[0-9]", first, subcount) == 2) return;
  }
  errno = ENOENT;
  die(path);
}

static void make_scratch(void) {
  ok(mkdir(run_dir, 0700), run_dir);
  if (!with('u')) {
    ok(mkdir(in(run_dir, "upper"), 0755), "upper");
    ok(mkdir(in(run_dir, "work"), 0700), "work");
  }
  mark(0, "scratch folders");
  if (strcmp(etc_dir, run_dir) != 0) ok(mkdir(etc_dir, 0700), etc_dir);
  if (!with('w')) {
    write_file(in(etc_dir, "hosts"), "127.0.0.1 localhost\n");
    write_file(in(etc_dir, "hostname"), "floor\n");
    write_file(in(etc_dir, "resolv.conf"), "nameserver 127.0.0.1\n");
  }
  mark(0, "etc files");
}

// A volatile overlay leaves a mark that it was not synced, in folders of mode 0. It is looked at by the next mount
// only, so it can go while the container runs, when this process has nothing else to do.
static void remove_volatile_mark(void) {
  const char* const closed[] = {"work/work", "work/work/incompat", "work/work/incompat/volatile"};
  for
    EACH(i, closed) chmod(in(run_dir, closed[i]), 0700);
  unlink(in(run_dir, "work/work/incompat/volatile/dirty"));
  rmdir(in(run_dir, "work/work/incompat/volatile"));
  rmdir(in(run_dir, "work/work/incompat"));
  mark(0, "volatile mark removed");
}

static void remove_scratch(void) {
  for
    EACH(i, kEtc) unlink(in(etc_dir, kEtc[i]));
  if (strcmp(etc_dir, run_dir) != 0) rmdir(etc_dir);
  mark(0, "etc files removed");
  if (with('i')) remove_volatile_mark();
  if (with('r')) unlink(in(run_dir, "upper/etc/resolv.conf"));
  if (with('r')) rmdir(in(run_dir, "upper/etc"));
  const char* const folders[] = {"work/work", "work", "upper"};
  for
    EACH(i, folders) rmdir(in(run_dir, folders[i]));
  ok(rmdir(run_dir), run_dir);
  mark(0, "scratch removed");
}

static void map_ids(pid_t pid) {
  snprintf(helper_pid, sizeof helper_pid, "%d", pid);
  if (with('s')) {
    char path[64], line[64];
    snprintf(path, sizeof path, "/proc/%d/setgroups", pid);
    write_file(path, "deny");
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    snprintf(line, sizeof line, "0 %s 1", helper_uid);
    write_file(path, line);
    snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
    snprintf(line, sizeof line, "0 %s 1", helper_gid);
    write_file(path, line);
    if (!with('b')) make_scratch();
  } else {
    const unsigned long long flags = CLONE_VM | (with('v') ? CLONE_VFORK : 0);
    const pid_t a = (pid_t)ok(start(run_helper, uid_helper, stack[1], flags, NULL), "newuidmap");
    if (with('q')) reap(a, "newuidmap");
    const pid_t b = (pid_t)ok(start(run_helper, gid_helper, stack[2], flags, NULL), "newgidmap");
    mark(0, "helpers started");
    if (!with('b')) make_scratch();
    if (!with('q')) reap(a, "newuidmap");
    reap(b, "newgidmap");
  }
  mark(0, "helpers done");
  __atomic_store_n(&shared->mapped, 1, __ATOMIC_RELEASE);
  if (with('j')) ok(write(go[1], "x", 1), "go");
  syscall(SYS_futex, &shared->mapped, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void print_marks(uint64_t begin) {
  for (uint32_t i = 0; i < shared->marks; i++)
    dprintf(2, "%8.1f us  %s%s\n", (double)(shared->mark[i].ns - begin) / 1000, shared->mark[i].child ? "      " : "",
            shared->mark[i].name);
}

int main(int argc, char** argv) {
  const uint64_t begin = now_ns();
  const char* filter_path = NULL;
  for (int c; (c = getopt(argc, argv, "+tx:f:")) != -1;) {
    if (c == 't')
      timed = 1;
    else if (c == 'x')
      letters = optarg;
    else if (c == 'f')
      filter_path = optarg;
    else
      return 125;
  }
  if (argc - optind < 2) {
    dprintf(2, "usage: floor [-t] [-x LETTERS] [-f FILTER] ROOTFS SCRATCH [COMMAND ARG...]\n");
    return 125;
  }
  rootfs = argv[optind];
  scratch = argv[optind + 1];
  static char* default_command[] = {"/bin/true", NULL};
  command = argc - optind > 2 ? argv + optind + 2 : default_command;

  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  snprintf(helper_uid, sizeof helper_uid, "%d", getuid());
  snprintf(helper_gid, sizeof helper_gid, "%d", getgid());
  if (!with('s')) {
    const char* name = getenv("USER");  // getpwuid would load the name services; the benches set USER
    if (!name) {
      const struct passwd* self = getpwuid(getuid());
      if (!self) die("own name");
      name = self->pw_name;
    }
    find_subordinate_ids("/etc/subuid", name, subuid);
    find_subordinate_ids("/etc/subgid", name, subgid);
  }
  if (with('j')) ok(pipe2(go, O_CLOEXEC), "pipe");
  snprintf(run_dir, sizeof run_dir, "%s/%d", scratch, getpid());
  const char* runtime_dir = getenv("XDG_RUNTIME_DIR");
  if (runtime_dir)
    snprintf(etc_dir, sizeof etc_dir, "%s/floor-%d", runtime_dir, getpid());
  else
    memcpy(etc_dir, run_dir, sizeof etc_dir);
  mark(0, "ready");

  unsigned long long flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
  if (with('e')) flags |= CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | (with('n') ? 0 : CLONE_NEWNET);
  if (!with('c')) flags |= CLONE_VM;

  if (with('b')) make_scratch();
  make_filter(filter_path);
  mark(0, "filter read");
  ok(pipe2(report, O_CLOEXEC), "pipe");
  int pidfd = -1;
  const pid_t pid = (pid_t)ok(start(child, NULL, stack[0], flags, &pidfd), "clone");
  mark(0, "cloned");
  map_ids(pid);

  char byte;
  close(report[1]);
  if (read(report[0], &byte, 1) != 0) die("report");
  mark(0, "container runs");
  if (!with('i') && !with('u')) remove_volatile_mark();
  int status = 0;
  ok(waitpid(pid, &status, 0), "wait");
  mark(0, "container gone");
  remove_scratch();
  print_marks(begin);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
