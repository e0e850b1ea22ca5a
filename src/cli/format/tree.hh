// A parsed template. Between parse.cc, which makes it, and execute.cc, which walks it.
#pragma once

#include <string>
#include <vector>

#include "moss/cli/template.hh"
#include "moss/cli/value.hh"

namespace moss::cli::format {

constexpr size_t kMaxTemplateBytes = 64u << 10;
constexpr int kMaxNesting = 100;

/// Where something stands in the template, both from 1.
struct Place {
  int line = 1;
  int column = 1;
  template <typename... Parts>
  Error error(const Parts&... parts) const {
    return Error(0, "template: ", line, ":", column, ": ", parts...);
  }
};

struct Pipeline;

/// One word of a command.
struct Word {
  enum class Kind {
    fields,    ///< .A.B; none: dot itself
    variable,  ///< $x.A.B; `text` is "x", "" for $
    constant,  ///< "text", 12, true, nil
    function,  ///< `text`
    group,     ///< ( … ).A.B
  };
  Kind kind = Kind::fields;
  Place place;
  std::string text;
  std::vector<std::string> fields;
  Value constant;
  std::vector<Pipeline> group;  ///< one, for `group`
};

/// A function and its arguments, or one value.
struct Call {
  std::vector<Word> words;
};

/// Calls, each handing its value to the next as its last argument.
struct Pipeline {
  Place place;
  std::vector<std::string> variables;  ///< declared or assigned by it
  bool declares = false;               ///< ":=" rather than "="
  std::vector<Call> calls;
};

struct Node {
  enum class Kind { text, print, condition, range, with, break_loop, continue_loop };
  Kind kind = Kind::text;
  Place place;
  std::string text;
  Pipeline pipeline;
  std::vector<Node> then;
  std::vector<Node> otherwise;
};

/// Whether it is a function's name.
bool is_function(std::string_view name);
/// Calls one. `and` and `or` are not called: they do not look at all their arguments (execute.cc).
Result<Value> call_function(std::string_view name, const std::vector<Value>& arguments, const Place& place);

}  // namespace moss::cli::format
