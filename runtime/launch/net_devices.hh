// Moving the host's network interfaces into a container.
#pragma once

#include <sys/types.h>

#include "moss/runtime/plan.hh"

namespace moss::runtime {

/// Moves each interface into the network namespace of `init`, under its new name, with its global addresses, and sets
/// it up. Needs CAP_NET_ADMIN here and there. Errors name the interface: not there, the name is taken there, not
/// allowed. What was moved before an error stays with the container and ends as it ends. Spec: config-linux.md "Network
/// Devices".
Result<Ok> move_net_devices(const std::vector<NetDeviceMove>& devices, pid_t init);

}  // namespace moss::runtime
