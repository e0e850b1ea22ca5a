// The process's own attributes, by bare system calls: glibc has no functions for half of them.
#include "runtime/launch/process_steps.hh"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "moss/sys/arguments.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

namespace {

// sched_attr of sched_setattr(2), the first version with utilisation clamps.
struct SchedulerArguments {
  uint32_t size;
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime;
  uint64_t deadline;
  uint64_t period;
  uint32_t util_min;
  uint32_t util_max;
};
static_assert(sizeof(SchedulerArguments) == 56);

constexpr int kIoPriorityOfProcess = 1;  // IOPRIO_WHO_PROCESS

// Room for the numbers that parse_number_list() lets through.
struct Bits {
  static constexpr size_t kBits = 8192;
  static constexpr size_t kPerWord = 8 * sizeof(unsigned long);
  unsigned long words[kBits / kPerWord] = {};

  explicit Bits(std::span<const uint32_t> numbers) {
    for (const uint32_t number : numbers) {
      if (number < kBits) words[number / kPerWord] |= 1UL << number % kPerWord;
    }
  }
};

// The field of a line of passwd(5), counted from 0; it ends at a colon or a NUL.
const char* field(const char* line, int number) {
  for (; number > 0 && line != nullptr; --number) {
    line = ::strchr(line, ':');
    if (line != nullptr) ++line;
  }
  return line;
}

// A line of passwd(5) that names this user by its number.
bool is_of(const char* line, uint32_t uid) {
  const char* digits = field(line, 2);
  if (digits == nullptr) return false;
  char expected[12];
  const size_t length = write_number(expected, uid);
  return ::strncmp(digits, expected, length) == 0 && digits[length] == ':';
}

bool settles_home(const char* line, const FindHome& step) {
  if (!is_of(line, step.uid)) return false;
  const char* home = field(line, 5);
  const size_t size = home == nullptr ? 0 : ::strcspn(home, ":");
  constexpr size_t kName = sizeof "HOME=" - 1;
  if (size == 0 || *home != '/' || kName + size >= step.size) return true;
  ::memcpy(step.variable + kName, home, size);
  step.variable[kName + size] = '\0';
  return true;
}

}  // namespace

int set_oom_score(const SetOomScore& step) {
  const Held file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  const int error = file ? write_text(file.get(), step.score) : errno;
  return step.optional && (error == EACCES || error == EPERM) ? 0 : error;
}

int set_scheduler(const SetScheduler& step) {
  const SchedulerArguments arguments{.size = sizeof arguments,
                                     .policy = step.policy,
                                     .flags = step.flags,
                                     .nice = step.nice,
                                     .priority = step.priority,
                                     .runtime = step.runtime_ns,
                                     .deadline = step.deadline_ns,
                                     .period = step.period_ns,
                                     .util_min = 0,
                                     .util_max = 0};
  return check(::syscall(SYS_sched_setattr, 0, &arguments, 0));
}

int set_io_priority(const SetIoPriority& step) {
  return check(::syscall(SYS_ioprio_set, kIoPriorityOfProcess, 0, step.priority));
}

int set_cpu_affinity(const SetCpuAffinity& step) {
  const Bits bits(step.cpus);
  return check(::syscall(SYS_sched_setaffinity, 0, sizeof bits.words, bits.words));
}

int set_memory_policy(const SetMemoryPolicy& step) {
  const Bits bits(step.nodes);
  // The kernel reads one bit less than it is told, and takes at most 1024 nodes as it is built; more must be zero.
  const bool none = step.nodes.empty();
  return check(::syscall(SYS_set_mempolicy, step.mode, none ? nullptr : bits.words, none ? 0 : Bits::kBits));
}

int set_personality(const SetPersonality& step) { return check(::personality(step.persona)); }

int join_keyring(const JoinKeyring& step) {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, step.name) >= 0) return 0;
  // A kernel without keyrings, or a filter around us that closes them: the workload has that filter too.
  return errno == ENOSYS || errno == EPERM || errno == EACCES ? 0 : errno;
}

