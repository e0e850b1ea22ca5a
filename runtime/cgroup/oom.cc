// Being told of processes that the kernel killed for want of memory.
//
// v2: memory.events counts them, and changes as a file does, so inotify(7) tells; cgroup.events says when the last
// process is gone. v1: an eventfd registered in cgroup.event_control.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "runtime/cgroup/apply.hh"

namespace moss::runtime {

namespace {

Result<Fd> watch_unified(const std::string& folder) {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return sys_error("make an inotify descriptor");
  for (const char* file : {"memory.events", "cgroup.events"}) {
    if (::inotify_add_watch(fd.get(), below(folder, file).c_str(), IN_MODIFY) < 0) {
      return sys_error("watch ", below(folder, file));
    }
  }
  return fd;
}

Result<Fd> watch_v1(const std::string& folder) {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd) return sys_error("make an eventfd");
  const Fd control = TRY(sys::open_at(AT_FDCWD, below(folder, "memory.oom_control"), O_RDONLY));
  TRY(write_control(folder, "cgroup.event_control", cat(fd.get(), ' ', control.get())));
  return fd;
}

}  // namespace

Result<OomWatch> OomWatch::open(const CgroupRecord& record) {
  const std::string* folder = folder_of(record, "memory");
  const bool unified = folder != nullptr && is_unified(record);
  const char* const file = unified ? "memory.events" : "memory.oom_control";
  if (folder == nullptr || !sys::exists(below(*folder, file))) {
    return Error(0, "the container has no memory cgroup that could tell of its troubles");
  }
  OomWatch watch;
  watch.fd_ = TRY(unified ? watch_unified(*folder) : watch_v1(*folder));
  watch.folder_ = *folder;
  watch.unified_ = unified;
  watch.seen_ = keyed_number(TRY(read_control(*folder, file)), "oom_kill").value_or(0);
  return watch;
}

Result<uint64_t> OomWatch::take(bool& gone) {
  char drained[4096];
  bool told = false;
  while (::read(fd_.get(), drained, sizeof drained) > 0) told = true;
  const auto text = TRY(read_control_if_exists(folder_, unified_ ? "memory.events" : "memory.oom_control"));
  gone = !text;
  if (gone) return uint64_t{0};
  if (unified_) {
    const auto events = TRY(read_control_if_exists(folder_, "cgroup.events"));
    gone = !events || keyed_number(*events, "populated") == 0u;
  }
  const auto kills = keyed_number(*text, "oom_kill");
  // v1 before Linux 4.13 tells, but does not count.
  if (!kills) return uint64_t{told ? 1u : 0u};
  const uint64_t fresh = *kills - seen_;
  seen_ = *kills;
  return fresh;
}

}  // namespace moss::runtime
