// Strict JSON. See the header.
#include "strict_json.hh"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace moss::engine {

Result<nlohmann::json> parse_strict_json(std::string_view text) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> open;
  std::string twice;
  const auto watch = [&](int, Event event, nlohmann::json& parsed) {
    if (event == Event::object_start) open.emplace_back();
    if (event == Event::object_end && !open.empty()) open.pop_back();
    if (event == Event::key && !open.empty() && !open.back().insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  nlohmann::json document = nlohmann::json::parse(text, watch, false);
  if (document.is_discarded()) return Error(0, "not JSON");
  if (!twice.empty()) return Error(0, "member ", excerpt(twice, 100), " is there twice");
  return document;
}

Result<Ok> check_members(const nlohmann::json& object, std::initializer_list<const char*> known,
                         const std::string& where) {
  if (!object.is_object()) return Error(0, where, ": expected an object");
  for (const auto& [name, value] : object.items()) {
    const bool is_known = std::any_of(known.begin(), known.end(), [&](const char* one) { return name == one; });
    if (!is_known) return Error(0, where, ": unknown member \"", excerpt(name, 100), "\"");
  }
  return Ok{};
}

Result<std::string> string_member(const nlohmann::json& object, const char* name, const std::string& where) {
  const auto member = object.find(name);
  if (member == object.end()) return Error(0, where, ": ", name, " is missing");
  if (!member->is_string()) return Error(0, where, ".", name, ": expected a string");
  return member->get<std::string>();
}

}  // namespace moss::engine
