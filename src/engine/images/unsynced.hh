// Images that are there and perhaps not on the disk yet.
//
// Making a pulled image durable can take as long as pulling it, and nobody needs to wait for that. So before anything
// of an image shows, an empty file says that it may get lost, and that file alone is synced:
//
//   unsynced/<boot id>.<digest of the manifest>.<random>
//
// A short-lived process in the background then syncs the file system once and removes the note. What it would mean if
// it did not get there is decided by the boot id:
//
//   this boot      nothing is lost: the kernel has all of it, and the next moss that adds an image syncs again
//   another boot   power went in between. The image is as if it had never been pulled: read_index() leaves it out, and
//                  the next moss that adds an image drops it and collects what it left
//
// An image that is in the index already gets no note, so none can lose it: what is added to it is synced at once.
#pragma once

#include <set>
#include <string>

#include "locks.hh"
#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// The note of one image that is about to be added. It goes with this value, unless it was given away by leave() or
/// sync_in_background(): until then the image must not be in the index.
class UnsyncedNote {
 public:
  /// Durable when this returns.
  static Result<UnsyncedNote> write(const std::string& store, const std::string& manifest_digest);
  UnsyncedNote(UnsyncedNote&& other) noexcept
      : store_(std::move(other.store_)), name_(std::exchange(other.name_, {})), file_(std::move(other.file_)) {}
  UnsyncedNote& operator=(UnsyncedNote&&) = delete;
  ~UnsyncedNote();

  /// The index may have the image, or not: writing it went wrong at its very end. The note stays for the next command.
  void leave() { name_.clear(); }

  /// The image is in the index. Returns at once; a process that is nobody's child syncs, removes the note and ends.
  /// Where none can be made it is done here.
  void sync_in_background();

 private:
  UnsyncedNote(std::string store, std::string name, Fd file)
      : store_(std::move(store)), name_(std::move(name)), file_(std::move(file)) {}
  std::string store_;
  std::string name_;
  Fd file_;  ///< locked while somebody sees to it
};

/// Digests of the manifests that a power cut may have damaged. One system call where there are no notes.
std::set<std::string> lost_manifests(const std::string& store);

/// To be called by whoever is about to add an image, before it looks at what is there: syncs what a killed moss of this
/// boot did not get to, and drops what another boot lost. Waits for those who look images up.
/// Not while the store is held: see drop_lost.
Result<Ok> settle_unsynced(const std::string& store, const TreeRemover& remove);

/// The second half of it. Whoever holds the store and may add something while it does calls this first: afterwards
/// there is nothing left to wait for that somebody who holds the store would keep from happening.
Result<Ok> drop_lost(const std::string& store, const TreeRemover& remove);

}  // namespace moss::engine
