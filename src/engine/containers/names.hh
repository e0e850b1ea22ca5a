// Names for containers that were given none.
#pragma once

#include <string>

namespace moss::engine {

/// Two words that follow from the id, so that the name needs no reservation: "quiet_fern".
std::string generate_name(const std::string& id);

}  // namespace moss::engine
