// Runs inside a container of a test and tells what it sees, a line a fact.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>

namespace {

void tell_link(const char* path, const char* name) {
  char target[256];
  const ssize_t length = ::readlink(path, target, sizeof target - 1);
  ::printf("%s %.*s\n", name, static_cast<int>(length > 0 ? length : 0), target);
}

void tell_namespaces() {
  for (const char* name : {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"}) {
    char path[64];
    ::snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    tell_link(path, name);
  }
}

void tell_process() {
  ::printf("pid %d\nids %u:%u\n", ::getpid(), ::getuid(), ::getgid());
  gid_t groups[64];
  const int count = ::getgroups(64, groups);
  ::printf("groups");
  for (int i = 0; i < count; ++i) ::printf(" %u", groups[i]);
  char text[256] = {};
  ::gethostname(text, sizeof text);
  ::printf("\nhostname %s\n", text);
  if (::getcwd(text, sizeof text) != nullptr) ::printf("cwd %s\n", text);
  const mode_t mask = ::umask(0);
  ::printf("umask %03o\n", mask);
  ::printf("leads its session %d\n", ::getsid(0) == ::getpid());
  FILE* status = ::fopen("/proc/self/status", "re");
  while (status != nullptr && ::fgets(text, sizeof text, status) != nullptr) {
    if (::strncmp(text, "Cap", 3) == 0 || ::strncmp(text, "NoNewPrivs", 10) == 0 || ::strncmp(text, "SigBlk", 6) == 0) {
      ::printf("%s", text);
    }
  }
  if (status != nullptr) ::fclose(status);
  for (int fd = 3; fd < 64; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) ::printf("descriptor %d is open\n", fd);
  }
}

// What a path answers: the text of a file, how many names a folder has, or the error.
void tell_path(const char* path) {
  struct stat status;
  if (::stat(path, &status) != 0) {
    ::printf("%s: %s\n", path, ::strerror(errno));
  } else if (S_ISDIR(status.st_mode)) {
    char file[256];
    ::snprintf(file, sizeof file, "%s/made", path);
    const int fd = ::open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ::printf("%s: folder, %s\n", path, fd >= 0 ? "writable" : ::strerror(errno));
  } else {
    char text[32] = {};
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : ::read(fd, text, sizeof text - 1);
    ::printf("%s: %s\n", path, got < 0 ? ::strerror(errno) : got == 0 ? "(empty)" : text);
  }
}

// What a path is, and whose.
void tell_node(const char* path) {
  struct stat status;
  if (::lstat(path, &status) != 0) {
    ::printf("%s: %s\n", path, ::strerror(errno));
    return;
  }
  const char* kind = S_ISCHR(status.st_mode)    ? "device"
                     : S_ISBLK(status.st_mode)  ? "block device"
                     : S_ISFIFO(status.st_mode) ? "fifo"
                     : S_ISLNK(status.st_mode)  ? "link"
                     : S_ISDIR(status.st_mode)  ? "folder"
                                                : "file";
  ::printf("%s: %s %u:%u mode %o owner %u:%u\n", path, kind, major(status.st_rdev), minor(status.st_rdev),
           status.st_mode & 07777, status.st_uid, status.st_gid);
}

void tell_file(const char* path) {
  char text[4096];
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) ::printf("%s: %s\n", path, ::strerror(errno));
  for (ssize_t got; fd >= 0 && (got = ::read(fd, text, sizeof text)) > 0;)
    ::fwrite(text, 1, static_cast<size_t>(got), stdout);
}

