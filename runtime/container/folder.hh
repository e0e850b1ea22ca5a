// A container's folder: taking the name, writing into it, clearing it.
#pragma once

#include <optional>
#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/oci/state.hh"
#include "runtime/container/identity.hh"

namespace moss::runtime {

inline constexpr size_t kMaxConfigBytes = 16u << 20;

/// A folder that is being filled. Removed at the end of its scope unless kept.
class NewFolder {
 public:
  /// Takes the name. What a killed creator left under it is cleared first, if nobody of it is alive.
  /// Errors: `container "x" exists already`.
  static Result<NewFolder> claim(const std::string& root, const std::string& id);
  NewFolder(NewFolder&& other) noexcept
      : path_(std::exchange(other.path_, {})), dir_(std::move(other.dir_)), lock_(std::move(other.lock_)) {}
  NewFolder& operator=(NewFolder&&) = delete;
  ~NewFolder();

  const std::string& path() const { return path_; }
  int dir() const { return dir_.get(); }
  Result<Ok> write_config(std::string_view text);
  Result<Ok> write_record(const oci::ContainerRecord& record);
  /// The socket on which process 1 waits for `start`.
  Result<Fd> listen_for_start();
  /// The folder stays. Only process 1 holds its lock from here on.
  void keep();

 private:
  NewFolder(std::string path, Fd dir, Fd lock) : path_(std::move(path)), dir_(std::move(dir)), lock_(std::move(lock)) {}

  std::string path_;
  Fd dir_;
  Fd lock_;  ///< init.lock, which the child inherits until its execve
};

/// A socket connected to process 1, which waits for its start. Errors: nobody waits there.
Result<Fd> connect_to_init(int dir);

/// Whether init.lock is held: by a creator, or by process 1 before its execve.
bool is_init_locked(int dir);

/// Nothing: there is no such file. Errors: it is damaged.
Result<std::optional<oci::ContainerRecord>> read_record(int dir, const std::string& folder);

/// Removes the folder and all in it, the record last.
Result<Ok> remove_folder(const std::string& folder, int dir);

inline Identity identity_of(const oci::ContainerRecord& record) {
  return {static_cast<pid_t>(record.pid), record.start_time, record.pidfd_inode, record.boot_id};
}

}  // namespace moss::runtime
