// moss logs: the log file, from the beginning or the end, once or for as long as the container writes.
//
// A line is "TIME STREAM F text", or P where the line goes on in the next record (Podman's k8s-file).
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "moss/base/time.hh"
#include "moss/engine/container.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

struct LogLine {
  std::string_view time;
  bool is_stderr = false;
  bool partial = false;
  std::string_view text;
};

std::optional<LogLine> parse_line(std::string_view line) {
  LogLine parsed;
  const auto [time, rest] = cut(line, ' ');
  if (!rest) return std::nullopt;
  const auto [stream, tail] = cut(*rest, ' ');
  if (!tail || tail->size() < 2 || (*tail)[1] != ' ') return std::nullopt;
  parsed.time = time;
  parsed.is_stderr = stream == "stderr";
  parsed.partial = (*tail)[0] == 'P';
  parsed.text = tail->substr(2);
  return parsed;
}

class LogReader {
 public:
  using Emit = std::function<Result<Ok>(bool is_stderr, std::string_view text)>;
  LogReader(Fd log, const LogOptions& options, std::string since, std::string until, const Emit& emit)
      : log_(std::move(log)), options_(options), since_(std::move(since)), until_(std::move(until)), emit_(emit) {}

  // Everything that is there now.
  Result<Ok> read_on() {
    char buffer[65536];
    while (true) {
      const ssize_t got = ::read(log_.get(), buffer, sizeof buffer);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return sys_error("read the log");
      if (got == 0) return Ok{};
      pending_.append(buffer, static_cast<size_t>(got));
      size_t start = 0;
      for (size_t end; (end = pending_.find('\n', start)) != std::string::npos; start = end + 1) {
        if (const auto line = parse_line(std::string_view(pending_).substr(start, end - start))) TRY(emit(*line));
      }
      pending_.erase(0, start);
    }
  }

  // Moves to where the last `count` whole lines begin.
  Result<Ok> seek_tail(uint64_t count) {
    struct stat status;
    if (::fstat(log_.get(), &status) != 0) return sys_error("stat the log");
    std::string block(65536, '\0');
    // Lines that end: one that is still partial at the end of the file counts as well.
    uint64_t ends = 0;
    bool first = true;
    std::string carried;
    for (off_t at = status.st_size; at > 0;) {
      const off_t from = std::max<off_t>(0, at - static_cast<off_t>(block.size()));
      const ssize_t got = ::pread(log_.get(), block.data(), static_cast<size_t>(at - from), from);
      if (got != at - from) return sys_error("read the log");
      carried.insert(0, block.data(), static_cast<size_t>(got));
      // Only records that are whole in `carried` can be judged: those behind its first newline, or all from 0.
      size_t end = carried.size();
      while (end > 0) {
        const size_t newline = end >= 2 ? carried.rfind('\n', end - 2) : std::string::npos;
        if (newline == std::string::npos && from > 0) break;
        const size_t start = newline == std::string::npos ? 0 : newline + 1;
        const auto line = parse_line(std::string_view(carried).substr(start, end - start - 1));
        if (line && (!line->partial || first)) {
          if (ends == count) {
            if (::lseek(log_.get(), from + static_cast<off_t>(end), SEEK_SET) < 0) return sys_error("seek in the log");
            return Ok{};
          }
          ++ends;
        }
        first = false;
        end = start;
      }
      carried.resize(end);
      at = from;
    }
    return Ok{};
  }

 private:
  Result<Ok> emit(const LogLine& line) {
    const std::string_view moment = line.time.substr(0, line.time.find('+'));
    if (!since_.empty() && moment < since_) return Ok{};
    if (!until_.empty() && moment >= until_) return Ok{};
    if (options_.timestamps && !inside_line_) TRY(emit_(line.is_stderr, cat(line.time, " ")));
    inside_line_ = line.partial;
    TRY(emit_(line.is_stderr, line.text));
    return line.partial ? Result<Ok>(Ok{}) : emit_(line.is_stderr, "\n");
  }

  Fd log_;
  const LogOptions& options_;
  std::string since_;
  std::string until_;
  const Emit& emit_;
  std::string pending_;
  bool inside_line_ = false;
};

// Reads on whenever the file grows, until the container's keeper lets go of its lock.
Result<Ok> follow(const std::string& log_path, const std::string& lock_path, LogReader& reader) {
  const Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch) return sys_error("watch ", log_path);
  if (::inotify_add_watch(watch.get(), log_path.c_str(), IN_MODIFY | IN_DELETE_SELF) < 0) {
    // Removed meanwhile, with its container: what we have open is all there was.
    return errno == ENOENT ? reader.read_on() : sys_error("watch ", log_path);
  }
  Result<Fd> lock = sys::open_at(AT_FDCWD, lock_path, O_RDONLY);
  // The keeper's last words go into the lock file, and that is when the log is complete.
  if (lock.ok()) (void)::inotify_add_watch(watch.get(), lock_path.c_str(), IN_MODIFY | IN_DELETE_SELF | IN_ATTRIB);
  while (true) {
    const bool over = !lock.ok() || ::flock(lock->get(), LOCK_SH | LOCK_NB) == 0;
    TRY(reader.read_on());
    if (over) return Ok{};
    pollfd fd{.fd = watch.get(), .events = POLLIN, .revents = 0};
    // A keeper that was killed changes no file: look again now and then.
    if (::poll(&fd, 1, 1000) < 0 && errno != EINTR) return sys_error("watch the log");
    char events[4096];
    while (::read(watch.get(), events, sizeof events) > 0) {
    }
    struct stat status;
    if (lock.ok() && ::fstat(lock->get(), &status) == 0 && status.st_size > 0) {
      TRY(reader.read_on());
      return Ok{};
    }
  }
}

}  // namespace

Result<Ok> read_log(const Paths& paths, const Container& container, const LogOptions& options,
                    const std::function<Result<Ok>(bool is_stderr, std::string_view text)>& emit) {
  const std::string path = container.folder + "/ctr.log";
  Result<Fd> log = sys::open_at(AT_FDCWD, path, O_RDONLY);
  if (!log.ok() && log.error().code() == ENOENT) {
    if (!sys::exists(container.folder)) return no_such_container(container.record.name);
    return Error(0, "container ", container.record.name, " keeps no log: it runs in the foreground with --rm");
  }
  std::string since;
  std::string until;
  if (!options.since.empty()) since = TRY(parse_moment(options.since).context("--since"));
  if (!options.until.empty()) until = TRY(parse_moment(options.until).context("--until"));
  LogReader reader(TRY(std::move(log)), options, std::move(since), std::move(until), emit);
  if (options.tail) TRY(reader.seek_tail(*options.tail));
  TRY(reader.read_on());
  if (!options.follow || container.state.status != Status::running) return Ok{};
  return follow(path, paths.live_containers() + "/" + container.record.id + "/lock", reader);
}

}  // namespace moss::engine
