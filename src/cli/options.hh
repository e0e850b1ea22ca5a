// How options are declared: CLI11 with Podman's habits. Only for the .cc files of this folder.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "moss/base/result.hh"

namespace moss::cli {

/// An option that may be given often and takes one value each time.
inline CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& to,
                             const std::string& text) {
  return app.add_option(names, to, text)->allow_extra_args(false);
}

/// Everything from the first word that is no option belongs to the container: its image and its command. An unknown
/// option before it is an error that names it.
inline Result<std::vector<std::string>> words_after_options(const CLI::App& app, const char* missing) {
  const std::vector<std::string> words = app.remaining();
  if (words.empty()) return Error(0, missing, "; see: ", app.get_name(), " --help");
  if (words.front().size() > 1 && words.front().starts_with('-') && words.front() != "--") {
    return Error(0, "unknown option ", words.front(), "; see: ", app.get_name(), " --help");
  }
  if (words.front() == "--") return std::vector<std::string>(words.begin() + 1, words.end());
  return words;
}

}  // namespace moss::cli
