// The default policy for any architecture, from the embedded tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "embedded.hh"
#include "moss/oci/seccomp.hh"
#include "moss/runtime/seccomp.hh"

namespace moss::runtime {

/// The bits of `capabilities` in the order of embedded_capabilities(); those the profile ignores leave no trace.
uint32_t capability_bits(const std::vector<std::string>& capabilities);

/// The default policy for a machine of architecture `arch`.
oci::Seccomp default_policy(uint32_t capabilities, std::string_view arch, Compat compat);

/// Nothing where this set was not prebuilt.
const EmbeddedFilter* find_prebuilt(uint32_t capabilities, std::string_view arch, Compat compat);

}  // namespace moss::runtime
