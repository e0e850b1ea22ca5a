// JSON that decides who is trusted: a member twice, or one that nobody knows, could mean something else to somebody
// else, so it is refused.
#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Errors: not JSON; the same member twice in an object.
Result<nlohmann::json> parse_strict_json(std::string_view text);

/// Errors, after `where`: not an object; a member that is not among `known`.
Result<Ok> check_members(const nlohmann::json& object, std::initializer_list<const char*> known,
                         const std::string& where);

/// Errors: no such member, or not a string.
Result<std::string> string_member(const nlohmann::json& object, const char* name, const std::string& where);

}  // namespace moss::engine
