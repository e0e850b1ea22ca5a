// Capabilities by name. See capabilities(7).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moss::runtime {

/// The number of "CAP_CHOWN"; nothing for a name no kernel knows.
std::optional<int> capability_number(std::string_view name);
/// "CAP_CHOWN" of 0.
std::string_view capability_name(int number);
int capability_count();

/// The names as a mask, bit n for capability n. Unknown names are left out: runtime-spec wants a warning, not an error.
uint64_t capability_mask(const std::vector<std::string>& names);

/// Podman's default set: what root inside keeps.
const std::vector<std::string>& default_capabilities();
std::vector<std::string> all_capabilities();

}  // namespace moss::runtime
