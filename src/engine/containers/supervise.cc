// One poll loop for every way a container can run: attached or not, with a terminal or pipes, logged or not.
//
// Also the whole life of a detached container's monitor, so it holds no more than one buffer.
#include "moss/engine/supervise.hh"

#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "moss/base/time.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

// Everything a user may send us for the container. What is left alone is for ourselves: SIGTSTP, SIGTTIN, SIGTTOU and
// SIGCONT stop and continue moss in its own shell; SIGSEGV and its like mean that moss is broken.
sigset_t supervised_signals() {
  sigset_t set;
  ::sigfillset(&set);
  for (const int signal : {SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT,
                           SIGSYS, SIGPROF, SIGCHLD}) {
    ::sigdelset(&set, signal);
  }
  return set;
}

// The log: a line a line of output, "TIME STREAM F text", or P where the line went on later (Podman's k8s-file).
class LogWriter {
 public:
  explicit LogWriter(Fd fd) : fd_(std::move(fd)) {}
  explicit operator bool() const { return static_cast<bool>(fd_); }

  void write(std::string_view stream, std::string_view data) {
    std::string prefix = now_rfc3339();
    // Z says the same as +00:00, which Podman's readers expect.
    prefix.pop_back();
    prefix += cat("+00:00 ", stream, " F ");
    while (!data.empty()) {
      const size_t end = data.find('\n');
      const bool whole = end != std::string_view::npos;
      prefix[prefix.size() - 2] = whole ? 'F' : 'P';
      const std::string_view line = data.substr(0, whole ? end : data.size());
      const iovec parts[3] = {
          {prefix.data(), prefix.size()}, {const_cast<char*>(line.data()), line.size()}, {const_cast<char*>("\n"), 1}};
      // A full disk loses log lines, never the container.
      (void)!::writev(fd_.get(), parts, 3);
      data.remove_prefix(whole ? end + 1 : data.size());
    }
  }

 private:
  Fd fd_;
};

// The pages of every program and library segment that is only read. They can be given back: what is used again comes
// from the page cache. A monitor sleeps for days and needs hardly any of them.
struct CodePages {
  struct Range {
    void* start;
    size_t length;
  };
  Range ranges[32];
  size_t count = 0;

  void find() {
    ::dl_iterate_phdr(
        [](dl_phdr_info* object, size_t, void* raw) {
          auto& pages = *static_cast<CodePages*>(raw);
          const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
          for (int i = 0; i < object->dlpi_phnum && pages.count < std::size(pages.ranges); ++i) {
            const ElfW(Phdr)& segment = object->dlpi_phdr[i];
            // A segment that may be written holds addresses the loader put there: those exist nowhere else.
            if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
            const uintptr_t start = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
            const uintptr_t end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
            pages.ranges[pages.count++] = {reinterpret_cast<void*>(start), end - start};
          }
          return 0;
        },
        this);
  }

  void give_back() {
    for (; count > 0; --count) ::madvise(ranges[count - 1].start, ranges[count - 1].length, MADV_DONTNEED);
  }
};

class Loop {
 public:
  Loop(Supervision supervision, const Notice& notice)
      : s_(std::move(supervision)), log_(std::move(s_.log)), notice_(notice) {}