// What a process keeps across execve and nobody can see but itself.
void tell_attributes() {
  ::printf("policy %d nice %ld\n", ::sched_getscheduler(0), 20 - ::syscall(SYS_getpriority, PRIO_PROCESS, 0));
  const long io = ::syscall(SYS_ioprio_get, 1, 0);
  ::printf("io %ld:%ld\n", io >> 13, io & 7);
  int mode = -1;
  ::syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0);
  ::printf("memory %d\npersonality %d\noom ", mode, ::personality(0xffffffff));
  ::fflush(stdout);
  tell_file("/proc/self/oom_score_adj");
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  ::sched_getaffinity(0, sizeof cpus, &cpus);
  ::printf("cpus");
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &cpus)) ::printf(" %d", cpu);
  }
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  ::printf("\nyears since boot %ld\n", static_cast<long>(boot.tv_sec / 31'536'000));
  char description[256] = {};
  ::syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, -3 /* the session's */, description, sizeof description - 1);
  const char* name = ::strrchr(description, ';');
  ::printf("keyring %s\n", name != nullptr ? name + 1 : "");
}

void on_signal(int signal) { ::_exit(100 + signal); }

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc > 1 ? argv[1] : "";
  if (::strcmp(what, "exit") == 0) return ::atoi(argv[2]);
  if (::strcmp(what, "kill") == 0) return ::raise(SIGKILL);
  if (::strcmp(what, "environment") == 0) {
    for (char** variable = environ; *variable != nullptr; ++variable) ::printf("%s\n", *variable);
    for (int i = 0; i < argc; ++i) ::printf("argument %s\n", argv[i]);
    return 0;
  }
  if (::strcmp(what, "process") == 0) {
    tell_process();
    return 0;
  }
  if (::strcmp(what, "namespaces") == 0) {
    tell_namespaces();
    return 0;
  }
  if (::strcmp(what, "namespaces-and-wait") == 0) {
    tell_namespaces();
    ::fflush(stdout);
    while (true) ::pause();
  }
  if (::strcmp(what, "paths") == 0) {
    for (int i = 2; i < argc; ++i) tell_path(argv[i]);
    return 0;
  }
  if (::strcmp(what, "nodes") == 0) {
    for (int i = 2; i < argc; ++i) tell_node(argv[i]);
    return 0;
  }
  if (::strcmp(what, "files") == 0) {
    for (int i = 2; i < argc; ++i) tell_file(argv[i]);
    return 0;
  }
  if (::strcmp(what, "attributes") == 0) {
    tell_attributes();
    return 0;
  }
  if (::strcmp(what, "mkdir") == 0) {
    ::printf("mkdir %s\n", ::mkdir(argv[2], 0700) == 0 ? "works" : ::strerror(errno));
    return 0;
  }
  if (::strcmp(what, "terminal") == 0) {
    winsize size{};
    ::ioctl(0, TIOCGWINSZ, &size);
    const int tty = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    const int console = ::open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    ::printf("%d%d%d %ux%u tty %d console %d\n", ::isatty(0), ::isatty(1), ::isatty(2), size.ws_row, size.ws_col,
             tty >= 0, ::isatty(console));
    return 0;
  }
  if (::strcmp(what, "signals") == 0) {
    for (int signal : {SIGTERM, SIGHUP, SIGUSR1}) ::signal(signal, on_signal);
    ::printf("ready\n");
    ::fflush(stdout);
    while (true) ::pause();
  }
  if (::strcmp(what, "orphans") == 0) {
    // A grandchild whose parent is gone belongs to process 1, which is to reap it: no zombie may stay.
    for (int i = 0; i < 5; ++i) {
      if (::fork() == 0) {
        if (::fork() == 0) ::_exit(0);
        ::_exit(0);
      }
    }
    while (::wait(nullptr) > 0) {
    }
    for (int wait = 0; wait < 30000; ++wait) {
      int alive = 0;
      for (int pid = 3; pid < 40; ++pid) alive += ::kill(pid, 0) == 0;
      if (alive == 0) {
        ::printf("pid %d, none left\n", ::getpid());
        return 0;
      }
      ::usleep(1000);
    }
    ::printf("zombies stay\n");
    return 1;
  }
  return 99;
}
