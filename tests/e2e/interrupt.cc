// Runs a program and steps in at one of its system calls that change something on disk, whichever of its processes
// makes it. For the tests of what is left when moss is killed, a disk fails, or power goes.
//
//   interrupt list FILE -- PROGRAM ARG...                            what there is to step in at
//   interrupt kill ROLE CALL NUMBER -- PROGRAM ARG...                SIGKILL to who is about to make that call
//   interrupt fail ROLE CALL NUMBER ERRNO -- PROGRAM ARG...          that call is not made; it gives ERRNO
//   interrupt fail-on ROLE CALL NUMBER ERRNO -- PROGRAM ARG...       that call and all of that kind after it
//   interrupt meanwhile ROLE CALL NUMBER COMMAND -- PROGRAM ARG...   the shell runs COMMAND just before that call
//   interrupt record FILE -- PROGRAM ARG...                          what was changed, for replay.py
//
// ROLE is "main", "thread" (of main), "child" or "grandchild" (processes): a NUMBER counts a role's calls of one name,
// so the same number means much the same moment each time. The exit status is the program's, 128 + N for signal N.
//
// Why not strace: its counters know no roles, and what it follows gains no rights from setuid programs, so newuidmap
// would fail for an ordinary user. Here whoever is about to execute something is let go first.
//
// A COMMAND may have to wait for what the stopped program holds; so the program goes on after a moment, and COMMAND
// with it.
//
// A line of "record" is the call and its operands between tabs: paths are absolute, data is in hexadecimal digits.
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__aarch64__)
#include <elf.h>
#else
#include <sys/user.h>
#endif

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

[[noreturn]] void die(const std::string& words) {
  fprintf(stderr, "interrupt: %s: %s\n", words.c_str(), strerror(errno));
  exit(70);
}

// What a call's operands are, in order: F a descriptor, D a folder's descriptor and P a path below it, p a path, s
// other text, b a buffer and n its length, l a number, - nothing of interest, T two timespecs. "w" first: only for
// files that hold data; "c" first: only where it makes a file.
struct Call {
  const char* name;
  const char* operands;
};
const std::map<uint64_t, Call> kCalls = {
    {SYS_openat, {"openat", "cDPll"}},
    {SYS_write, {"write", "wFbn"}},
    {SYS_pwrite64, {"pwrite64", "wFbnl"}},
    {SYS_writev, {"writev", "wF"}},
    {SYS_pwritev, {"pwritev", "wF"}},
    {SYS_pwritev2, {"pwritev2", "wF"}},
    {SYS_copy_file_range, {"copy_file_range", "--F"}},
    {SYS_sendfile, {"sendfile", "wF"}},
    {SYS_splice, {"splice", "--F"}},
    {SYS_ftruncate, {"ftruncate", "Fl"}},
    {SYS_fallocate, {"fallocate", "Flll"}},
    {SYS_mkdirat, {"mkdirat", "DPl"}},
    {SYS_mknodat, {"mknodat", "DPll"}},
    {SYS_unlinkat, {"unlinkat", "DPl"}},
    {SYS_renameat2, {"renameat2", "DPDPl"}},
    {SYS_linkat, {"linkat", "DPDPl"}},
    {SYS_symlinkat, {"symlinkat", "sDP"}},
    {SYS_fchmod, {"fchmod", "Fl"}},
    {SYS_fchmodat, {"fchmodat", "DPl"}},
    {SYS_fchown, {"fchown", "Fll"}},
    {SYS_fchownat, {"fchownat", "DPlll"}},
    {SYS_utimensat, {"utimensat", "DPTl"}},
    {SYS_fsetxattr, {"fsetxattr", "Fsbnl"}},
    {SYS_setxattr, {"setxattr", "psbnl"}},
    {SYS_lsetxattr, {"lsetxattr", "psbnl"}},
    {SYS_fsync, {"fsync", "F"}},
    {SYS_fdatasync, {"fdatasync", "F"}},
    {SYS_syncfs, {"syncfs", "F"}},
    {SYS_flock, {"flock", "Fl"}},
    {SYS_sendmsg, {"sendmsg", ""}},
    {SYS_clone, {"clone", ""}},
    {SYS_clone3, {"clone3", ""}},
#if defined(__x86_64__)
    {SYS_fork, {"fork", ""}},
    {SYS_vfork, {"vfork", ""}},
    {SYS_mkdir, {"mkdir", "pl"}},
    {SYS_rmdir, {"rmdir", "p"}},
    {SYS_unlink, {"unlink", "p"}},
    {SYS_rename, {"rename", "pp"}},
    {SYS_link, {"link", "pp"}},
    {SYS_symlink, {"symlink", "sp"}},
    {SYS_mknod, {"mknod", "pll"}},
    {SYS_chmod, {"chmod", "pl"}},
    {SYS_chown, {"chown", "pll"}},
    {SYS_lchown, {"lchown", "pll"}},
#endif
#if defined(SYS_renameat)
    {SYS_renameat, {"renameat", "DPDP"}},
#endif
};

