// The OCI runtime's command lines.
//
// Engines write them in every manner there is: options before and after the container's id, "--pid-file X" and
// "--pid-file=X", "--detach=false", and one dash where two are meant ("-no-subreaper"). CLI11 would take longer to
// learn an option than a container's process takes to be born, so this is forty lines of our own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::cli {

/// Options of one verb, declared by what they set. `names` is "-b,--bundle".
class Arguments {
 public:
  Arguments& flag(std::string_view names, bool& to, std::string_view text);
  Arguments& value(std::string_view names, std::string& to, std::string_view what, std::string_view text);
  Arguments& number(std::string_view names, uint32_t& to, std::string_view text);
  /// May be given often.
  Arguments& list(std::string_view names, std::vector<std::string>& to, std::string_view what, std::string_view text);
  /// Where they end: everything from the second word that is no option on belongs to somebody else ("exec ID
  /// COMMAND…").
  Arguments& stop_after(size_t words);

  /// Reads `words` and keeps those that are no options. Errors name the option.
  Result<Ok> parse(const std::vector<std::string_view>& words);

  const std::vector<std::string>& words() const { return words_; }
  bool wants_help() const { return wants_help_; }
  /// Lines for --help.
  std::string help() const;

 private:
  enum class Kind : uint8_t { flag, value, number, list };
  struct Option {
    std::string_view names;
    Kind kind;
    void* to;
    std::string_view what;  ///< the value's name
    std::string_view text;
  };
  const Option* find(std::string_view name) const;
  static Result<Ok> set(const Option& option, std::string_view name, std::string_view value);

  std::vector<Option> options_;
  std::vector<std::string> words_;
  std::optional<size_t> stop_after_;
  bool wants_help_ = false;
};

}  // namespace moss::cli
