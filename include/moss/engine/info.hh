// What `moss info` tells.
#pragma once

#include <string>

#include "moss/base/result.hh"

namespace moss::engine {

/// The host, the folders, the counts, and for each thing that can be missing what moss does instead; as text for people
/// or as one JSON object.
Result<std::string> describe_host(bool as_json);

}  // namespace moss::engine
