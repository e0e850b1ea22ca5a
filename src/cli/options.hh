// How options are declared: CLI11 with Podman's habits. Only for the .cc files of this folder.
#pragma once

#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "src/cli/cli11.hh"

namespace moss::cli {

// CLI11 takes microseconds for each option that is declared, and compares its names with all others. `moss run` has
// seventy of them and a container starts in two milliseconds, so only those are declared that can be meant: the ones
// whose name stands somewhere on the command line (and all of them for --help).

/// Remembers the words of the command line.
void set_typed_words(int argc, char** argv);
/// Whether one of "-e,--env" may be among them.
bool may_be_typed(std::string_view names);

inline void add_flag(CLI::App& app, const char* names, bool& to, const char* text) {
  if (may_be_typed(names)) app.add_flag(names, to, text);
}

template <typename Value>
void add_option(CLI::App& app, const char* names, Value& to, const char* text) {
  if (may_be_typed(names)) app.add_option(names, to, text);
}

/// An option that may be given often and takes one value each time.
inline void add_list(CLI::App& app, const char* names, std::vector<std::string>& to, const char* text) {
  if (may_be_typed(names)) app.add_option(names, to, text)->allow_extra_args(false);
}

/// Everything from the first word that is no option belongs to the container: its image and its command. An unknown
/// option before it is an error that names it.
inline Result<std::vector<std::string>> words_after_options(const CLI::App& app, const char* missing) {
  std::vector<std::string> words = app.remaining();
  if (words.empty()) return Error(0, missing, " see: ", app.get_name(), " --help");
  if (words.front().size() > 1 && words.front().starts_with('-') && words.front() != "--") {
    return Error(0, "unknown option ", words.front(), "; see: ", app.get_name(), " --help");
  }
  if (words.front() == "--") return std::vector<std::string>(words.begin() + 1, words.end());
  return words;
}

/// "2s", "500ms", "1m30s" as Go writes durations, or a number of seconds, of --retry-delay. At most an hour.
Result<int> parse_delay_ms(std::string_view text);

}  // namespace moss::cli
