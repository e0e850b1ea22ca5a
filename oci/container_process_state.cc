// The tables of what a seccomp agent is told.
#include "moss/oci/container_process_state.hh"

#include "json_table.hh"

namespace moss::oci {

template <>
inline constexpr auto fields<AgentsState> =
    std::tuple(required("ociVersion", &AgentsState::oci_version), required("id", &AgentsState::id),
               required("status", &AgentsState::status), optional("pid", &AgentsState::pid),
               required("bundle", &AgentsState::bundle), optional("annotations", &AgentsState::annotations));

template <>
inline constexpr auto fields<ContainerProcessState> = std::tuple(
    required("ociVersion", &ContainerProcessState::oci_version), required("fds", &ContainerProcessState::fds),
    required("pid", &ContainerProcessState::pid), optional("metadata", &ContainerProcessState::metadata),
    required("state", &ContainerProcessState::state));

std::string encode_container_process_state(const ContainerProcessState& state) {
  return encode(state, JsonWriter::Style::indented);
}

}  // namespace moss::oci
