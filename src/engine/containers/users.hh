// Who the workload runs as, by the image's own /etc/passwd and /etc/group.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

struct ResolvedUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> groups;  ///< supplementary
  std::string home = "/";
  bool in_passwd = false;  ///< the uid has a line in /etc/passwd
  bool in_group = false;   ///< the gid has one in /etc/group
};

/// `spec` is the image's User or --user: empty, NAME, UID, each with ":" GROUP or GID. Digits are always a number, also
/// where a user of that name exists (CVE-2016-3697). Supplementary groups come from /etc/group unless a group was
/// given. `group_add` adds groups by name or number. Pure. Errors: no such user or group; a number above 2^31-1;
/// anything else that is neither ("1:", " 1", "+1").
Result<ResolvedUser> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group,
                                  const std::vector<std::string>& group_add);

}  // namespace moss::engine
