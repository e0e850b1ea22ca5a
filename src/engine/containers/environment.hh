// The variables a workload starts with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"

namespace moss::engine {

/// "NAME=value" each, in the order they were first set last. A later value replaces an earlier one.
class Environment {
 public:
  Environment() = default;
  explicit Environment(std::vector<std::string> variables) : variables_(std::move(variables)) {}

  void set(std::string_view name, std::string_view value);
  bool has(std::string_view name) const;
  /// -e: "NAME=value"; "NAME" takes the caller's, if there is one; "NAME*" takes all of the caller's that begin so.
  /// Error: no name.
  Result<Ok> add_from_caller(std::string_view text);
  /// --env-file: one -e a line; empty lines and those with "#" in front say nothing. A pipe will do as well.
  Result<Ok> add_file(const std::string& path);

  std::vector<std::string> take() && { return std::move(variables_); }

 private:
  std::vector<std::string> variables_;
};

}  // namespace moss::engine