struct Tracee {
  pid_t process = 0;
  std::string role;
  const Call* call = nullptr;           ///< between its beginning and its end
  std::array<uint64_t, 6> arguments{};  ///< its own
  std::string record;                   ///< of that call
  bool failed_here = false;
};

std::map<pid_t, Tracee> tracees;

std::string link_of(const std::string& path) {
  std::array<char, 4096> text{};
  const ssize_t got = readlink(path.c_str(), text.data(), text.size());
  return got > 0 ? std::string(text.data(), static_cast<size_t>(got)) : std::string("?");
}

std::string file_of(pid_t pid, uint64_t fd) {
  const std::string proc = "/proc/" + std::to_string(pid);
  if (static_cast<int>(fd) == AT_FDCWD) return link_of(proc + "/cwd");
  return link_of(proc + "/fd/" + std::to_string(static_cast<int>(fd)));
}

bool is_data_file(pid_t pid, uint64_t fd) {
  struct stat status;
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(static_cast<int>(fd));
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// The tracee's memory, through the tracing itself: /proc/PID/mem may be closed to us.
std::string memory_of(pid_t pid, uint64_t address, size_t bytes) {
  std::string out;
  while (out.size() < bytes) {
    errno = 0;
    const long word = ptrace(PTRACE_PEEKDATA, pid, address + out.size(), nullptr);
    if (word == -1 && errno != 0) break;
    out.append(reinterpret_cast<const char*>(&word), std::min(sizeof word, bytes - out.size()));
  }
  return out;
}

std::string text_of(pid_t pid, uint64_t address) {
  std::string out;
  while (address != 0 && out.size() < 4096) {
    const std::string more = memory_of(pid, address + out.size(), sizeof(long));
    if (more.empty()) break;
    const size_t end = more.find('\0');
    out.append(more, 0, end);
    if (end != std::string::npos) break;
  }
  return out;
}

// Absolute; the folder that it is in is resolved, what it is of is not followed.
std::string path_of(pid_t pid, const std::string& folder, std::string path) {
  constexpr const char* kSelf = "/proc/self/";
  if (path.compare(0, strlen(kSelf), kSelf) == 0) {
    path = "/proc/" + std::to_string(pid) + "/" + path.substr(strlen(kSelf));
    // One of its descriptors means what is behind it.
    if (path.find("/fd/") != std::string::npos && path.find('/', path.find("/fd/") + 4) == std::string::npos) {
      return link_of(path);
    }
  }
  if (path.empty()) return folder;
  if (path[0] != '/') path = folder + "/" + path;
  const size_t slash = path.rfind('/');
  std::array<char, 4096> resolved{};
  if (realpath(path.substr(0, slash + 1).c_str(), resolved.data()) == nullptr) return path;
  return std::string(resolved.data()) + "/" + path.substr(slash + 1);
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
  }
  return out;
}

// The place in a file that a write without an offset goes to.
std::string position_of(pid_t pid, uint64_t fd) {
  const std::string path = "/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(static_cast<int>(fd));
  FILE* file = fopen(path.c_str(), "re");
  long long position = 0;
  if (file != nullptr) {
    if (fscanf(file, "pos: %lld", &position) != 1) position = 0;
    fclose(file);
  }
  return std::to_string(position);
}

std::string describe(pid_t pid, const Call& call, const std::array<uint64_t, 6>& arguments) {
  std::string line = call.name;
  std::string folder;
  size_t at = 0;
  for (const char* operand = call.operands; *operand != '\0'; ++operand) {
    if (*operand == 'w' || *operand == 'c') continue;
    const uint64_t value = arguments.at(at++);
    switch (*operand) {
      case 'D':
        folder = file_of(pid, value);
        break;
      case 'F':
        line += "\t" + file_of(pid, value);
        break;
      case 'P':
        line += "\t" + path_of(pid, folder, text_of(pid, value));
        break;
      case 'p':
        line += "\t" + path_of(pid, link_of("/proc/" + std::to_string(pid) + "/cwd"), text_of(pid, value));
        break;
      case 's':
        line += "\t" + hex(text_of(pid, value));
        break;
      case 'b':
        line += "\t" + hex(memory_of(pid, value, arguments.at(at)));
        break;
      case 'T':
        line += "\t" + (value == 0 ? std::string() : hex(memory_of(pid, value, 32)));
        break;
      case 'l':
        line += "\t" + std::to_string(static_cast<int64_t>(value));
        break;
      default:
        break;
    }
  }
  if (strcmp(call.name, "write") == 0) line += "\t" + position_of(pid, arguments[0]);
  return line;
}

