// Which options the command line can mean.
#include "src/cli/options.hh"

#include <algorithm>

#include "moss/base/time.hh"

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

Result<int> parse_delay_ms(std::string_view text) {
  constexpr int64_t kHour = 3'600'000;
  std::optional<int64_t> delay = parse_duration_ms(text);
  if (!delay) {
    const std::optional<int> seconds = parse_number<int>(text);
    if (seconds) delay = int64_t{*seconds} * 1000;
  }
  if (!delay || *delay < 0 || *delay > kHour) {
    return Error(0, "--retry-delay ", printable(text), ": expected a time such as 2s or 500ms");
  }
  return static_cast<int>(*delay);
}

}  // namespace moss::cli