int set_exec_label(int proc, const SetExecLabel& step) {
  // Only the thread itself may write it, and "thread-self" is a symlink within procfs.
  int fd = open_at_with(proc, step.file, O_WRONLY, 0, kProcFile);
  if (fd < 0 && errno == ENOENT && step.other != nullptr) fd = open_at_with(proc, step.other, O_WRONLY, 0, kProcFile);
  const Held file(fd);
  const int error = file ? write_text(file.get(), step.label) : errno;
  // Without a security module everything is unconfined.
  const bool nothing_to_do = error == ENOENT || error == EINVAL;
  return nothing_to_do && ::strcmp(step.label, "exec unconfined") == 0 ? 0 : error;
}

// What stands in the file is the container's word, of which only a home can come: a file that is none, too long or not
// there leaves it "/".
int find_home(const FindHome& step) {
  const Held file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status;
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return 0;
  char text[16384];
  size_t length = 0;
  for (int reads = 0; reads < 256; ++reads) {
    const ssize_t got = ::read(file.get(), text + length, sizeof text - 1 - length);
    if (got < 0) return 0;
    length += static_cast<size_t>(got);
    text[length] = '\0';
    char* line = text;
    while (char* end = ::strchr(line, '\n')) {
      *end = '\0';
      if (settles_home(line, step)) return 0;
      line = end + 1;
    }
    if (got == 0) {
      (void)settles_home(line, step);
      return 0;
    }
    // The rest of a line is read on; one that is longer than all there is room for is dropped.
    length = line == text && length == sizeof text - 1 ? 0 : length - static_cast<size_t>(line - text);
    ::memmove(text, line, length);
  }
  return 0;
}

int set_ids(const SetIds& step) {
  if (step.set_groups && ::syscall(SYS_setgroups, step.groups.size(), step.groups.data()) != 0) {
    if (!step.groups_may_stay || errno != EPERM || !step.groups.empty()) return errno;
  }
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno;
  if (::syscall(SYS_setresgid, step.gid, step.gid, step.gid) != 0) return errno;
  if (::syscall(SYS_setresuid, step.uid, step.uid, step.uid) != 0) return errno;
  // Leaving id 0 clears the effective set; what is permitted may be raised again.
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2];
  if (::syscall(SYS_capget, &header, data) != 0) return errno;
  for (__user_cap_data_struct& half : data) half.effective = half.permitted;
  return check(::syscall(SYS_capset, &header, data));
}

int drop_bounding(const DropBounding& step) {
  for (unsigned capability = 0; capability < 64; ++capability) {
    if ((step.keep >> capability & 1) != 0) continue;
    // EINVAL: past the last one this kernel knows.
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return errno == EINVAL ? 0 : errno;
  }
  return 0;
}

int set_capabilities(const SetCapabilities& step) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct held[2];
  if (::syscall(SYS_capget, &header, held) != 0) return errno;
  const uint64_t may = held[0].permitted | uint64_t{held[1].permitted} << 32;
  // What we do not hold cannot be given: runtime-spec wants the workload started without it.
  const uint64_t effective = step.effective & may;
  const uint64_t permitted = step.permitted & may;
  const uint64_t inheritable = step.inheritable & may;
  const auto half = [&](int shift) {
    return __user_cap_data_struct{.effective = static_cast<uint32_t>(effective >> shift),
                                  .permitted = static_cast<uint32_t>(permitted >> shift),
                                  .inheritable = static_cast<uint32_t>(inheritable >> shift)};
  };
  const __user_cap_data_struct data[2] = {half(0), half(32)};
  return check(::syscall(SYS_capset, &header, data));
}

int set_ambient(const SetAmbient& step) {
  for (unsigned capability = 0; capability < 64; ++capability) {
    if ((step.capabilities >> capability & 1) == 0) continue;
    // EPERM: we do not hold it ourselves, and the workload is to be started without it.
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0 && errno != EPERM) return errno;
  }
  return 0;
}

int reset_signals() {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  return check(::sigprocmask(SIG_SETMASK, &none, nullptr));
}

void be_init(pid_t workload, const sigset_t& all) {
  sys::forget_arguments("moss-init");
  // Nobody is to wait for an end of file because of us.
  ::syscall(SYS_close_range, 0, ~0U, 0);
  while (true) {
    int status = 0;
    pid_t ended;
    while ((ended = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (ended != workload) continue;
      ::_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
    }
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal > 0 && signal != SIGCHLD) ::kill(workload, signal);
  }
}

}  // namespace moss::runtime
