// Signals, stopping, waiting, removing.
#include <poll.h>
#include <signal.h>
#include <sys/file.h>

#include <chrono>

#include "moss/engine/container.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxStateBytes = 1u << 20;

}  // namespace

Result<bool> ends_within(int pidfd, int64_t timeout_ms) {
  using clock = std::chrono::steady_clock;
  const auto deadline = clock::now() + std::chrono::milliseconds(timeout_ms);
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd fd{.fd = pidfd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&fd, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready > 0) return true;
    if (ready == 0) return false;
    if (errno != EINTR) return sys_error("wait for the container's process");
  }
}

namespace {

bool is_held(const Paths& paths, const std::string& id) {
  const Result<std::optional<sys::FileLock>> lock =
      sys::FileLock::try_acquire(cat(paths.live_containers(), "/", id, "/lock"));
  return lock.ok() && !*lock;
}

// As it is once it has been made; nothing where that came to nothing.
Result<std::optional<Container>> once_made(const Paths& paths, const Container& container) {
  std::optional<Container> now = container;
  const ShortWait wait;
  while (now->state.status == Status::created && is_held(paths, now->record.id)) {
    if (wait.is_over()) return Error(EAGAIN, "container ", now->record.name, " is still being made (try again)");
    ShortWait::a_little();
    Result<Container> again = load_container(paths, container.record.id);
    if (!again.ok() && again.error().code() == ENOENT) return std::optional<Container>();
    now = TRY(std::move(again));
  }
  return now;
}

}  // namespace

Result<Ok> kill_container(const Container& container, int signal) {
  const Fd init = TRY(open_init(container));
  Result<Ok> sent = sys::send_signal(init.get(), signal).context("container ", container.record.name);
  if (!sent.ok() && sent.error().code() == ESRCH)
    return Error(0, "container ", container.record.name, " is not running");
  return sent;
}

Result<int> wait_container(const Paths& paths, const Container& container) {
  const std::string& id = container.record.id;
  const std::string lock_path = cat(paths.live_containers(), "/", id, "/lock");
  while (true) {
    if (Result<Fd> lock = sys::open_at(AT_FDCWD, lock_path, O_RDONLY); lock.ok()) {
      while (::flock(lock->get(), LOCK_SH) != 0) {
        if (errno != EINTR) return sys_error("wait for container ", container.record.name);
      }
      // Its keeper left the end in the lock file; none there means that it was killed before it could.
      const Result<std::string> end = sys::read_fd(lock->get(), "the container's lock file", kMaxStateBytes);
      if (end.ok() && !end->empty()) return TRY(decode_state(*end, lock_path)).exit_code;
    }
    TRY(sweep(paths));
    const Result<Container> again = load_container(paths, id);
    if (!again.ok() && again.error().code() != ENOENT) return again.error();
    if (!again.ok()) return container.state.status == Status::exited ? container.state.exit_code : kUnseenEnd;
    if (again->state.status != Status::running) return again->state.exit_code;
    // Another who waits had the lock just then, and kept it from being swept.
    ShortWait::a_little();
  }
}

Result<Ok> stop_container(const Paths& paths, const Container& container, unsigned timeout_s, const Notice& notice) {
  const std::optional<Container> made = TRY(once_made(paths, container));
  if (!made || made->state.status != Status::running) return Ok{};
  Result<Fd> init = open_init(*made);
  if (init.ok()) {
    const auto send = [&](int signal) -> Result<Ok> {
      Result<Ok> sent = sys::send_signal(init->get(), signal).context("stop ", container.record.name);
      // It has ended by now: that is what was wanted.
      return !sent.ok() && sent.error().code() == ESRCH ? Result<Ok>(Ok{}) : sent;
    };
    TRY(send(container.record.stop_signal));
    if (!TRY(ends_within(init->get(), int64_t{timeout_s} * 1000))) {
      if (notice) {
        notice(cat(container.record.name, " did not stop within ", timeout_s, " seconds of signal ",
                   container.record.stop_signal, "; killing it"));
      }
      TRY(send(SIGKILL));
    }
  }
  TRY(wait_container(paths, container));
  return Ok{};
}

Result<Ok> remove_container(const Paths& paths, const Container& container, bool force, unsigned timeout_s) {
  const std::string& name = container.record.name;
  Container now = container;
  const ShortWait wait;
  while (true) {
    if (now.state.status == Status::running) {
      if (!force) {
        return Error(0, "container ", name, " is running; stop it first (moss stop ", name, ") or use --force")
            .with_exit_code(2);
      }
      TRY(stop_container(paths, now, timeout_s, {}));
      if (now.record.remove) return Ok{};  // its keeper removed it
    }
    const IdMap map = id_map_of(now.folder);
    if (std::optional<OwnedContainer> owned = TRY(OwnedContainer::adopt(paths, now.record.id))) {
      return owned->remove(map).context("remove ", name);
    }
    if (wait.is_over()) {
      return Error(EAGAIN, "remove container ", name, ", which another moss is making or removing (try again)");
    }
    ShortWait::a_little();
    Result<Container> again = load_container(paths, container.record.id);
    if (again.ok()) {
      now = std::move(again).value();
    } else if (again.error().code() == ENOENT) {
      now.state.status = Status::exited;  // what is left of it goes when its remover lets go
    }
  }
}

}  // namespace moss::engine
