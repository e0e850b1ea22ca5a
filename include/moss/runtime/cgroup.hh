// Cgroups: what a container may use, who is in it, and how all of it is stopped, frozen and counted.
//
//   probe_cgroups ──▶ plan_cgroup ──▶ Cgroup::prepare ──▶ clone3 ──▶ Cgroup::enter ──▶ keep() ──▶ state.json
//   look once         decide, pure    folders, limits     the child   what is left      record
//
// A later process has only the record, and does everything else with it: update, freeze, list, kill, stats, remove.
//
// Three things can make a container's cgroup:
//   - moss, as a folder (cgroupfs). On cgroup v2 the child is born in it: pass clone_fd() to clone3(CLONE_INTO_CGROUP).
//   - systemd, as a transient scope. It wants a process to put in, so all of it happens in enter().
//   - nobody: nothing is delegated to the caller and no limit is asked for. Then there is no cgroup, quietly.
// A limit that cannot be kept is an error that names the limit and the fix.
//
// The order matters to whoever launches: a new cgroup namespace takes the cgroup its maker is in as its root, so the
// child may unshare(CLONE_NEWCGROUP) only when enter() has returned (or, without one, whenever it likes).
//
// See runtime/cgroup/README.md, cgroups(7), runtime-spec config-linux.md "Control groups".
#pragma once

#include <linux/bpf.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/oci/cgroup.hh"
#include "moss/oci/config.hh"
#include "moss/sys/host.hh"

namespace moss::runtime {

using oci::CgroupRecord;
using oci::CgroupStats;

// ---- look ----

/// One mounted tree of cgroups.
struct CgroupTree {
  std::vector<std::string> controllers;  ///< v1: "cpu", "cpuacct", or "name=systemd". v2: those of its root folder
  std::string mount;                     ///< the folder it is mounted at
  std::string own;                       ///< the caller's cgroup, relative to the mount: "/", "/user.slice/…"
  /// The highest folder, relative to the mount, below which the caller may make cgroups and move its own processes.
  /// Nothing: not anywhere.
  std::optional<std::string> delegated;

  /// "" for v2, "cpu,cpuacct" for v1: the key of CgroupRecord::folders.
  std::string key;
  bool operator==(const CgroupTree&) const = default;
};

/// The host's cgroups as the caller sees them. Planning reads this value and never the machine.
struct CgroupHost {
  sys::CgroupMode mode = sys::CgroupMode::none;
  std::vector<CgroupTree> v1;
  std::optional<CgroupTree> v2;
  bool systemd = false;     ///< the machine was booted with it
  bool ordinary = false;    ///< the caller is not root, or root only of a user namespace
  bool clone_into = false;  ///< the kernel has CLONE_INTO_CGROUP (5.7)
};

/// What is asked for that only a cgroup can keep: "memory.limit", "pids.limit", … Device rules do not count: every
/// engine writes some, and an ordinary user has none to give. "No limit" (-1) is none. Pure.
std::vector<std::string> asked_limits(const oci::Resources& resources);
/// Whether a config asks for any. Pure.
bool asks_for_limits(const oci::Config& config);

/// Looks at /proc/self/mountinfo, /proc/self/cgroup and, where it matters, at who owns the folders.
/// `asks` is asks_for_limits(): an ordinary user on a v1 or hybrid host who asks for nothing gets mode none without a
/// further look, and on v2 the look is four system calls.
Result<CgroupHost> probe_cgroups(const sys::Host& host, bool asks);

// ---- decide ----

enum class CgroupManager : uint8_t {
  cgroupfs,  ///< moss makes the folders
  systemd,   ///< a transient scope; the user's manager where the caller is not root
  disabled,  ///< the container stays in the caller's cgroup; limits are refused
};
std::optional<CgroupManager> parse_cgroup_manager(std::string_view name);

struct CgroupOptions {
  std::string id;
  CgroupManager manager = CgroupManager::cgroupfs;
  bool rootless = false;      ///< as the caller of moss says (--rootless); an ordinary user is it anyhow
  std::vector<IdRange> uids;  ///< the container's uid map, where it is not config.linux.uid_mappings
};

/// One value for one file of the container's cgroup.
struct CgroupWrite {
  std::string limit;       ///< who asks for it, below linux.resources: "memory.limit"
  std::string controller;  ///< "memory"; on v1 it names the tree. Empty for files that every cgroup has
  std::string file;        ///< "memory.max"
  std::string value;
  std::string other_file;  ///< takes `other_value` where the kernel has no `file`
  std::string other_value;
  bool optional = false;  ///< nothing is lost where the kernel has no such file
  bool operator==(const CgroupWrite&) const = default;
};

/// A property of a transient unit: `signature` is D-Bus's for the value ("t", "s", "b", "ay", "as", "u", "i", "d", …).
struct UnitProperty {
  std::string name;
  std::string signature;
  std::vector<std::string> values;  ///< one for a scalar; numbers in decimal; the elements of an array
  bool operator==(const UnitProperty&) const = default;
};

/// Everything that will be done for a container's cgroup. Plain data.
struct CgroupPlan {
  /// What will have been made. With systemd the folders are known only when the scope is there; `unit` is already.
  /// May be written to state.json before prepare(), so that a killed moss leaves nothing that nobody can find.
  CgroupRecord record;
  std::map<std::string, std::string> mounts;  ///< by tree as in record.folders: where it is mounted
  std::vector<std::string> controllers;       ///< v2: to be enabled down to the container's folder
  std::string enable_from;                    ///< v2: the folder where that begins
  std::vector<CgroupWrite> writes;            ///< in this order
  std::vector<bpf_insn> device_filter;        ///< v2; empty: none
  bool clone_into = false;                    ///< v2: the child can be born there
  std::optional<uint32_t> owner;              ///< v2: the user outside that gets the folder, who is root inside

