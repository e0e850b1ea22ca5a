// Go templates, as far as Podman's manual uses them: what `--format` takes.
//
//   {{.Field.Sub}} {{$x := .A}} {{$x}}      fields, variables
//   {{range .L}} … {{else}} … {{end}}       also {{range $i, $e := .L}}, {{break}}, {{continue}}
//   {{if …}} {{else if …}} {{with …}}       and {{- trimming -}}, {{/* comments */}}
//   {{join .Names ", " | upper}}            and or not eq ne lt le gt ge index slice len print printf println html js
//                                           urlquery json join lower upper title split pad truncate
// Not supported, and said so: define, template, block, call, numbers that are complex.
// See https://pkg.go.dev/text/template for what they mean.
//
// A template comes from whoever types the command, but the values come from images and registries, so both are bounded:
// nesting, the number of steps and the size of what is written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/cli/value.hh"

namespace moss::cli::format {

struct Node;

class Template {
 public:
  /// Errors: what is not understood, with its line and column: "template: 1:7: no function named "joi"".
  static Result<Template> parse(std::string_view text);
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;
  ~Template();

  /// What it writes about `dot`. Errors: a field that is not there (those that are get listed), a function that does
  /// not fit its arguments; always with line and column.
  Result<std::string> execute(const Value& dot) const;

  /// Whether ".name" stands in it anywhere: so that what is costly is computed only where it is shown.
  bool mentions(std::string_view name) const;
  /// Every field that stands first in a word: "A" of ".A.B".
  std::vector<std::string> first_fields() const;

 private:
  explicit Template(std::vector<Node> nodes);
  std::vector<Node> nodes_;
};

}  // namespace moss::cli::format
