// What the parent makes before the child is there, and the child finds in its descriptors.
#pragma once

#include <cstdint>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/runtime/plan.hh"

namespace moss::runtime {

struct Inherited {
  struct Mount {
    uint8_t slot;
    Fd fd;
  };
  Fd proc;  ///< the host's procfs, where the child may not mount one of its own
  std::vector<Mount> mounts;
};

/// The idmapped mounts of a plan, each in its slot. Errors: this filesystem or this caller allows none.
Result<std::vector<Inherited::Mount>> make_idmapped_mounts(const Plan& plan);

}  // namespace moss::runtime