  // With systemd (record.unit is set):
  std::string slice;  ///< the parent unit
  std::string description;
  std::vector<UnitProperty> properties;  ///< beside Slice, Delegate and the like
  std::string subgroup;                  ///< a folder below the scope's for the container; empty: none

  bool empty() const { return record.empty(); }
};

/// Decides where the container's cgroup goes and what is written to it. Pure.
///
/// linux.cgroupsPath, cgroupfs: an absolute path counts from the mount; a relative one, and the id where there is none,
/// from the caller's own cgroup on v1 and from that one's parent on v2 (runc's rule: the caller's own has processes in
/// it and so cannot hand controllers down).
/// linux.cgroupsPath, systemd: "slice:prefix:name"; an empty slice is system.slice, for the user's manager user.slice.
///
/// Errors: a ".." or a path outside what is delegated, while a limit is asked for; each limit that cannot be kept, by
/// name, with the fix; a wrong value; systemd asked for where there is none.
Result<CgroupPlan> plan_cgroup(const oci::Config& config, const CgroupHost& host, const CgroupOptions& options);

/// The plan as text, a line a step.
std::string to_string(const CgroupPlan& plan);

/// `resources` as writes to v1 files, device rules last, in an order that a fresh cgroup takes. A value that an older
/// neighbour makes impossible (EINVAL) is written once more after the others. Zero means "not set" for memory, shares,
/// quota and period, as in runc; memory.kernel and kernelTCP are not looked at, which no kernel keeps any more.
/// Pure. Errors: what v1 cannot do, by name.
Result<std::vector<CgroupWrite>> cgroup_writes_v1(const oci::Resources& resources);
/// The same for v2, with the conversions of runtime-spec config-linux.md: swap without the memory, shares to weight.
/// Device rules are not among them: see device_filter(). Pure. Errors: what v2 cannot do, by name.
Result<std::vector<CgroupWrite>> cgroup_writes_v2(const oci::Resources& resources);
/// cpu.shares of v1 (2..262144) as cpu.weight of v2 (1..10000), by the curve through (2, 1), (1024, 100) and
/// (262144, 10000) that runc and crun use since 2025. Error: libm.so.6, which comes with glibc, cannot be loaded.
Result<uint64_t> cpu_weight(uint64_t shares);

/// The eBPF program (BPF_PROG_TYPE_CGROUP_DEVICE) that lets in what `rules`, the last match first, and then the spec's
/// default devices allow. Pure.
Result<std::vector<bpf_insn>> device_filter(const std::vector<oci::DeviceRule>& rules);

// ---- act: the process that creates the container ----

/// A container's cgroup in the making: emptied and removed at the end of its scope unless kept.
class Cgroup {
 public:
  /// Before the container's process exists: folders, controllers, limits, device rules; with systemd, nothing yet.
  /// Errors: the file and the value that were refused; the folder exists and has processes in it.
  static Result<Cgroup> prepare(CgroupPlan plan);
  Cgroup(Cgroup&&) noexcept;
  Cgroup& operator=(Cgroup&&) = delete;
  ~Cgroup();

