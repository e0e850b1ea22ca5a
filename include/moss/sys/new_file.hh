// A file that is there when it is whole, and not before.
//
// It has no name until its last byte is written (O_TMPFILE), so a process that is killed leaves nothing, or the file
// that had the name before. Two things need a name of their own for a moment: taking the place of a file that is there,
// and filesystems without O_TMPFILE. That name is ".NAME.moss-part-RANDOM", its file is locked, and the next who writes
// NAME removes those that nobody holds.
#pragma once

#include <string>
#include <utility>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

class NewFile {
 public:
  /// To become `path`, with mode 0644 less the umask. Removes what killed writers of the same path left.
  /// Errors: the folder is not there or may not be written to.
  static Result<NewFile> create(const std::string& path);
  NewFile(NewFile&& other) noexcept
      : path_(std::move(other.path_)), part_(std::exchange(other.part_, {})), fd_(std::move(other.fd_)) {}
  NewFile& operator=(NewFile&&) = delete;
  /// Without show() nothing stays.
  ~NewFile();

  int fd() const { return fd_.get(); }

  /// Gives it its name, in the place of the file that has it now.
  Result<Ok> show();

 private:
  NewFile() = default;
  std::string path_;
  std::string part_;  ///< its name until it is whole; empty where it needs none
  Fd fd_;
};

/// A name beside `path` for what is to become `path`: a file, or a folder that its maker locks with flock(2).
std::string part_of(const std::string& path);
/// Removes what has such a name and is held by nobody.
void sweep_parts(const std::string& path);

/// "a/b" gives "a" and "b"; "b" gives "." and "b"; slashes at the end count for nothing.
std::pair<std::string, std::string> parent_and_name(std::string path);

}  // namespace moss::sys