  Result<sys::Exit> run() {
    const sigset_t set = supervised_signals();
    signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals_) return sys_error("watch for signals");
    if (s_.terminal && s_.from_caller) resize();
    if (s_.long_wait) code_pages_.find();
    while (!ended_ || s_.stdout_pipe || s_.stderr_pipe) TRY(step());
    return s_.init.wait();
  }

 private:
  Result<Ok> step() {
    enum { kInit, kSignals, kTerminal, kStdin, kStdout, kStderr, kCount };
    pollfd fds[kCount];
    const auto watch = [&](int slot, int fd, short events) { fds[slot] = {.fd = fd, .events = events, .revents = 0}; };
    watch(kInit, ended_ ? -1 : s_.init.pidfd(), POLLIN);
    watch(kSignals, s_.proxy_signals ? signals_.get() : -1, POLLIN);
    watch(kTerminal, s_.terminal.get(), static_cast<short>(POLLIN | (pending_.empty() ? 0 : POLLOUT)));
    watch(kStdin, s_.terminal && s_.from_caller && pending_.empty() ? STDIN_FILENO : -1, POLLIN);
    watch(kStdout, s_.stdout_pipe.get(), POLLIN);
    watch(kStderr, s_.stderr_pipe.get(), POLLIN);
    // When the container has ended what is still in the pipes is read, but nobody is waited for: a process that kept
    // a pipe open from outside could hold us for ever.
    code_pages_.give_back();
    const int ready = ::poll(fds, kCount, ended_ ? 0 : -1);
    if (ready < 0) return errno == EINTR ? Result<Ok>(Ok{}) : Result<Ok>(sys_error("wait for the container"));
    if (ready == 0) {
      s_.stdout_pipe.reset();
      s_.stderr_pipe.reset();
      return Ok{};
    }
    if (fds[kSignals].revents != 0) take_signals();
    if (fds[kTerminal].revents != 0) serve_terminal(fds[kTerminal].revents);
    if (fds[kStdin].revents != 0) read_stdin();
    if (fds[kStdout].revents != 0) copy(s_.stdout_pipe, STDOUT_FILENO, "stdout");
    if (fds[kStderr].revents != 0) copy(s_.stderr_pipe, STDERR_FILENO, "stderr");
    if (fds[kInit].revents != 0) {
      ended_ = true;
      drain_terminal();
    }
    return Ok{};
  }

  void take_signals() {
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal == SIGWINCH && s_.terminal) {
        resize();
      } else if (signal == SIGPIPE) {
        // Our reader is gone; the container will find out by its own writes.
      } else {
        forward(signal);
      }
    }
  }

  // Process 1 of a pid namespace is never ended by a signal it does not handle: the kernel drops it. Sent twice, it is
  // meant; then the container is killed as any other process would have been.
  void forward(int signal) {
    (void)sys::send_signal(s_.init.pidfd(), signal);
    const bool deadly = signal == SIGINT || signal == SIGTERM || signal == SIGQUIT || signal == SIGHUP;
    if (!deadly || handles(signal)) return;
    if (signal == unheard_) {
      (void)sys::send_signal(s_.init.pidfd(), SIGKILL);
    } else if (notice_) {
      notice_("the container's process 1 does not handle that signal; once more kills it (--init passes signals on)");
    }
    unheard_ = signal;
  }

  bool handles(int signal) const {
    const Result<std::string> status = sys::read_kernel_file(cat("/proc/", s_.init.pid(), "/status"));
    if (!status.ok()) return true;
    const size_t at = status->find("SigCgt:\t");
    const size_t ignored_at = status->find("SigIgn:\t");
    const size_t blocked_at = status->find("SigBlk:\t");
    if (at == std::string::npos || blocked_at == std::string::npos || ignored_at == std::string::npos) return true;
    const auto mask = [&](size_t start) {
      return parse_number<uint64_t>(std::string_view(*status).substr(start + 8, 16), 16).value_or(0);
    };
    return ((mask(at) | mask(ignored_at) | mask(blocked_at)) >> (signal - 1) & 1) != 0;
  }

  void resize() {
    winsize size;
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) {
      ::ioctl(s_.terminal.get(), TIOCSWINSZ, &size);
    }
  }

  // A pipe's end of file or error closes it.
  void copy(Fd& pipe, int to, std::string_view stream) {
    const ssize_t got = ::read(pipe.get(), buffer_, sizeof buffer_);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
      pipe.reset();
      return;
    }
    put(to, stream, {buffer_, static_cast<size_t>(got)});
  }

  void put(int to, std::string_view stream, std::string_view data) {
    if (log_) log_.write(stream, data);
    if (s_.to_caller && !sys::write_all(to, data, "output").ok()) s_.to_caller = false;
  }

  void serve_terminal(short events) {
    if ((events & POLLOUT) != 0 && !pending_.empty()) {
      const ssize_t put_bytes = ::write(s_.terminal.get(), pending_.data(), pending_.size());
      if (put_bytes > 0) pending_.erase(0, static_cast<size_t>(put_bytes));
    }
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !read_terminal()) {
      // Everybody inside closed it (EIO). While process 1 lives somebody may open it again, so it stays ours to watch
      // only by its process: hang-ups would make this loop spin.
      s_.terminal.reset();
    }
  }

  bool read_terminal() {
    const ssize_t got = ::read(s_.terminal.get(), buffer_, sizeof buffer_);
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    if (got == 0) return false;
    put(STDOUT_FILENO, "stdout", {buffer_, static_cast<size_t>(got)});
    return true;
  }

  void drain_terminal() {
    if (!s_.terminal) return;
    ::fcntl(s_.terminal.get(), F_SETFL, O_NONBLOCK);
    while (true) {
      pollfd fd{.fd = s_.terminal.get(), .events = POLLIN, .revents = 0};
      if (::poll(&fd, 1, 0) <= 0 || (fd.revents & POLLIN) == 0 || !read_terminal()) break;
    }
    s_.terminal.reset();
  }

  void read_stdin() {
    const ssize_t got = ::read(STDIN_FILENO, buffer_, sizeof buffer_);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
      // A terminal has no end of file of its own: Ctrl-D says it.
      pending_ = "\x04";
      s_.from_caller = false;
      return;
    }
    pending_.assign(buffer_, static_cast<size_t>(got));
  }

  Supervision s_;
  LogWriter log_;
  CodePages code_pages_;  // given back before the first wait
  const Notice& notice_;
  Fd signals_;
  bool ended_ = false;
  int unheard_ = 0;
  std::string pending_;  // for the terminal
  char buffer_[16384];
};

}  // namespace

Result<Ok> block_signals() {
  const sigset_t set = supervised_signals();
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return sys_error("block signals");
  // A caller that ignores SIGCHLD would have our children reaped by the kernel, exit code and all.
  if (::signal(SIGCHLD, SIG_DFL) == SIG_ERR) return sys_error("reset SIGCHLD");
  return Ok{};
}

Result<sys::Exit> supervise(Supervision supervision, const Notice& notice) {
  return Loop(std::move(supervision), notice).run();
}

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  termios current;
  if (::tcgetattr(fd, &current) != 0) return;
  saved_ = current;
  ::cfmakeraw(&current);
  ::tcsetattr(fd, TCSADRAIN, &current);
}

RawTerminal::~RawTerminal() {
  if (saved_) ::tcsetattr(fd_, TCSADRAIN, &*saved_);
}

}  // namespace moss::engine
