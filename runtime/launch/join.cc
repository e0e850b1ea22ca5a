// setns(2), then clone3(2).
//
// A process that enters a pid namespace is not in it, its children are; and which rights the others ask for depends on
// the order. So a process of its own joins, makes the child as its parent's, reports and ends:
//
//   parent ── clone ──▶ joiner: setns … ── clone3(CLONE_PARENT) ──▶ the container's first process
//
// The user namespace comes between: what we may join as we are, we join first (it may belong to our own user
// namespace), the rest as root of the one we enter. See setns(2), user_namespaces(7).
#include "runtime/launch/join.hh"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"
#include "runtime/launch/clone.hh"
#include "runtime/launch/process_steps.hh"

namespace moss::runtime {

namespace {

struct Kind {
  int type;
  const char* name;  ///< runtime-spec's
  const char* file;  ///< below /proc/self/ns
};

constexpr Kind kKinds[] = {{CLONE_NEWUSER, "user", "user"},       {CLONE_NEWNS, "mount", "mnt"},
                           {CLONE_NEWPID, "pid", "pid"},          {CLONE_NEWNET, "network", "net"},
                           {CLONE_NEWIPC, "ipc", "ipc"},          {CLONE_NEWUTS, "uts", "uts"},
                           {CLONE_NEWCGROUP, "cgroup", "cgroup"}, {0x80 /* CLONE_NEWTIME */, "time", "time"}};

const Kind& kind_of(int type) {
  for (const Kind& kind : kKinds) {
    if (kind.type == type) return kind;
  }
  return kKinds[0];
}

bool is_own(int fd, const Kind& kind) {
  struct stat theirs;
  struct stat ours;
  return ::fstat(fd, &theirs) == 0 && ::stat(cat("/proc/self/ns/", kind.file).c_str(), &ours) == 0 &&
         theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

// What the joiner says before it ends.
struct Report {
  pid_t pid = 0;
  int error = 0;
  uint32_t place = 0;  ///< index of the join, or one of the next two
};
constexpr uint32_t kAtScore = UINT32_MAX;
constexpr uint32_t kAtClone = UINT32_MAX - 1;

// System calls only: the joiner is a copy of its parent too.
Report join(const std::vector<OpenedJoin>& joins) {
  bool user_still_to_come = false;
  for (const OpenedJoin& one : joins) user_still_to_come = user_still_to_come || one.type == CLONE_NEWUSER;
  for (int round = user_still_to_come ? 0 : 1; round < 2; ++round) {
    for (uint32_t i = 0; i < joins.size(); ++i) {
      // In round 0 what may be joined as we are, then the user namespace; in round 1 the rest.
      if (joins[i].type == CLONE_NEWUSER) continue;
      if (::setns(joins[i].fd.get(), joins[i].type) != 0 && (round == 1 || errno != EPERM)) {
        return {.error = errno, .place = i};
      }
    }
    for (uint32_t i = 0; round == 0 && i < joins.size(); ++i) {
      if (joins[i].type == CLONE_NEWUSER && ::setns(joins[i].fd.get(), CLONE_NEWUSER) != 0) {
        return {.error = errno, .place = i};
      }
    }
  }
  return {};
}

Report join_and_clone(const Plan& plan, const std::vector<OpenedJoin>& joins, const std::function<void()>& inside) {
  if (plan.oom_score) {
    if (const int error = set_oom_score(*plan.oom_score)) return {.error = error, .place = kAtScore};
  }
  // Not to be traced or read by who is in those namespaces already (CVE-2016-9962). A new user namespace is out of
  // their reach anyhow, and newuidmap must be able to look into its first process.
  if ((plan.clone_flags & CLONE_NEWUSER) == 0 && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return {.error = errno, .place = kAtScore};
  }
  Report report = join(joins);
  if (report.error != 0) return report;
  const pid_t pid = clone3({.flags = plan.clone_flags | CLONE_PARENT, .exit_signal = 0});
  if (pid == 0) inside();
  if (pid < 0) return {.error = errno, .place = kAtClone};
  return {.pid = pid};
}

}  // namespace

Result<std::vector<OpenedJoin>> open_joins(const Plan& plan) {
  std::vector<OpenedJoin> opened;
  for (const Join& join : plan.joins) {
    const Kind& kind = kind_of(join.type);
    const std::string name = excerpt(join.path, 256);
    // O_NONBLOCK: whatever it is, it is not waited for.
    Fd fd(::open(join.path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd) return sys_error("linux.namespaces: open ", name);
    const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (type < 0) return Error(0, "linux.namespaces: ", name, " is no namespace");
    if (type != join.type) {
      return Error(0, "linux.namespaces: ", name, " is a ", kind_of(type).name, " namespace, not a ", kind.name,
                   " one");
    }
    if (is_own(fd.get(), kind)) {
      if (join.type == CLONE_NEWNS || join.must_differ) {
        return Error(0, "linux.namespaces: ", name, " is the ", kind.name,
                     " namespace that moss itself is in; the container would change the host");
      }
      continue;
    }
    opened.push_back({std::move(fd), join.type, join.path});
  }
  return opened;
}

Result<sys::Child> clone_through(const Plan& plan, const std::vector<OpenedJoin>& joins, int cgroup_fd,
                                 const std::function<void()>& inside) {
  auto [reading, writing] = TRY(sys::make_pipe());
  const pid_t joiner_pid = clone3(into_cgroup({}, cgroup_fd));
  if (joiner_pid < 0) return sys_error("fork");
  if (joiner_pid == 0) {
    const Report report = join_and_clone(plan, joins, inside);
    ::_exit(::write(writing.get(), &report, sizeof report) == sizeof report ? 0 : 125);
  }
  sys::Child joiner(joiner_pid);
  writing.reset();
  Report report;
  ssize_t got;
  do {
    got = ::read(reading.get(), &report, sizeof report);
  } while (got < 0 && errno == EINTR);
  (void)joiner.wait();
  if (got != sizeof report) return Error(EPIPE, "join the namespaces");
  if (report.error == 0) {
    sys::Child child(report.pid);
    // The number is still its own: nobody but us can reap it.
    Fd pidfd = TRY(sys::open_pidfd(report.pid));
    return sys::Child(child.release(), std::move(pidfd));
  }
  if (report.place == kAtScore) return Error(report.error, describe(*plan.oom_score));
  if (report.place == kAtClone) return Error(report.error, "make the container's namespaces");
  const OpenedJoin& failed = joins[report.place];
  return Error(report.error, "join ", kind_of(failed.type).name, " namespace ", printable(failed.path));
}

}  // namespace moss::runtime
