// Reading the OCI runtime's command lines.
#include "src/cli/oci/arguments.hh"

#include <algorithm>

namespace moss::cli {

Arguments& Arguments::flag(std::string_view names, bool& to, std::string_view text) {
  options_.push_back({names, Kind::flag, &to, "", text});
  return *this;
}

Arguments& Arguments::value(std::string_view names, std::string& to, std::string_view what, std::string_view text) {
  options_.push_back({names, Kind::value, &to, what, text});
  return *this;
}

Arguments& Arguments::number(std::string_view names, uint32_t& to, std::string_view text) {
  options_.push_back({names, Kind::number, &to, "N", text});
  return *this;
}

Arguments& Arguments::list(std::string_view names, std::vector<std::string>& to, std::string_view what,
                           std::string_view text) {
  options_.push_back({names, Kind::list, &to, what, text});
  return *this;
}

Arguments& Arguments::stop_after(size_t words) {
  stop_after_ = words;
  return *this;
}

const Arguments::Option* Arguments::find(std::string_view name) const {
  for (const Option& option : options_) {
    std::string_view rest = option.names;
    while (!rest.empty()) {
      const auto [one, others] = cut(rest, ',');
      // "-no-subreaper" is "--no-subreaper".
      if (one == name || (one.size() == name.size() + 1 && one.starts_with("--") && one.substr(1) == name))
        return &option;
      rest = others.value_or("");
    }
  }
  return nullptr;
}

Result<Ok> Arguments::set(const Option& option, std::string_view name, std::string_view value) {
  switch (option.kind) {
    case Kind::flag:
      if (value != "true" && value != "false" && value != "1" && value != "0") {
        return Error(0, name, ": true or false, not \"", printable(value), "\"");
      }
      *static_cast<bool*>(option.to) = value == "true" || value == "1";
      break;
    case Kind::value:
      *static_cast<std::string*>(option.to) = value;
      break;
    case Kind::number: {
      const auto number = parse_number<uint32_t>(value);
      if (!number) return Error(0, name, ": \"", printable(value), "\" is no number");
      *static_cast<uint32_t*>(option.to) = *number;
      break;
    }
    case Kind::list:
      static_cast<std::vector<std::string>*>(option.to)->emplace_back(value);
      break;
  }
  return Ok{};
}

Result<Ok> Arguments::parse(const std::vector<std::string_view>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (stop_after_ && words_.size() >= *stop_after_) {
      words_.insert(words_.end(), words.begin() + static_cast<ptrdiff_t>(i), words.end());
      return Ok{};
    }
    if (word == "--") {
      words_.insert(words_.end(), words.begin() + static_cast<ptrdiff_t>(i + 1), words.end());
      return Ok{};
    }
    if (word.size() < 2 || word.front() != '-') {
      words_.emplace_back(word);
      continue;
    }
    const auto [name, given] = cut(word, '=');
    const Option* option = find(name);
    if (option == nullptr && (name == "--help" || name == "-h")) {
      wants_help_ = true;
      return Ok{};
    }
    // "-fq": flags of one letter, together.
    if (option == nullptr && !name.starts_with("--") && name.size() > 2 && !given) {
      const bool all_flags = std::all_of(name.begin() + 1, name.end(), [this](char letter) {
        const char one[] = {'-', letter};
        const Option* flag = find({one, 2});
        return flag != nullptr && flag->kind == Kind::flag;
      });
      if (all_flags) {
        for (const char letter : name.substr(1)) {
          const char one[] = {'-', letter};
          *static_cast<bool*>(find({one, 2})->to) = true;
        }
        continue;
      }
    }
    if (option == nullptr) return Error(0, "unknown option ", printable(name));
    if (option->kind == Kind::flag) {
      TRY(set(*option, name, given.value_or("true")));
      continue;
    }
    if (!given && i + 1 == words.size()) return Error(0, "flag needs an argument: ", name);
    TRY(set(*option, name, given ? *given : words[++i]));
  }
  return Ok{};
}

std::string Arguments::help() const {
  std::string text;
  for (const Option& option : options_) {
    std::string left = cat("  ", option.names, option.what.empty() ? "" : " ", option.what);
    left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
    text += cat(left, option.text, "\n");
  }
  return text;
}

}  // namespace moss::cli
