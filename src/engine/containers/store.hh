// Container folders: making, finding, locking and sweeping them.
#pragma once

#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "moss/engine/container.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

std::string encode(const ContainerRecord& record);
std::string encode(const ContainerState& state);
Result<ContainerRecord> decode_record(std::string_view json, const std::string& path);
Result<ContainerState> decode_state(std::string_view json, const std::string& path);

/// The exit code of a container that ended while nobody looked: it was killed with its monitor.
inline constexpr int kUnseenEnd = 137;

/// How long one moss waits for what another has in its hands for a moment: a container that is being made, removed or
/// looked at. Who is stopped in the middle of that holds up others for no longer.
class ShortWait {
 public:
  bool is_over() const { return std::chrono::steady_clock::now() - begun_ > std::chrono::seconds(10); }
  static void a_little() { ::usleep(10'000); }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
};

/// A container under the caller's hand: its lock is held as long as this lives. Only the holder writes to it.
class OwnedContainer {
 public:
  /// Makes the folders and takes the lock and, where one was asked for, the name. Errors: the name is in use.
  static Result<OwnedContainer> create(const Paths& paths, bool remove, const std::string& name, bool replace);
  /// Takes over one that nobody holds; nothing where somebody does.
  static Result<std::optional<OwnedContainer>> adopt(const Paths& paths, const std::string& id);
  /// For a monitor that inherited the lock across execve(2).
  static OwnedContainer inherit(const Paths& paths, const ContainerRecord& record, Fd lock);
  int lock_fd() const { return lock_.fd(); }

  const std::string& id() const { return id_; }
  const std::string& name() const { return name_; }
  bool removes_itself() const { return remove_; }
  /// On the tmpfs: lock, state, and the files bound over /etc.
  std::string live() const { return paths_.live_containers() + "/" + id_; }
  /// On disk: the writable layer, and for a lasting container record, bundle and log.
  std::string lasting() const { return paths_.lasting_containers() + "/" + id_; }
  /// Where record and config.json are.
  std::string folder() const { return remove_ ? live() : lasting(); }
  const Paths& paths() const { return paths_; }

  Result<Ok> write_record(const ContainerRecord& record);
  Result<Ok> write_state(const ContainerState& state);

  /// The end is written into the lock file first: who waits holds it open and reads it when the lock comes free, also
  /// when the folder is gone by then.
  Result<Ok> announce_end(const ContainerState& state);
  /// What its keeper wrote there, who then was killed.
  std::optional<ContainerState> announced_end() const;
  /// Removes what overlayfs left in the work folder to know a volatile mount by.
  void clear_overlay_marks() const;
  /// Everything goes, the record first and then the name, too. `map` is the container's: files of other owners need a
  /// user namespace to be removed.
  Result<Ok> remove(const IdMap& map);
  /// The live half goes, the lasting one keeps `state`.
  Result<Ok> retire(const ContainerState& state);

  OwnedContainer(OwnedContainer&&) = default;

 private:
  Result<Ok> remove_live();

  OwnedContainer(Paths paths, std::string id, std::string name, bool remove, sys::FileLock lock)
      : paths_(std::move(paths)), id_(std::move(id)), name_(std::move(name)), remove_(remove), lock_(std::move(lock)) {}

  Paths paths_;
  std::string id_;
  std::string name_;
  bool remove_;
  sys::FileLock lock_;
};

/// Ends what died unseen: a container that says it runs while nobody holds its lock. With --rm it is removed, else
/// marked as exited. Never waits for a lock.
Result<Ok> sweep(const Paths& paths);

/// The id map a container was made with, by the bundle in its folder; the caller's own where that cannot be read any
/// more.
IdMap id_map_of(const std::string& folder);

/// Where a container's record is, or nothing.
std::optional<std::string> folder_of(const Paths& paths, const std::string& id);
Result<Container> load_container(const Paths& paths, const std::string& id);

/// Whether the process of a pidfd ends within the time.
Result<bool> ends_within(int pidfd, int64_t timeout_ms);

/// A pidfd of the container's process 1, proven to be it. Error: it is not running.
Result<Fd> open_init(const Container& container);

}  // namespace moss::engine