bool changes(pid_t pid, const Call& call, const std::array<uint64_t, 6>& arguments) {
  if (call.operands[0] == 'c') return (arguments[2] & O_CREAT) != 0 || (arguments[2] & O_TMPFILE) == O_TMPFILE;
  // What is printed does not count.
  if (call.operands[0] == 'w') return arguments[0] > STDERR_FILENO && is_data_file(pid, arguments[0]);
  return true;
}

Tracee& known(pid_t pid, pid_t maker) {
  const auto found = tracees.find(pid);
  if (found != tracees.end()) return found->second;
  Tracee tracee{.process = pid, .role = "main"};
  if (const auto made_by = tracees.find(maker); made_by != tracees.end()) {
    const std::string task = "/proc/" + std::to_string(made_by->second.process) + "/task/" + std::to_string(pid);
    if (access(task.c_str(), F_OK) == 0) {
      tracee.process = made_by->second.process;
      tracee.role = made_by->second.role == "main" ? "thread" : made_by->second.role;
    } else {
      const bool first = made_by->second.role == "main" || made_by->second.role == "thread";
      tracee.role = first ? "child" : "grandchild";
    }
  }
  return tracees.emplace(pid, std::move(tracee)).first->second;
}

// Who made a process that stopped before its maker told of it.
pid_t maker_of(pid_t pid) {
  FILE* file = fopen(("/proc/" + std::to_string(pid) + "/status").c_str(), "re");
  if (file == nullptr) return 0;
  std::array<char, 256> line{};
  pid_t group = 0;
  pid_t parent = 0;
  while (fgets(line.data(), line.size(), file) != nullptr) {
    if (strncmp(line.data(), "Tgid:", 5) == 0) group = static_cast<pid_t>(strtol(line.data() + 5, nullptr, 10));
    if (strncmp(line.data(), "PPid:", 5) == 0) parent = static_cast<pid_t>(strtol(line.data() + 5, nullptr, 10));
  }
  fclose(file);
  return group != pid ? group : parent;
}

// At the beginning of a call: it is not made. At its end: it gave `value`.
void change_call(pid_t pid, bool begins, int64_t value) {
#if defined(__aarch64__)
  if (begins) {
    int number = -1;
    iovec part{.iov_base = &number, .iov_len = sizeof number};
    if (ptrace(PTRACE_SETREGSET, pid, 0x404 /* NT_ARM_SYSTEM_CALL */, &part) != 0) die("skip a call");
    return;
  }
  std::array<uint64_t, 34> registers{};
  iovec part{.iov_base = registers.data(), .iov_len = sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &part) != 0) die("read registers");
  registers[0] = static_cast<uint64_t>(value);
  if (ptrace(PTRACE_SETREGSET, pid, NT_PRSTATUS, &part) != 0) die("write registers");
#else
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, pid, nullptr, &registers) != 0) die("read registers");
  if (begins) {
    registers.orig_rax = ~0ULL;
  } else {
    registers.rax = static_cast<unsigned long long>(value);
  }
  if (ptrace(PTRACE_SETREGS, pid, nullptr, &registers) != 0) die("write registers");
#endif
}

struct Wish {
  enum class Kind { list, record, kill, fail, fail_on, meanwhile } kind = Kind::list;
  FILE* out = nullptr;
  std::string role;
  std::string call;
  long number = 0;
  int error = 0;
  std::string command;
};

// Until the command has ended, or seems to wait for somebody. It is our child: run() does not end before it.
void run_meanwhile(const std::string& command) {
  const pid_t shell = fork();
  if (shell < 0) die("fork");
  if (shell == 0) {
    execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    die("/bin/sh");
  }
  constexpr useconds_t kStepUs = 2'000;
  for (int step = 0; step < 150 && waitpid(shell, nullptr, WNOHANG) == 0; ++step) usleep(kStepUs);
}

std::map<std::string, long> counters;  // of "ROLE CALL"

