// What moss can do as an OCI runtime.
#pragma once

#include "moss/base/result.hh"
#include "moss/oci/features.hh"

namespace moss::runtime {

/// Taken from the tables that the runtime itself works by; what has no table is asked of the planner, with a config
/// that wants it. Looks at the host where the answer depends on it.
Result<oci::Features> features();

}  // namespace moss::runtime
