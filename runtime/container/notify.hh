// The word of a workload that it is ready, handed on to the service manager outside: sd_notify(3).
//
// Where the runtime is started with NOTIFY_SOCKET, somebody outside waits for the line READY=1. The container sees
// neither that socket, nor would the service manager know who speaks. So it has a socket of its own,
// /run/notify/notify.sock:
//   create   shows it the folder ROOT/ID/notify at /run/notify, read-only
//   start    binds the socket in there, before the workload begins, and waits for the word or for its end
// and run does both. Only READY=1 is handed on: what else a container says may not be told in the name of the service.
#pragma once

#include <sys/types.h>

#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/oci/config.hh"

namespace moss::runtime {

/// Whether the workload of `config` may speak to `notify_socket` (empty: nobody waits). Not where its environment names
/// a socket already: the caller serves that one. Errors: it is neither a path nor an abstract name ("@...").
Result<bool> hands_on_readiness(const std::string& notify_socket, const oci::Config& config);

/// Adds the mount of `folder`/notify, and the variable.
void show_notify_folder(oci::Config& config, const std::string& folder);

/// `dir` is the folder of a container's state, here and below.
Result<Ok> make_notify_folder(int dir);
bool has_notify_folder(int dir);
void remove_notify_folder(int dir);

/// The container's socket, to which every user in it may write. Of one that was left the place is taken.
Result<Fd> bind_notify_socket(int dir);

/// Waits until somebody in the container says READY=1 over `socket`, and tells `notify_socket` so; with `main_pid` also
/// that this is the service's process from now on (0: it is the caller's). Returns at once when the process of `pidfd`
/// has ended. Errors: nobody listens at `notify_socket`.
Result<Ok> hand_on_readiness(int socket, int pidfd, const std::string& notify_socket, pid_t main_pid);

}  // namespace moss::runtime
