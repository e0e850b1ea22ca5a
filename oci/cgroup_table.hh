// The table of a container's cgroup in state.json. Private to oci/.
#pragma once

#include "json_table.hh"
#include "moss/oci/cgroup.hh"

namespace moss::oci {

template <>
inline constexpr auto fields<CgroupRecord> =
    std::tuple(optional("folders", &CgroupRecord::folders), optional("made", &CgroupRecord::made),
               optional("unit", &CgroupRecord::unit), optional("userBus", &CgroupRecord::user_bus),
               optional("rootless", &CgroupRecord::rootless));

}  // namespace moss::oci
