// The files of a running container, for who mounts them elsewhere: moss mount.
//
// They are an overlay in the container's own mount namespace, and a second overlay over the same upper folder is
// undefined behaviour. So the mount that is there is cloned (open_tree(2)), and whoever wants it attaches the clone
// (move_mount(2)). To clone it takes rights over the container's user namespace. Its owner has them, outside; a process
// in `moss unshare` is in a namespace beside it and has none. So `moss unshare`, which waits outside for its command,
// clones for those inside:
//
//     moss mount, inside ── id, a socket ──▶ moss unshare, outside ── the clone, or why there is none ──▶ that socket
//
// One datagram asks, so that nobody who asks can make the server wait. The server proves that the container is the
// caller's and runs; nothing else can be asked of it.
#pragma once

#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"

namespace moss::engine {

/// A detached clone of what the container has at "/", without the mounts in it. The caller must have no threads.
/// Errors: it does not run; the caller is not its owner.
Result<Fd> clone_running_root(const Container& container);

/// The same from `moss unshare` around us, whose folder for mounts this is. Errors: also that it has ended.
Result<Fd> ask_for_running_root(const std::string& folder, const Container& container);

/// Says that to those who are still inside.
Error unshare_has_ended();

}  // namespace moss::engine
