// --format. See the header.
#include "moss/cli/report.hh"

#include <cctype>

#include "moss/cli/columns.hh"

namespace moss::cli::format {

namespace {

std::string without_spaces(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) out += c;
  }
  return out;
}

bool means_json(std::string_view format) {
  const std::string bare = without_spaces(format);
  return bare == "json" || bare == "{{json.}}";
}

// "\t" and "\n" as a shell's single quotes leave them. Between the columns of a table a space is a tab.
std::string unescaped(std::string_view format, bool table) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    const char next = i + 1 < format.size() ? format[i + 1] : '\0';
    if (format[i] == '\\' && (next == 't' || next == 'n')) {
      out += next == 't' ? '\t' : '\n';
      ++i;
    } else if (table && format[i] == ' ') {
      out += '\t';
    } else {
      out += format[i];
    }
  }
  if (!out.ends_with('\n')) out += '\n';
  return out;
}

// "CreatedSince" as "CREATED SINCE".
std::string title_of(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto upper = [&](size_t at) {
      return at < name.size() && std::isupper(static_cast<unsigned char>(name[at])) != 0;
    };
    if (i > 0 && upper(i) && (!upper(i - 1) || (i + 1 < name.size() && !upper(i + 1)))) out += ' ';
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(name[i])));
  }
  return out;
}

// A row whose fields are their own titles.
Value titles_of(const std::vector<std::string>& fields, Titles titles) {
  Value row = Value::map();
  for (const auto& [name, title] : titles) row.set(std::string(name), title);
  for (const std::string& name : fields) {
    if (row.find(name) == nullptr) row.set(name, title_of(name));
  }
  return row;
}

}  // namespace

Result<Report> Report::parse(std::string_view format, std::string_view usual, Titles titles) {
  constexpr std::string_view kTable = "table ";
  Report report;
  report.titles_ = titles;
  if (means_json(format)) {
    report.is_json_ = true;
    return report;
  }
  if (format.empty() || format == "table") format = usual;
  report.is_table_ = format.starts_with(kTable);
  if (report.is_table_) format.remove_prefix(kTable.size());
  const std::string text = unescaped(format, report.is_table_);
  report.over_all_ = without_spaces(text).starts_with("{{range.}}") || without_spaces(text).starts_with("{{-range.}}");
  report.template_ = TRY(Template::parse(text).context("--format"));
  return report;
}

bool Report::mentions(std::string_view name) const { return template_ && template_->mentions(name); }

Result<std::string> Report::list(const Value::List& rows, bool with_titles) const {
  std::string out;
  if (is_table_ && with_titles) {
    const Value titles = titles_of(template_->first_fields(), titles_);
    // A title is best left out where a template computes with what is a text here.
    Result<std::string> line = template_->execute(over_all_ ? Value(Value::List{titles}) : titles);
    if (line.ok()) out += *line;
  }
  if (over_all_) {
    out += TRY(template_->execute(rows).context("--format"));
  } else {
    for (const Value& row : rows) out += TRY(template_->execute(row).context("--format"));
  }
  return is_table_ ? align_columns(out) : out;
}

Result<std::string> Report::text(Value::List rows, std::string_view json_indent, bool with_titles) const {
  return is_json_ ? Value(std::move(rows)).json(json_indent) + "\n" : list(rows, with_titles);
}

Result<std::optional<Template>> parse_format(std::string_view format) {
  if (format.empty() || means_json(format)) return std::optional<Template>();
  return std::optional(TRY(Template::parse(unescaped(format, false)).context("--format")));
}

}  // namespace moss::cli::format
