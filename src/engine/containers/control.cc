// Signals, stopping, waiting, removing.
#include <poll.h>
#include <signal.h>
#include <sys/file.h>

#include <chrono>

#include "moss/engine/container.hh"
#include "moss/engine/mounts.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxStateBytes = 1u << 20;

// Whether the process ended within the time.
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

}  // namespace

Result<Ok> kill_container(const Container& container, int signal) {
  const Fd init = TRY(open_init(container));
  return sys::send_signal(init.get(), signal).context("container ", container.record.name);
}

Result<int> wait_container(const Paths& paths, const Container& container) {
  const std::string live = paths.live_containers() + "/" + container.record.id;
  Result<Fd> lock = sys::open_at(AT_FDCWD, live + "/lock", O_RDONLY);
  if (lock.ok()) {
    while (::flock(lock->get(), LOCK_SH) != 0) {
      if (errno != EINTR) return sys_error("wait for container ", container.record.name);
    }
    // Its keeper left the end in the lock file; none there means that it was killed before it could.
    const Result<std::string> end = sys::read_fd(lock->get(), "the container's lock file", kMaxStateBytes);
    lock = Fd();
    if (end.ok() && !end->empty()) return TRY(decode_state(*end, live + "/lock")).exit_code;
    TRY(sweep(paths));
  }
  Result<Container> again = load_container(paths, container.record.id);
  if (again.ok()) return again->state.exit_code;
  if (again.error().code() == ENOENT) return container.state.exit_code;
  return std::move(again).error();
}

Result<Ok> stop_container(const Paths& paths, const Container& container, unsigned timeout_s, const Notice& notice) {
  if (container.state.status != Status::running) return Ok{};
  Result<Fd> init = open_init(container);
  if (init.ok()) {
    TRY(sys::send_signal(init->get(), container.record.stop_signal).context("stop ", container.record.name));
    if (!TRY(ends_within(init->get(), int64_t{timeout_s} * 1000))) {
      if (notice) {
        notice(cat(container.record.name, " did not stop within ", timeout_s, " seconds of signal ",
                   container.record.stop_signal, "; killing it"));
      }
      TRY(sys::send_signal(init->get(), SIGKILL).context("stop ", container.record.name));
    }
  }
  TRY(wait_container(paths, container));
  return Ok{};
}

Result<Ok> remove_container(const Paths& paths, const Container& container, bool force, unsigned timeout_s) {
  const std::string& name = container.record.name;
  if (container.state.status == Status::running) {
    if (!force) {
      return Error(0, "container ", name, " is running; stop it first (moss stop ", name, ") or use --force")
          .with_exit_code(2);
    }
    TRY(stop_container(paths, container, timeout_s, {}));
    if (container.record.remove) {
      // Its keeper removed it, outside of the "moss unshare" where it may be mounted.
      unmount_removed(paths, container.record.id);
      return Ok{};
    }
  }
  const IdMap map = id_map_of(container.folder);
  std::optional<OwnedContainer> owned = TRY(OwnedContainer::adopt(paths, container.record.id));
  if (!owned) return Error(EAGAIN, "remove container ", name, ", which another moss is making or removing (try again)");
  return owned->remove(map).context("remove ", name);
}

}  // namespace moss::engine
