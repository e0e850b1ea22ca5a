// Which options the command line can mean.
#include "src/cli/options.hh"

#include <algorithm>

namespace moss::cli {

namespace {

// Long names, and every letter of the short ones ("-it"). A value that looks like an option counts too: one option
// declared for nothing does no harm.
struct TypedWords {
  std::vector<std::string_view> long_names;
  std::string letters;
  bool all = false;
};

TypedWords& typed() {
  static TypedWords words;
  return words;
}

}  // namespace

void set_typed_words(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--")) {
      typed().long_names.push_back(cut(word.substr(2), '=').first);
      typed().all = typed().all || word == "--help";
    } else if (word.starts_with('-')) {
      typed().letters += word.substr(1);
    }
  }
}

bool may_be_typed(std::string_view names) {
  if (typed().all) return true;
  for (const std::string_view name : split(names, ',')) {
    if (name.starts_with("--")) {
      const std::vector<std::string_view>& known = typed().long_names;
      if (std::find(known.begin(), known.end(), name.substr(2)) != known.end()) return true;
    } else if (typed().letters.find(name[1]) != std::string::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace moss::cli