  /// For clone_args.cgroup with CLONE_INTO_CGROUP; -1 where the process has to be added afterwards. EACCES and EBUSY of
  /// clone3 are then about this folder.
  int clone_fd() const { return clone_fd_.get(); }
  /// Whether enter() has something to do: then the child must wait for it before it makes a cgroup namespace.
  bool must_enter() const;
  /// Puts the container's first process in wherever clone3 could not; with systemd, makes the scope around it, waits
  /// for it and applies the limits. Called once, whatever must_enter() says. `pid` as the caller's pid namespace
  /// counts it.
  Result<Ok> enter(pid_t pid);

  const CgroupRecord& record() const { return plan_.record; }
  /// The cgroup stays; the record goes to state.json.
  CgroupRecord keep();

 private:
  explicit Cgroup(CgroupPlan plan) : plan_(std::move(plan)) {}

  CgroupPlan plan_;
  Fd clone_fd_;
  bool owned_ = true;
  bool is_ours_ = false;  ///< nobody else's processes are in it
};

// ---- act: any later process, with the record alone ----

/// Where a process of `exec` starts. `subgroup` is --cgroup PATH, below the container's cgroup; ".." is refused.
struct ExecCgroup {
  Fd clone_fd;                       ///< v2: for CLONE_INTO_CGROUP; else -1
  std::vector<std::string> folders;  ///< v1: where enter_exec_cgroup puts the process
  std::string unit;                  ///< only systemd may put it there: the user's scope, seen from a login session
  std::string inside;                ///< and where below the unit's cgroup, "/" or "/part"

  /// Whether enter_exec_cgroup has something to do.
  bool must_enter() const { return !folders.empty() || !unit.empty(); }
};
/// On v2, a cgroup that hands controllers down takes no processes (EBUSY on clone3): then `init`, the container's first
/// process, tells where there is room. Errors: no such subgroup; the caller may not move a process there.
Result<ExecCgroup> open_exec_cgroup(const CgroupRecord& record, pid_t init, const std::string& subgroup);
/// Puts the process where clone3 could not.
Result<Ok> enter_exec_cgroup(const ExecCgroup& cgroup, pid_t pid);

/// `update`: what is set in `resources` changes, the rest stays. Where moss may not (no cgroup), an error that names
/// the limit. With systemd the unit's properties change too, or the next daemon-reload would undo it.
Result<Ok> update_cgroup(const CgroupRecord& record, const oci::Resources& resources);

/// Stops every process and waits until they have. Errors: no cgroup to do it with; not frozen in 10 s (it is thawed).
Result<Ok> freeze_cgroup(const CgroupRecord& record);
Result<Ok> thaw_cgroup(const CgroupRecord& record);
/// False also where there is no cgroup, or none any more.
Result<bool> is_cgroup_frozen(const CgroupRecord& record);
/// On a hybrid host: by v1's freezer, which pause does not use there.
Result<bool> is_frozen_elsewhere(const CgroupRecord& record);
/// Takes a process back from whatever cgroup of v1's freezer it was moved to, into the container's own.
Result<Ok> free_from_freezer(const CgroupRecord& record, pid_t pid);

/// Every process in the cgroup and below, as the caller's pid namespace counts them. Empty where there is none any
/// more.
Result<std::vector<pid_t>> cgroup_processes(const CgroupRecord& record);
/// Sends `signal` to all of them, newcomers included. SIGKILL is one write where the kernel has cgroup.kill; everything
/// else is done to frozen processes, so that none is missed. A frozen cgroup stays frozen, except for SIGKILL.
Result<Ok> kill_cgroup(const CgroupRecord& record, int signal);

/// Stops the scope and removes the folders that moss made, and what the container made below them. Waits a little for
/// the last process to be gone (EBUSY). What is gone already is success. Errors: still processes in it after 5 s.
Result<Ok> remove_cgroup(const CgroupRecord& record);

/// One look, for `events --stats`. Errors: no cgroup; it is gone.
Result<CgroupStats> cgroup_stats(const CgroupRecord& record);

/// Tells when the kernel killed something in the cgroup for want of memory (v1: when it ran out of it).
class OomWatch {
 public:
  /// Errors: no memory controller there.
  static Result<OomWatch> open(const CgroupRecord& record);
  /// Becomes readable (POLLIN) when it is worth asking.
  int fd() const { return fd_.get(); }
  /// How many since the last question. `gone` is set when the cgroup is no more.
  Result<uint64_t> take(bool& gone);

 private:
  OomWatch() = default;

  Fd fd_;  ///< v1: an eventfd. v2: inotify on memory.events and cgroup.events
  std::string folder_;
  uint64_t seen_ = 0;
  bool unified_ = false;
};

}  // namespace moss::runtime
