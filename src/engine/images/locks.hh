// Locks and staging folders of the store: what lets several moss work on one store, and the next one clean up after one
// that was killed. Both are flock(2), which the kernel lets go of with the process.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

/// A store that its user may not write to has one remedy, whatever file in it was the first. Other errors stay.
Error keep_images_elsewhere(Error error, const std::string& store);

/// An exclusive lock on a name below the store's locks/, whose file goes when its last holder does.
class NameLock {
 public:
  /// Waits.
  static Result<NameLock> acquire(const std::string& store, const std::string& name);
  /// Nothing where somebody else holds it.
  static Result<std::optional<NameLock>> try_acquire(const std::string& store, const std::string& name);
  NameLock(NameLock&& other) noexcept : path_(std::exchange(other.path_, {})), lock_(std::move(other.lock_)) {}
  NameLock& operator=(NameLock&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~NameLock();

 private:
  NameLock(std::string path, sys::FileLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  sys::FileLock lock_;
};

/// flock(2) on a folder itself, shared or alone. Two folders of the store are held so:
/// - the store's own: shared by who looks up an image and has not yet recorded its use, alone by who deletes images;
/// - blobs/: shared by who adds blobs that no image names yet, alone by who collects garbage.
/// Whoever takes both takes the store's own first.
enum class Hold : bool { shared, alone };
Result<Fd> hold_folder(const std::string& folder, Hold hold);
/// Nothing where somebody else's hold forbids it.
Result<std::optional<Fd>> try_hold_folder(const std::string& folder, Hold hold);

/// Removes `name` below the folder `parent`; the caller knows who owns what is in there.
using TreeRemover = std::function<Result<Ok>(const std::string& parent, const std::string& name)>;

/// A folder below staging/, locked as long as its maker lives.
class Staging {
 public:
  /// `remove` is what its end is left to; it must outlive the value.
  static Result<Staging> create(const std::string& store, TreeRemover remove);
  Staging(Staging&& other) noexcept
      : store_(std::move(other.store_)),
        name_(std::exchange(other.name_, {})),
        dir_(std::move(other.dir_)),
        remove_(std::move(other.remove_)) {}
  Staging& operator=(Staging&&) = delete;
  ~Staging();

  /// Gives it to a process in the background, nobody's child, which removes it and holds its lock until then. For a
  /// caller without threads; where no process can be made it is removed here.
  void remove_in_background() &&;

  std::string path() const { return cat(store_, "/staging/", name_); }
  int dir() const { return dir_.get(); }

 private:
  Staging(std::string store, std::string name, Fd dir, TreeRemover remove)
      : store_(std::move(store)), name_(std::move(name)), dir_(std::move(dir)), remove_(std::move(remove)) {}
  std::string store_;
  std::string name_;
  Fd dir_;
  TreeRemover remove_;
};

/// Waits for every removal in the background, where the disk is nearly full.
void wait_for_removals(const std::string& store);

/// Removes every staging folder whose maker is gone. A store without staging/ has nothing to remove.
Result<Ok> reclaim_staging(const std::string& store, const TreeRemover& remove);

}  // namespace moss::engine
