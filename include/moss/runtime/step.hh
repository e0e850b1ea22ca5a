// The vocabulary of a launch: everything a container's first process does between clone3 and execve, as plain data.
//
// The child walks a list of steps. It makes system calls and nothing else: no allocation, no lock, no library that
// might do either, because it is a copy of a process it knows nothing about. So a step is trivially copyable and points
// at text the Plan owns. Paths called `source` are the host's; paths called `path` or `destination` are below the
// container's root and are only ever opened from its descriptor.
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <variant>

#include "moss/runtime/protocol.hh"

namespace moss::runtime {

using Strings = std::span<const char* const>;

/// unshare(2): namespaces the child makes itself, while the parent has its ids mapped.
struct Unshare {
  int flags;
};

/// Tells the parent how far the child is; see protocol.hh.
struct Tell {
  Message message;
};

/// Waits until the parent says so.
struct Await {
  Message message;
};

/// Takes the ids that set the container up (root's, where root is mapped), and drops every supplementary group where
/// the kernel allows it.
struct BecomeRoot {
  uint32_t uid;
  uint32_t gid;
  bool drop_groups;
  bool groups_may_stay;  ///< where the namespace, which is not ours, allows no setgroups(2)
  bool visible;  ///< to the network helper, which looks into /proc/PID; not where others share the pid namespace
};

/// mount(2) of "/" with MS_REC and a propagation type: nothing done here reaches the host's mount table.
struct SetPropagation {
  unsigned long type;
};

/// What the root's own mount passes on and is told, once it is "/" (config-linux.md "Rootfs Mount Propagation").
struct SetRootPropagation {
  unsigned long type;
};

/// Writes the caller's, and so the workload's, oom_score_adj through the host's /proc, while that file is still ours.
struct SetOomScore {
  const char* score;
  bool optional;  ///< a lower score than the kernel allows leaves the score as it is
};

/// Not to be looked into by processes that share our pid namespace, until execve (CVE-2016-9962, CVE-2019-5736).
struct Hide {};

/// Opens the folder that the root is to be mounted on, while the caller's own ids still open every folder on the way.
/// It may not be a symlink, nor the host's "/".
struct HoldStaging {
  const char* source;
};

/// Opens the folders of an overlay for MountRoot or MountRootClassic: where id 0 inside is nobody outside the store is
/// closed to it, and mount(2) has no room for their names.
struct HoldFolders {
  Strings sources;
};
inline constexpr size_t kMaxHeldFolders = 256;

/// Gives a folder of the host to root inside, who is not its maker.
struct GiveToRoot {
  const char* source;
};

/// The rootfs is a folder, the one that HoldStaging opened: it becomes a mount of its own, bound onto itself.
struct BindRoot {
  const char* source;
};

/// The rootfs is mounted: `options` as fsconfig(2) takes them ("key=value" or "key"), attached at the staging folder.
struct MountRoot {
  const char* type;
  Strings options;
  uint64_t attributes;  ///< MOUNT_ATTR_…
  bool held;            ///< folders in `options` are those of HoldFolders, in the same order
};

/// The same through mount(2), for kernels whose overlay takes its lower folders in one option only. The folders are
/// always those of HoldFolders: a page, all that mount(2) reads, has room for over two hundred.
struct MountRootClassic {
  const char* type;
  Strings options;  ///< as in MountRoot, with each lower folder by itself
  uint64_t attributes;
  const char* scratch;  ///< a folder of the host that the mount may lie over for a moment
};

// A mount is made in two steps: it is prepared, as a descriptor in a slot, and attached below the root. What needs no
// mapped ids is prepared while newuidmap works; only attaching has to wait for the root.

/// How many mounts may be prepared at a time.
inline constexpr uint8_t kSlots = 128;

/// A new filesystem, in a slot.
struct PrepareMount {
  uint8_t slot;
  const char* type;
  const char* source;
  Strings options;
  uint64_t attributes;
  uint64_t propagation;      ///< MS_SHARED, …; 0 leaves it private
  const char* fallback;      ///< this path of the host, read-only, where the kernel allows no new one; or null
  const char* classic_data;  ///< the same options as mount(2) takes them, for a filesystem that fsopen(2) does not make
  unsigned long classic_flags;
};

/// Opens the source of a PrepareBind that comes later, in its slot, while the caller's own ids still open every folder
/// on the way.
struct HoldSource {
  uint8_t slot;
  const char* source;
};

/// A copy of a piece of the host's mount tree, in a slot.
struct PrepareBind {
  uint8_t slot;
  bool held;  ///< the slot holds its source already
  const char* source;
  uint64_t set;        ///< MOUNT_ATTR_… to set
  uint64_t clear;      ///< MOUNT_ATTR_… to clear
  uint64_t set_below;  ///< the same, for it and all that is mounted below it
  uint64_t clear_below;
  uint64_t propagation;  ///< MS_PRIVATE, …; 0 is private
  bool propagation_recursive;
  bool recursive;  ///< with what is mounted below the source
};

/// A device of the host, in a slot. `source` must be a device, and where `type` is given (S_IFCHR, S_IFBLK) this one.
struct PrepareDevice {
  uint8_t slot;
  const char* source;
  uint32_t type;
  uint32_t major;
  uint32_t minor;
};

/// mknod(2) below the root. What stands there already must be just that device.
struct MakeNode {
  const char* path;
  uint32_t mode;  ///< with its type: S_IFCHR, S_IFBLK, S_IFIFO
  uint32_t major;
  uint32_t minor;
  uint32_t uid;
  uint32_t gid;
  bool or_bind;  ///< where it may not be made, or something else stands there, the host's device of that name is bound
};

/// mount_setattr(2) of a mount that is attached already.
struct ChangeMount {
  const char* path;
  uint64_t set;
  uint64_t clear;
  uint64_t set_below;
  uint64_t clear_below;
};

/// New options for the filesystem that is mounted at `path` (fspick(2)).
struct Reconfigure {
  const char* path;
  Strings options;
};

/// Lays a prepared mount over a path of the host, which only this mount namespace sees covered, so that its own paths
/// can be masked before there is a root to attach it to.
struct Park {
  uint8_t slot;
  const char* source;
};

/// Attaches a prepared mount below the root and empties the slot. A missing destination is made: a folder for a folder,
/// else an empty file.
struct Attach {
  uint8_t slot;
  const char* destination;
  bool optional;  ///< a destination that is not there and cannot be made is left alone
  bool copy_up;   ///< what the rootfs has at the destination is copied into it first (tmpcopyup)
};

/// umount2(2) of what is mounted there. What is still in use goes when it is let go.
struct Detach {
  const char* destination;
};

/// symlinkat(2). One that stands there already is left alone.
struct Symlink {
  const char* target;
  const char* path;
};

/// mkdir -p below the root; the last folder gets the owner where it had to be made.
struct MakeDir {
  const char* path;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
};

/// Opens a pseudo-terminal of the container's own devpts, sends its master to the parent, binds the other end over
/// /dev/console and makes it stdio and controlling terminal.
struct OpenTerminal {
  uint16_t rows;
  uint16_t columns;
  bool console;  ///< bind it over /dev/console
  uint32_t uid;  ///< who gets it; its group is what devpts says
};

/// Where a path to cover lies: below the root, or below a parked mount.
inline constexpr uint8_t kBelowRoot = UINT8_MAX;

/// Puts something empty over a path: /dev/null over a file, an empty read-only tmpfs over a folder. Absent: nothing.
struct Mask {
  const char* path;
  uint8_t below;  ///< slot of the mount parked at the first part of `path`, or kBelowRoot
};

/// Binds a path onto itself, read-only. Absent: nothing to do.
struct ReadonlyPath {
  const char* path;
  uint8_t below;
};

struct ReadonlyRoot {};

/// How many files of /proc may be held open for writing.
inline constexpr uint8_t kHeldProcFiles = 16;
inline constexpr uint8_t kNotHeld = UINT8_MAX;

/// Opens a file of the parked procfs for a later WriteProc: before the file is covered, and without a second procfs.
struct HoldProcFile {
  uint8_t index;
  uint8_t slot;  ///< where the procfs is
  const char* file;
};

/// Writes below /proc: to a held file, else through a procfs of its own that nobody else can reach. `file` is relative
/// to it.
struct WriteProc {
  const char* file;
  const char* text;
  uint8_t held;  ///< index of the held file, or kNotHeld
};

struct SetHostname {
  const char* name;
};

struct SetDomainname {
  const char* name;
};

/// What a security module is to confine the workload by, from its execve on.
struct SetExecLabel {
  const char* file;   ///< below /proc: where this kernel takes it
  const char* other;  ///< where an older one does; or null
  const char* label;
};

/// sched_setattr(2).
struct SetScheduler {
  uint32_t policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime_ns;
  uint64_t deadline_ns;
  uint64_t period_ns;
};

/// ioprio_set(2).
struct SetIoPriority {
  int priority;  ///< class and level, as IOPRIO_PRIO_VALUE puts them together
};

/// sched_setaffinity(2): one bit a CPU.
struct SetCpuAffinity {
  std::span<const uint32_t> cpus;
};

/// set_mempolicy(2): one bit a node.
struct SetMemoryPolicy {
  int mode;  ///< with its flags
  std::span<const uint32_t> nodes;
};

struct SetPersonality {
  unsigned long persona;
};

/// A session keyring of the container's own, so that the caller's keys are out of reach. See keyrings(7).
struct JoinKeyring {
  const char* name;
};

/// Brings "lo" up in the network namespace.
struct LoopbackUp {};

/// "/" is the container's root from here on; the host's files are out of sight.
struct PivotRoot {};

/// The same where the host's root is a ramdisk, which pivot_root(2) does not move: the new root is moved over "/", and
/// is all that a path reaches. What the host has mounted below goes where it may; procfs and sysfs that may not are
/// covered, or a process that makes a user namespace could mount whole ones.
struct ChrootRoot {
  Strings mounts;  ///< of the host, but "/", without the first slash
};

struct SetRlimit {
  int resource;
  uint64_t soft;
  uint64_t hard;
};

struct SetUmask {
  uint32_t mask;
};

/// Changes to a folder and proves that it lies inside (CVE-2024-21626).
struct ChangeDir {
  const char* path;
};

/// setgroups (unless denied for ever), setresgid, setresuid. Every capability stays, and stays effective.
struct SetIds {
  uint32_t uid;
  uint32_t gid;
  std::span<const uint32_t> groups;
  bool set_groups;
  bool groups_may_stay;  ///< where none are asked for and the namespace, which is not ours, allows no setgroups(2)
};

/// prctl(PR_CAPBSET_DROP) of everything that is not in `keep`. Bit n is capability n.
struct DropBounding {
  uint64_t keep;
};

struct SetCapabilities {
  uint64_t effective;
  uint64_t permitted;
  uint64_t inheritable;
};

struct SetAmbient {
  uint64_t capabilities;
};

struct NoNewPrivileges {};

/// seccomp(2). With SECCOMP_FILTER_FLAG_NEW_LISTENER the listener goes to the parent, and the child waits until the
/// parent has handed it on.
struct LoadSeccomp {
  std::span<const sock_filter> filter;
  uint32_t flags;  ///< SECCOMP_FILTER_FLAG_…
};

/// A session of one's own: the caller's controlling terminal is out of reach (TIOCSTI, job control).
struct NewSession {};

/// Killed when the parent dies; a change of credentials forgets it, so it is asked for again afterwards.
struct DieWithParent {};

/// Not killed when the parent dies: for a container that its creator leaves behind.
struct OutliveParent {};

/// Looks for the command among its candidates, as Exec will, so that a missing one fails `create` and not `start`.
struct FindCommand {
  Strings candidates;
  const char* name;
};

/// Reports `created`, waits until the parent has written its record (`released`), and is on its own from there: the
/// parent may end. With `for_start` the next word comes from `moss oci start`, over the listening socket of
/// LaunchOptions::start_socket, and so do later failures go to it.
struct WaitForRelease {
  bool for_start;
};

/// Runs a hook of config.json in this process's namespaces and waits for its end. `state` is what it reads, with our
/// own pid put between the two parts; the process that becomes the hook first does the steps from `confine_from` up to
/// Exec.
struct RunHook {
  const char* kind;  ///< "createContainer", "startContainer"
  const char* path;
  Strings args;
  Strings environment;
  int timeout_s;  ///< 0: as long as it takes
  const char* state_before_pid;
  const char* state_after_pid;
  bool at_root;           ///< starts in the container's root, which is not "/" yet
  uint32_t confine_from;  ///< index of a step; kNoConfinement: the hook is the host's own program
};
inline constexpr uint32_t kNoConfinement = UINT32_MAX;

/// Completes `variable`, "HOME=/", by the user's home folder in the container's /etc/passwd, where there is one.
struct FindHome {
  uint32_t uid;
  char* variable;  ///< in the plan, of which the child has a copy
  uint32_t size;   ///< of its room
};

/// Signal handling as after boot: all default, none blocked.
struct ResetSignals {};

/// 3 and up are closed at execve, but for `keep` of them.
struct CloseFds {
  uint32_t keep;
};

/// From here on the steps run in a child; this process becomes the container's init: it reaps, passes signals on and
/// ends as the child does.
struct ForkFromInit {};

/// The end, with success, of a process that has nothing to execute.
struct Finish {};

/// execve(2) of the first candidate that exists. With a shell's view of failure: what cannot be run is EACCES, what is
/// nowhere is ENOENT.
struct Exec {
  Strings candidates;
  Strings args;         ///< ends with a null pointer
  Strings environment;  ///< ends with a null pointer
};

using Step = std::variant<Unshare, Tell, Await, SetOomScore, Hide, BecomeRoot, SetPropagation, HoldStaging, HoldFolders,
                          GiveToRoot, BindRoot, MountRoot, MountRootClassic, PrepareMount, HoldSource, PrepareBind,
                          PrepareDevice, Park, HoldProcFile, Attach, Detach, MakeNode, ChangeMount, Reconfigure,
                          Symlink, MakeDir, OpenTerminal, Mask, ReadonlyPath, ReadonlyRoot, WriteProc, SetHostname,
                          SetDomainname, LoopbackUp, SetExecLabel, PivotRoot, ChrootRoot, SetRootPropagation, SetRlimit,
                          SetUmask, ChangeDir, SetScheduler, SetIoPriority, SetCpuAffinity, SetMemoryPolicy,
                          SetPersonality, JoinKeyring, SetIds, DropBounding, SetCapabilities, SetAmbient,
                          NoNewPrivileges, LoadSeccomp, NewSession, DieWithParent, OutliveParent, FindHome, FindCommand,
                          WaitForRelease, RunHook, ResetSignals, CloseFds, ForkFromInit, Finish, Exec>;
static_assert(std::is_trivially_copyable_v<Step>);

/// What a step does, as its error and `moss debug plan` say it: "mount tmpfs at /dev".
std::string describe(const Step& step);

}  // namespace moss::runtime
