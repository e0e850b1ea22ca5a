// What a seccomp agent is told beside the descriptor it answers on: runtime-spec config-linux.md "The Container Process
// State".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "moss/oci/config.hh"

namespace moss::oci {

/// runtime.md "State", as the agent gets it.
struct AgentsState {
  std::string oci_version = "1.3.0";
  std::string id;
  std::string status;  ///< "creating", "running"
  int64_t pid = 0;
  std::string bundle;  ///< absolute
  Annotations annotations;
  bool operator==(const AgentsState&) const = default;
};

struct ContainerProcessState {
  std::string oci_version = "1.3.0";
  std::vector<std::string> fds{"seccompFd"};  ///< names of the descriptors that come along, in their order
  int64_t pid = 0;                            ///< the process that was filtered
  std::optional<std::string> metadata;        ///< seccomp's listenerMetadata
  AgentsState state;
  bool operator==(const ContainerProcessState&) const = default;
};

/// One JSON object.
std::string encode_container_process_state(const ContainerProcessState& state);

}  // namespace moss::oci
