// The one small process that stays with a detached container, and what is done at every container's end.
#pragma once

#include "moss/engine/monitor.hh"
#include "moss/engine/supervise.hh"
#include "src/engine/containers/network_setup.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

/// Says how it ended, then removes the container (--rm) or puts its end on record.
Result<Ok> finish(OwnedContainer& container, ContainerState state, const IdMap& map);

/// Turns this process into the monitor: moss executes itself anew, so that nothing of what the launch needed stays in
/// memory, and keeps the container's lock, process, output and network helper by descriptor.
[[noreturn]] void become_monitor(OwnedContainer& container, Supervision supervision,
                                 std::optional<NetworkHelper> network);

}  // namespace moss::engine
