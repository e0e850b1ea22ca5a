// Base64, as RFC 4648 has it. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moss {

std::string base64_encode(std::string_view text);

/// Nothing where it is not base64. What follows a "=" is left out.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace moss
