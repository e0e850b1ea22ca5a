// YAML as JSON, by libyaml, which is loaded when the first file is read.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// The one document of a text; every scalar is a string. An empty text is null.
/// Errors: not YAML (with the line); a key that is no scalar, or twice; too large or deep.
Result<nlohmann::json> parse_yaml(std::string_view text);

}  // namespace moss::engine
