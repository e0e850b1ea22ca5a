// Who is in a container's cgroup: listing, freezing, killing.
//
// Cgroup v2 does both of the latter for a whole tree and at once. v1 freezes a tree too, but less surely: a process
// that forks or sleeps in the kernel meanwhile may hold it in FREEZING, and asking again helps. Kernel: cgroup-v2.rst
// "Core Interface Files", cgroup-v1/freezer-subsystem.rst.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/wait.hh"

namespace moss::runtime {

namespace {

constexpr int kFreezeMs = 10'000;

// Where freezing and listing happen: the unified tree if the container is in it, else the freezer's, else any.
const std::string* main_folder(const CgroupRecord& record) {
  if (record.folders.empty()) return nullptr;
  const auto unified = record.folders.find("");
  if (unified != record.folders.end()) return &unified->second;
  const std::string* freezer = folder_of(record, "freezer");
  return freezer != nullptr ? freezer : &record.folders.begin()->second;
}

// ---- freezing ----

struct Freezer {
  std::string folder;
  bool unified = false;
};

// On a hybrid host either tree would do; the unified one is surer, where the kernel has it (5.2).
std::optional<Freezer> find_freezer(const CgroupRecord& record) {
  const auto unified = record.folders.find("");
  if (unified != record.folders.end() && sys::exists(below(unified->second, "cgroup.freeze"))) {
    return Freezer{unified->second, true};
  }
  const std::string* v1 = is_unified(record) ? nullptr : folder_of(record, "freezer");
  if (v1 != nullptr) return Freezer{*v1, false};
  return std::nullopt;
}

// The kernel says in cgroup.events when the last process has stopped, and wakes who polls that file.
Result<Ok> await_frozen_unified(const std::string& folder) {
  const Fd events = TRY(sys::open_at(AT_FDCWD, below(folder, "cgroup.events"), O_RDONLY));
  for (Patience patience(kFreezeMs);;) {
    char text[256];
    const ssize_t got = ::pread(events.get(), text, sizeof text, 0);
    if (got < 0) return sys_error("read ", folder, "/cgroup.events");
    if (keyed_number(std::string_view(text, static_cast<size_t>(got)), "frozen") == 1u) return Ok{};
    pollfd wakeup{.fd = events.get(), .events = POLLPRI, .revents = 0};
    const int woken = ::poll(&wakeup, 1, kFreezeMs);
    if (woken < 0 && errno != EINTR) return sys_error("wait for ", folder, "/cgroup.events");
    if (woken == 0 || (woken > 0 && !patience.wait())) return Error(ETIMEDOUT, "freeze ", folder);
  }
}

Result<Ok> await_frozen_v1(const std::string& folder) {
  Patience patience(kFreezeMs);
  for (int tries = 1;; ++tries) {
    const std::string state = TRY(read_control(folder, "freezer.state"));
    if (state == "FROZEN") return Ok{};
    if (!patience.wait()) return Error(ETIMEDOUT, "freeze ", folder);
    // What holds the freezing up may be gone after a moment's thaw.
    if (tries % 20 == 0) TRY(write_control(folder, "freezer.state", "THAWED"));
    TRY(write_control(folder, "freezer.state", "FROZEN"));
  }
}

Result<Ok> set_frozen(const Freezer& freezer, bool frozen) {
  if (freezer.unified) return write_control(freezer.folder, "cgroup.freeze", frozen ? "1" : "0");
  return write_control(freezer.folder, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

Result<Ok> freeze(const Freezer& freezer) {
  TRY(set_frozen(freezer, true));
  Result<Ok> frozen = freezer.unified ? await_frozen_unified(freezer.folder) : await_frozen_v1(freezer.folder);
  if (!frozen.ok()) (void)set_frozen(freezer, false);
  return frozen;
}

Result<Freezer> freezer_of(const CgroupRecord& record) {
  const std::optional<Freezer> freezer = find_freezer(record);
  if (!freezer) return Error(0, "the container has no cgroup of its own that could be frozen");
  if (!folder_exists(freezer->folder)) return Error(ENOENT, "the container's cgroup ", freezer->folder, " is gone");
  return *freezer;
}

// ---- killing ----

// Everybody who is there now. Gone meanwhile is fine.
Result<Ok> signal_all(const std::set<pid_t>& pids, int signal) {
  for (const pid_t pid : pids) {
    if (::kill(pid, signal) != 0 && errno != ESRCH) return sys_error("send signal ", signal, " to process ", pid);
  }
  return Ok{};
}

// Without a freezer newcomers are met by looking again until there are none.
Result<Ok> signal_until_known(const std::string& folder, int signal) {
  std::set<pid_t> known;
  for (int round = 0; round < 100; ++round) {
    std::set<pid_t> fresh = TRY(all_processes(folder));
    std::erase_if(fresh, [&](pid_t pid) { return known.contains(pid); });
    if (fresh.empty()) return Ok{};
    TRY(signal_all(fresh, signal));
    known.insert(fresh.begin(), fresh.end());
  }
  return Error(EAGAIN, "signal ", signal, ": new processes come faster than they are met");
}

}  // namespace

Result<std::vector<pid_t>> cgroup_processes(const CgroupRecord& record) {
  std::set<pid_t> pids;
  if (const std::string* folder = main_folder(record)) pids = TRY(all_processes(*folder));
  return std::vector<pid_t>(pids.begin(), pids.end());
}

Result<Ok> freeze_cgroup(const CgroupRecord& record) { return freeze(TRY(freezer_of(record))); }

Result<Ok> thaw_cgroup(const CgroupRecord& record) { return set_frozen(TRY(freezer_of(record)), false); }

Result<Ok> free_from_freezer(const CgroupRecord& record, pid_t pid) {
  const std::string* folder = is_unified(record) ? nullptr : folder_of(record, "freezer");
  if (folder == nullptr || !folder_exists(*folder)) return Ok{};
  TRY(write_control(*folder, "freezer.state", "THAWED"));
  return write_control(*folder, "cgroup.procs", std::to_string(pid));
}

Result<bool> is_frozen_elsewhere(const CgroupRecord& record) {
  const std::string* v1 = is_unified(record) ? nullptr : folder_of(record, "freezer");
  return v1 != nullptr && TRY(read_control_if_exists(*v1, "freezer.state")) != "THAWED";
}

Result<bool> is_cgroup_frozen(const CgroupRecord& record) {
  const std::optional<Freezer> freezer = find_freezer(record);
  if (!freezer) return false;
  if (freezer->unified) {
    // What the container does with cgroups of its own, or others with those above, is not a pause of this one.
    return TRY(read_control_if_exists(freezer->folder, "cgroup.freeze")) == "1";
  }
  return TRY(read_control_if_exists(freezer->folder, "freezer.self_freezing")) == "1";
}

Result<Ok> kill_cgroup(const CgroupRecord& record, int signal) {
  const std::string* folder = main_folder(record);
  if (folder == nullptr || !folder_exists(*folder)) return Ok{};
  const std::optional<Freezer> freezer = find_freezer(record);
  if (signal == SIGKILL && record.folders.contains("")) {
    Result<Ok> killed = write_control(*folder, "cgroup.kill", "1");
    // Since Linux 5.14; a threaded cgroup does not take it.
    if (killed.ok()) return Ok{};
    if (killed.error().code() != ENOENT && killed.error().code() != EOPNOTSUPP) return killed;
  }
  if (!freezer) return signal_until_known(*folder, signal);
  const bool was_frozen = TRY(is_cgroup_frozen(record));
  if (!was_frozen && !freeze(*freezer).ok()) return signal_until_known(*folder, signal);
  const Result<std::set<pid_t>> pids = all_processes(*folder);
  Result<Ok> done = pids.ok() ? signal_all(*pids, signal) : Result<Ok>(pids.error());
  // A frozen process of v1 does not even die.
  if (!was_frozen || signal == SIGKILL) TRY(set_frozen(*freezer, false));
  return done;
}

}  // namespace moss::runtime
