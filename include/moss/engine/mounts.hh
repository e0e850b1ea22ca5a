// Root filesystems of containers and images, mounted where the caller can walk through them: moss mount.
//
// An ordinary user may mount only in a user namespace of their own, so this works inside `moss unshare`, and what was
// mounted there ends with it. Real root mounts on the host.
#pragma once

#include <string>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

/// Where `moss unshare` tells its commands that they are inside: the folder for mounts.
inline constexpr const char* kMountsVariable = "MOSS_MOUNTS";

/// The folder that mounts are made in. Error: not inside `moss unshare` (`verb` is told to be run there), nor real
/// root.
Result<std::string> mounts_folder(const Paths& paths, const std::string& verb);

/// Mounts it and gives the place; the one it has where it is mounted already. What runs shows there as it does inside,
/// but for what is mounted in it. The caller must have no threads. Errors: it runs, and the `moss unshare` around us
/// has ended.
Result<std::string> mount_container(const std::string& folder, const Container& container);
/// Read-only. Error: its layers are not unpacked for this namespace's ids.
Result<std::string> mount_image(const std::string& folder, ImageStore& store, const Image& image);

/// The ids of what is mounted in the folder.
Result<std::vector<std::string>> mounted_in(const std::string& folder);
/// Ends a mount of that id, with `force` also where files in it are open; false where there is none.
Result<bool> unmount_from(const std::string& folder, const std::string& id, bool force);

/// Ends what a container that goes is mounted as, where this process can: in the `moss unshare` around it, or as real
/// root on the host.
void unmount_removed(const Paths& paths, const std::string& id);

/// `moss unshare` lends its hand to those inside who mount a container that runs: they have no rights over its
/// namespaces, who waits outside has.
class RunningRoots {
 public:
  /// `folder`: that for mounts. The socket is removed with it.
  static Result<RunningRoots> open(const Paths& paths, const std::string& folder);
  /// The caller must have no threads.
  void serve_until_end_of(int pidfd) const;

 private:
  RunningRoots(Paths paths, Fd socket) : paths_(std::move(paths)), socket_(std::move(socket)) {}
  void answer() const;

  Paths paths_;
  Fd socket_;
};

}  // namespace moss::engine
