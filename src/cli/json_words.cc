// A JSON list of strings on the command line.
#include <nlohmann/json.hpp>

#include "src/cli/run_commands.hh"

namespace moss::cli {

Result<std::vector<std::string>> parse_json_words(const std::string& text) {
  try {
    return nlohmann::json::parse(text).get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception&) {
    return Error(0, printable(text), " is no JSON list of strings");
  }
}

}  // namespace moss::cli
