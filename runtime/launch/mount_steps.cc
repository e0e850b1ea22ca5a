// Steps of the container's filesystem. See the header.
#include "runtime/launch/mount_steps.hh"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "runtime/launch/copy_tree.hh"
#include "runtime/launch/mounting.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

namespace {

bool is_node(const struct stat& status, uint32_t type, uint32_t major, uint32_t minor) {
  if ((status.st_mode & S_IFMT) != type) return false;
  return type == S_IFIFO || status.st_rdev == makedev(major, minor);
}

}  // namespace

MountSteps::MountSteps(const Inherited& inherited) : proc_(inherited.proc.get()) {
  for (const Inherited::Mount& mount : inherited.mounts) slots_[mount.slot] = mount.fd.get();
}

int MountSteps::apply(const SetPropagation& s) { return check(::mount(nullptr, "/", nullptr, s.type, nullptr)); }

int MountSteps::apply(const SetRootPropagation& s) { return check(::mount(nullptr, "/", nullptr, s.type, nullptr)); }

int MountSteps::apply(const HoldStaging& s) {
  scratch_ = s.source;
  staging_ = ::open(s.source, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat staging;
  struct stat root;
  if (staging_ < 0 || ::fstat(staging_, &staging) != 0 || ::stat("/", &root) != 0) return errno;
  return staging.st_dev == root.st_dev && staging.st_ino == root.st_ino ? EBUSY : 0;
}

int MountSteps::apply(const HoldFolders& s) {
  if (s.sources.size() > kMaxHeldFolders) return E2BIG;
  for (size_t i = 0; i < s.sources.size(); ++i) {
    held_[i] = ::open(s.sources[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (held_[i] < 0) return errno;
  }
  return 0;
}

int MountSteps::apply(const GiveToRoot& s) { return check(::chown(s.source, 0, 0)); }

int MountSteps::apply(const BindRoot&) {
  const Held tree(::open_tree(staging_, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  return tree ? attach_root(tree) : errno;
}

int MountSteps::apply(const MountRoot& s) {
  const Held mount(new_mount(s.type, s.type, s.options, s.attributes, s.held ? held_ : nullptr));
  return mount ? attach_root(mount) : errno;
}

int MountSteps::apply(const MountRootClassic& s) {
  const Held mount(classic_overlay(s, held_));
  return mount ? attach_root(mount) : errno;
}

int MountSteps::apply(const PrepareMount& s) { return fill(s.slot, prepare_mount(s, scratch_)); }

int MountSteps::apply(const HoldSource& s) { return fill(s.slot, ::open_tree(AT_FDCWD, s.source, OPEN_TREE_CLOEXEC)); }

int MountSteps::apply(const PrepareBind& s) {
  const Held source(s.held ? slots_[s.slot] : -1);
  return fill(s.slot, prepare_bind(s, source.get()));
}

int MountSteps::apply(const PrepareDevice& s) {
  Held device(::open_tree(AT_FDCWD, s.source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!device) return errno;
  struct stat status;
  if (::fstat(device.get(), &status) != 0) return errno;
  if (!S_ISCHR(status.st_mode) && !S_ISBLK(status.st_mode)) return ENODEV;
  if (s.type != 0 && !is_node(status, s.type, s.major, s.minor)) return ENODEV;
  return fill(s.slot, device.release());
}

int MountSteps::apply(const MakeNode& s) {
  const char* name = nullptr;
  const Held parent(root_.open_parent(s.path, &name));
  if (!parent) return errno;
  const mode_t mask = ::umask(0);
  const int error = check(::mknodat(parent.get(), name, s.mode, makedev(s.major, s.minor)));
  ::umask(mask);
  if (error == 0) {
    if (s.uid == 0 && s.gid == 0) return 0;
    return check(::fchownat(parent.get(), name, s.uid, s.gid, AT_SYMLINK_NOFOLLOW));
  }
  struct stat status;
  if (error == EEXIST && ::fstatat(parent.get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      is_node(status, s.mode & S_IFMT, s.major, s.minor)) {
    return 0;
  }
  if (!s.or_bind && error != EPERM) return error;
  const PrepareDevice hosts{kSlots - 1, s.path, s.mode & S_IFMT, s.major, s.minor};
  if (apply(hosts) != 0) return error;
  return apply(Attach{.slot = hosts.slot, .destination = s.path});
}

int MountSteps::apply(const ChangeMount& s) {
  const Held mount(root_.open(s.path, O_PATH));
  if (!mount) return errno;
  if (const int error = change_attributes(mount.get(), s.set_below, s.clear_below, true)) return error;
  return change_attributes(mount.get(), s.set, s.clear, false);
}

int MountSteps::apply(const Reconfigure& s) {
  const Held mount(root_.open(s.path, O_PATH));
  if (!mount) return errno;
  return reconfigure(mount.get(), s.options);
}

int MountSteps::apply(const Park& s) {
  return check(::move_mount(slots_[s.slot], "", AT_FDCWD, s.source, MOVE_MOUNT_F_EMPTY_PATH));
}

int MountSteps::apply(const Attach& s) {
  const Held mount(slots_[s.slot]);
  slots_[s.slot] = -1;
  struct stat status;
  if (::fstat(mount.get(), &status) != 0) return errno;
  if (s.copy_up) {
    const Held original(root_.open(s.destination, O_RDONLY | O_DIRECTORY));
    const Held copy(::openat(mount.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!copy) return errno;
    if (original) {
      if (const int error = copy_tree(original.get(), copy.get())) return error;
    }
  }
  const int error = root_.attach(mount.get(), s.destination, status.st_mode & S_IFMT);
  const bool no_place = error == EROFS || error == EACCES || error == ENOENT || error == EEXIST || error == ENOTDIR;
  return s.optional && no_place ? 0 : error;
}

int MountSteps::apply(const Detach& s) {
  const Held mount(root_.open(s.destination, O_PATH));
  if (!mount) return errno;
  if (const int error = hold_proc()) return error;
  // umount2(2) takes no descriptor. The procfs is the host's own, so this name of one leads where it should.
  char path[32] = "thread-self/fd/";
  path[15 + write_number(path + 15, static_cast<unsigned>(mount.get()))] = '\0';
  if (::fchdir(proc_) != 0) return errno;
  const int error = check(::umount2(path, MNT_DETACH));
  return ::fchdir(root_.root()) != 0 ? errno : error;
}

int MountSteps::apply(const Symlink& s) {
  const char* name = nullptr;
  const Held parent(root_.open_parent(s.path, &name));
  if (!parent) return errno;
  if (::symlinkat(s.target, parent.get(), name) != 0 && errno != EEXIST) return errno;
  return 0;
}

int MountSteps::apply(const MakeDir& s) {
  const Held existing(root_.open(s.path, O_PATH | O_DIRECTORY));
  if (existing || errno != ENOENT) return existing ? 0 : errno;
  const Held made(root_.make_dirs(s.path, s.mode));
  if (!made) return errno;
  if (s.uid == 0 && s.gid == 0) return 0;
  return check(::fchownat(made.get(), "", s.uid, s.gid, AT_EMPTY_PATH));
}

int MountSteps::apply(const Mask& s) {
  const Held target(open_below(s.below, s.path));
  if (!target) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
  struct stat status;
  if (::fstat(target.get(), &status) != 0) return errno;
  if (!S_ISDIR(status.st_mode)) {
    // The host's own, never the one in the container's /dev, which the image may have replaced (CVE-2025-31133).
    const Held null_device(::open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!null_device) return errno;
    if (::fstat(null_device.get(), &status) != 0) return errno;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) return ENODEV;
    return cover(null_device.get(), target.get());
  }
  // One empty tmpfs serves every folder: a mount costs half of what a filesystem does.
  if (empty_dir_ >= 0) {
    const Held copy(::open_tree(empty_dir_, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    return copy ? cover(copy.get(), target.get()) : errno;
  }
  static constexpr const char* kOptions[] = {"nr_inodes=1", "mode=555"};
  empty_dir_ = new_mount("tmpfs", "tmpfs", kOptions,
                         MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  return empty_dir_ < 0 ? errno : cover(empty_dir_, target.get());
}

int MountSteps::apply(const ReadonlyPath& s) {
  const Held target(open_below(s.below, s.path));
  if (!target) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
  const Held copy(::open_tree(target.get(), "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!copy) return errno;
  if (set_attributes(copy.get(), true, {.attr_set = MOUNT_ATTR_RDONLY}) != 0) return errno;
  return cover(copy.get(), target.get());
}

int MountSteps::apply(const ReadonlyRoot&) {
  return check(set_attributes(root_.root(), false, {.attr_set = MOUNT_ATTR_RDONLY}));
}

int MountSteps::apply(const PivotRoot&) {
  // The new root on top of the old one, at the same place: no folder for the old one is needed, and it goes at once.
  if (::fchdir(root_.root()) != 0) return errno;
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  return check(::chdir("/"));
}

int MountSteps::apply(const ChrootRoot& s) {
  // The way to the old root's mounts once the new one covers it.
  const Held old(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old || ::fchdir(root_.root()) != 0) return errno;
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0) return errno;
  if (::fchdir(old.get()) != 0) return errno;
  for (const char* path : s.mounts) {
    // In a user namespace the host's mounts are locked, and stay.
    if (::umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    const Held left(open_at_with(old.get(), path, O_PATH, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
    struct statfs status;
    if (!left || ::fstatfs(left.get(), &status) != 0) continue;
    if (status.f_type != PROC_SUPER_MAGIC && status.f_type != SYSFS_MAGIC) continue;
    const Held cover_up(new_mount("tmpfs", "tmpfs", {}, MOUNT_ATTR_RDONLY));
    if (!cover_up) return errno;
    if (const int error = cover(cover_up.get(), left.get())) return error;
  }
  return check(::chdir("/"));
}

int MountSteps::apply(const HoldProcFile& s) {
  const int file = open_at_with(slots_[s.slot], s.file, O_WRONLY, 0, kProcFile);
  if (file < 0) return errno;
  proc_files_[s.index] = file;
  return 0;
}

int MountSteps::apply(const WriteProc& s) {
  if (s.held != kNotHeld) return check(::write(proc_files_[s.held], s.text, ::strlen(s.text)));
  if (const int error = hold_proc()) return error;
  const Held file(open_at_with(proc_, s.file, O_WRONLY, 0, kProcFile));
  return file ? write_text(file.get(), s.text) : errno;
}

// A procfs that nobody else has had a hand in.
int MountSteps::hold_proc() {
  if (proc_ >= 0) return 0;
  proc_ = new_mount("proc", "proc", {}, 0);
  // Without a pid namespace of its own a container may not mount one; the host's is not the image's, so it serves.
  if (proc_ < 0) proc_ = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  struct statfs status;
  if (proc_ < 0 || ::fstatfs(proc_, &status) != 0) return errno;
  return status.f_type == PROC_SUPER_MAGIC ? 0 : EXDEV;
}

// What a mask covers: below the root, or below a mount that is parked on the host's place for it.
int MountSteps::open_below(uint8_t below, const char* path) {
  if (below == kBelowRoot) return root_.open(path, O_PATH);
  const char* inside = ::strchr(path + 1, '/');
  return open_at_with(slots_[below], inside, O_PATH, 0, kBelow);
}

int MountSteps::fill(uint8_t slot, int fd) {
  if (fd < 0) return errno;
  slots_[slot] = fd;
  return 0;
}

int MountSteps::attach_root(const Held& mount) {
  if (const int error = cover(mount.get(), staging_)) return error;
  return hold_root(::fcntl(mount.get(), F_DUPFD_CLOEXEC, 3));
}

int MountSteps::hold_root(int root) {
  if (root < 0) return errno;
  root_.set_root(root);
  return 0;
}

}  // namespace moss::runtime
