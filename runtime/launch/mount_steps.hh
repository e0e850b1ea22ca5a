// The steps that build the container's filesystem: its root, what is mounted, made and masked below it, and the
// kernel's switches in procfs; with the descriptors that one step leaves for the next. For the child; see raw.hh.
//
// Paths below the container's root are below_root.hh's: what was opened there is what is mounted over, written to or
// masked.
#pragma once

#include "moss/runtime/plan.hh"
#include "runtime/launch/below_root.hh"
#include "runtime/launch/inherited.hh"
#include "runtime/launch/raw.hh"

namespace moss::runtime {

class MountSteps {
 public:
  /// What was inherited is borrowed.
  explicit MountSteps(const Inherited& inherited);

  /// The container's "/".
  BelowRoot& root() { return root_; }

  /// Makes sure of a procfs that nobody else has had a hand in: proc(). 0 or an errno.
  int hold_proc();
  int proc() const { return proc_; }

  // Each does its step, and gives 0 or an errno.

  int apply(const SetPropagation& s);
  int apply(const SetRootPropagation& s);
  int apply(const HoldStaging& s);
  int apply(const HoldFolders& s);
  int apply(const GiveToRoot& s);
  int apply(const BindRoot& s);
  int apply(const MountRoot& s);
  int apply(const MountRootClassic& s);
  int apply(const PrepareMount& s);
  int apply(const HoldSource& s);
  int apply(const PrepareBind& s);
  int apply(const PrepareDevice& s);
  int apply(const MakeNode& s);
  int apply(const ChangeMount& s);
  int apply(const Reconfigure& s);
  int apply(const Park& s);
  int apply(const Attach& s);
  int apply(const Detach& s);
  int apply(const Symlink& s);
  int apply(const MakeDir& s);
  int apply(const Mask& s);
  int apply(const ReadonlyPath& s);
  int apply(const ReadonlyRoot& s);
  int apply(const PivotRoot& s);
  int apply(const ChrootRoot& s);
  int apply(const HoldProcFile& s);
  int apply(const WriteProc& s);

 private:
  int open_below(uint8_t below, const char* path);
  int fill(uint8_t slot, int fd);
  int attach_root(const Held& mount);
  int hold_root(int root);

  // Open until execve closes them.
  int staging_ = -1;               // what the root is mounted on
  const char* scratch_ = nullptr;  // the same by name, for what only mount(2) can mount
  BelowRoot root_;
  int proc_;            // a procfs of our own, or the host's
  int empty_dir_ = -1;  // the tmpfs that masks folders
  int slots_[kSlots];   // prepared mounts
  int held_[kMaxHeldFolders];
  int proc_files_[kHeldProcFiles];
};

}  // namespace moss::runtime