// False where it has been let go.
bool at_call(pid_t pid, Tracee& tracee, const Wish& wish) {
  __ptrace_syscall_info info{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0) return true;
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
    if (tracee.failed_here) change_call(pid, false, -wish.error);
    if (wish.kind == Wish::Kind::record && !tracee.record.empty() && info.exit.is_error == 0) {
      fprintf(wish.out, "%s\t%lld\n", tracee.record.c_str(), static_cast<long long>(info.exit.rval));
    }
    tracee.failed_here = false;
    tracee.record.clear();
    return true;
  }
  if (info.op != PTRACE_SYSCALL_INFO_ENTRY) return true;
  if (info.entry.nr == SYS_execve || info.entry.nr == SYS_execveat) {
    // The first is what makes the program of this one.
    if (static bool begun = false; !std::exchange(begun, true)) return true;
    ptrace(PTRACE_DETACH, pid, nullptr, nullptr);
    tracees.erase(pid);
    return false;
  }
  const auto found = kCalls.find(info.entry.nr);
  if (found == kCalls.end()) return true;
  std::copy(std::begin(info.entry.args), std::end(info.entry.args), tracee.arguments.begin());
  if (!changes(pid, found->second, tracee.arguments)) return true;
  const long number = ++counters[tracee.role + " " + found->second.name];
  switch (wish.kind) {
    case Wish::Kind::list:
      fprintf(wish.out, "%s %s %ld\n", tracee.role.c_str(), found->second.name, number);
      break;
    case Wish::Kind::record:
      tracee.record = describe(pid, found->second, tracee.arguments);
      break;
    case Wish::Kind::kill:
      if (tracee.role == wish.role && wish.call == found->second.name && number == wish.number) {
        kill(tracee.process, SIGKILL);
      }
      break;
    case Wish::Kind::fail:
    case Wish::Kind::fail_on:
      if (tracee.role == wish.role && wish.call == found->second.name &&
          (number == wish.number || (wish.kind == Wish::Kind::fail_on && number > wish.number))) {
        change_call(pid, true, 0);
        tracee.failed_here = true;
      }
      break;
    case Wish::Kind::meanwhile:
      if (tracee.role == wish.role && wish.call == found->second.name && number == wish.number) {
        run_meanwhile(wish.command);
      }
      break;
  }
  return true;
}

int run(char** program, const Wish& wish) {
  const pid_t main = fork();
  if (main < 0) die("fork");
  if (main == 0) {
    raise(SIGSTOP);
    execvp(program[0], program);
    die(program[0]);
  }
  int status = 0;
  if (waitpid(main, &status, WUNTRACED) != main) die("wait");
  const long options =
      PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, main, nullptr, options) != 0) die("trace");
  kill(main, SIGCONT);
  (void)known(main, 0);
  int result = 0;
  for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
    if (!WIFSTOPPED(status)) {
      if (pid == main) result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      tracees.erase(pid);
      continue;
    }
    Tracee& tracee = tracees.contains(pid) ? tracees[pid] : known(pid, maker_of(pid));
    const int signal = WSTOPSIG(status);
    const int event = status >> 16;
    int pass = 0;
    if (signal == (SIGTRAP | 0x80)) {
      if (!at_call(pid, tracee, wish)) continue;
    } else if (event == PTRACE_EVENT_STOP) {
      if (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU) {
        ptrace(PTRACE_LISTEN, pid, nullptr, nullptr);
        continue;
      }
    } else if (event != 0) {
      unsigned long made = 0;
      if (ptrace(PTRACE_GETEVENTMSG, pid, nullptr, &made) == 0) (void)known(static_cast<pid_t>(made), pid);
    } else {
      pass = signal;
    }
    ptrace(PTRACE_SYSCALL, pid, nullptr, pass);
  }
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  char** program = std::find_if(argv, argv + argc, [](const char* word) { return strcmp(word, "--") == 0; });
  const std::vector<std::string> words(argv + 1, program);
  if (program == argv + argc || program[1] == nullptr || words.empty()) {
    fprintf(stderr, "interrupt: see the head of interrupt.cc\n");
    return 64;
  }
  Wish wish;
  if (words.size() == 2 && (words[0] == "list" || words[0] == "record")) {
    wish.kind = words[0] == "list" ? Wish::Kind::list : Wish::Kind::record;
    wish.out = fopen(words[1].c_str(), "we");
    if (wish.out == nullptr) die(words[1]);
  } else if (words.size() == 4 && words[0] == "kill") {
    wish.kind = Wish::Kind::kill;
  } else if (words.size() == 5 && (words[0] == "fail" || words[0] == "fail-on")) {
    wish.kind = words[0] == "fail" ? Wish::Kind::fail : Wish::Kind::fail_on;
    wish.error = static_cast<int>(strtol(words[4].c_str(), nullptr, 10));
  } else if (words.size() == 5 && words[0] == "meanwhile") {
    wish.kind = Wish::Kind::meanwhile;
    wish.command = words[4];
  } else {
    fprintf(stderr, "interrupt: see the head of interrupt.cc\n");
    return 64;
  }
  if (wish.out == nullptr) {
    wish.role = words[1];
    wish.call = words[2];
    wish.number = strtol(words[3].c_str(), nullptr, 10);
  }
  const int result = run(program + 1, wish);
  if (wish.out != nullptr && fclose(wish.out) != 0) die(words[1]);
  return result;
}
