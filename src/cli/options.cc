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

Result<int> parse_delay_ms(std::string_view text) {
  static constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const auto wrong = [&] {
    return Error(0, "--retry-delay ", printable(text), ": expected a time such as 2s or 500ms");
  };
  int64_t total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t digits = std::min(rest.size(), rest.find_first_not_of("0123456789"));
    const std::optional<int64_t> count = parse_number<int64_t>(rest.substr(0, digits));
    rest.remove_prefix(digits);
    if (!count || *count > 3600) return wrong();
    const size_t letters = std::min(rest.size(), rest.find_first_of("0123456789"));
    const std::string_view name = rest.substr(0, letters);
    rest.remove_prefix(letters);
    const auto* unit =
        std::find_if(std::begin(kUnits), std::end(kUnits), [&](const auto& u) { return u.first == name; });
    if (unit == std::end(kUnits) && (!name.empty() || digits != text.size())) return wrong();
    total += *count * (name.empty() ? 1000 : unit->second);
  }
  if (text.empty() || total > 3'600'000) return wrong();
  return static_cast<int>(total);
}

}  // namespace moss::cli
