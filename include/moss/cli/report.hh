// `--format` as Podman means it: a word, a table's columns, or a template; for a list of things or for one.
//
//   const format::Report report = TRY(format::Report::parse(options.format, kUsual, kTitles));
//   print_safely(TRY(report.text(rows, "    ", !options.no_heading)));
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "moss/base/result.hh"
#include "moss/cli/template.hh"
#include "moss/cli/value.hh"

namespace moss::cli::format {

/// A column's title, by the field's name. A field without one has its name's words in capitals: "RepoTags" is "REPO
/// TAGS".
using Titles = std::span<const std::pair<std::string_view, std::string_view>>;

class Report {
 public:
  /// What a user typed behind --format; `usual` is the table where nothing was typed, in the same words.
  ///   json, {{json .}}          JSON: see is_json()
  ///   table {{.A}}\t{{.B}}      columns with titles; a space separates columns too
  ///   anything else             a template for each; "\t" and "\n" are tab and newline
  /// Errors: as Template::parse, after "--format".
  static Result<Report> parse(std::string_view format, std::string_view usual, Titles titles = {});

  /// The rows are then those of the JSON.
  bool is_json() const { return is_json_; }
  /// Whether ".name" is looked at. False for JSON.
  bool mentions(std::string_view name) const;

  /// The rows, each through the template. A table is aligned and has titles where `with_titles`.
  Result<std::string> list(const Value::List& rows, bool with_titles = true) const;
  /// What a verb prints of its rows: list(), or the rows as JSON, each member a line where there is an `indent`.
  Result<std::string> text(Value::List rows, std::string_view json_indent, bool with_titles = true) const;

 private:
  std::optional<Template> template_;
  Titles titles_;
  bool is_json_ = false;
  bool is_table_ = false;
  bool over_all_ = false;  ///< the template ranges over the rows by itself
};

/// What a user typed behind --format of a verb that shows one thing: a template, or nothing for JSON. Errors: as above.
Result<std::optional<Template>> parse_format(std::string_view format);

}  // namespace moss::cli::format
