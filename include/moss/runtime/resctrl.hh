// Intel RDT: a share of the caches and of the memory's bandwidth, by the kernel's resctrl filesystem.
// See runtime-spec config-linux.md "IntelRdt" and the kernel's Documentation/filesystems/resctrl.rst.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/config.hh"

namespace moss::runtime {

/// Where a container's processes go.
struct ResctrlGroups {
  std::vector<std::string> folders;  ///< its group, and below it the one that is measured; absolute
  std::vector<std::string> made;     ///< those that are to be removed with the container, in that order
};

/// What is wrong with it, each complaint with its JSON path. Pure.
std::vector<std::string> check_resctrl(const oci::IntelRdt& rdt);

/// Makes the groups and writes their schemata. On an error what was made is removed again.
/// `root` is where resctrl is mounted. Errors: it is not mounted; a group that must exist does not, or has other
/// schemata; what the kernel says of the schemata (info/last_cmd_status).
Result<ResctrlGroups> make_resctrl_groups(const oci::IntelRdt& rdt, const std::string& id,
                                          const std::string& root = "/sys/fs/resctrl");

/// `update`: new lines of schemata for the container's group; `config` is what it was created with. Errors: it has
/// none.
Result<Ok> update_resctrl_group(const std::optional<oci::IntelRdt>& config, const std::string& id,
                                const oci::IntelRdt& update, const std::string& root = "/sys/fs/resctrl");

/// Puts a process, and so all its later children, into the groups.
Result<Ok> enter_resctrl_groups(const ResctrlGroups& groups, pid_t pid);

/// Removes what was made; the container's processes must be gone. What is gone already is no error.
Result<Ok> remove_resctrl_groups(const ResctrlGroups& groups);

}  // namespace moss::runtime
