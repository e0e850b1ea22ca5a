// Runs of user or group ids, and the pair of them that makes a user namespace's mapping.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/text.hh"

namespace moss {

/// A run of consecutive ids, one line of /proc/PID/uid_map. See user_namespaces(7).
struct IdRange {
  uint32_t inside = 0;   ///< first id in the container
  uint32_t outside = 0;  ///< first id on the host
  uint32_t count = 0;    ///< how many; never 0
  bool operator==(const IdRange&) const = default;
};

/// What a user namespace maps.
struct IdMap {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;

  /// One id of each kind: the caller may write it without a helper, but setgroups(2) stays denied for good.
  bool is_single() const { return uids.size() == 1 && gids.size() == 1 && uids[0].count == 1 && gids[0].count == 1; }
  bool operator==(const IdMap&) const = default;
};

/// "0:1001:1,1:100000:65536": the form of --uidmap, and part of the names of unpacked layers.
inline std::string to_string(const std::vector<IdRange>& ranges) {
  std::string out;
  for (const IdRange& range : ranges) {
    if (!out.empty()) out += ',';
    out += cat(range.inside, ':', range.outside, ':', range.count);
  }
  return out;
}

}  // namespace moss
