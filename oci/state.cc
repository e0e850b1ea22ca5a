// A container's state and moss's record of it, as JSON.
#include "moss/oci/state.hh"

#include "json_table.hh"

namespace moss::oci {

template <>
inline constexpr auto fields<State> =
    std::tuple(required("ociVersion", &State::oci_version), required("id", &State::id), written("pid", &State::pid),
               required("status", &State::status), required("bundle", &State::bundle),
               optional("rootfs", &State::rootfs), optional("created", &State::created),
               optional("owner", &State::owner), optional("annotations", &State::annotations));

template <>
inline constexpr auto fields<CgroupRecord> =
    std::tuple(optional("folders", &CgroupRecord::folders), optional("made", &CgroupRecord::made),
               optional("unit", &CgroupRecord::unit), optional("userBus", &CgroupRecord::user_bus),
               optional("rootless", &CgroupRecord::rootless));

constexpr Rule kThisVersion = {"1, the only version this moss knows", nullptr,
                               [](Integer i) { return i.bits == kRecordVersion; }};

template <>
inline constexpr auto fields<ContainerRecord> = std::tuple(
    required("version", &ContainerRecord::version, kThisVersion), required("id", &ContainerRecord::id),
    required("bundle", &ContainerRecord::bundle), required("rootfs", &ContainerRecord::rootfs),
    required("created", &ContainerRecord::created), required("owner", &ContainerRecord::owner),
    optional("annotations", &ContainerRecord::annotations), required("pid", &ContainerRecord::pid, kNotNegative),
    optional("startTime", &ContainerRecord::start_time), optional("pidfdInode", &ContainerRecord::pidfd_inode),
    optional("bootId", &ContainerRecord::boot_id), optional("ownPidNamespace", &ContainerRecord::own_pid_namespace),
    optional("cgroup", &ContainerRecord::cgroup), optional("hasPoststart", &ContainerRecord::has_poststart),
    optional("hasPoststop", &ContainerRecord::has_poststop), optional("resctrl", &ContainerRecord::resctrl),
    optional("steps", &ContainerRecord::steps), optional("firstStep", &ContainerRecord::first_step),
    optional("command", &ContainerRecord::command));

std::string encode_state(const State& state) { return encode(state, JsonWriter::Style::indented); }
std::string encode_hook_state(const State& state) { return encode(state, JsonWriter::Style::compact); }
std::string encode_states(const std::vector<State>& states) { return encode(states, JsonWriter::Style::compact); }
Result<State> decode_state(std::string_view json) { return decode<State>("state", json); }

Result<ContainerRecord> decode_record(std::string_view json) { return decode<ContainerRecord>("state.json", json); }
std::string encode_record(const ContainerRecord& record) { return encode(record, JsonWriter::Style::compact); }

}  // namespace moss::oci
