// moss search.
#include "moss/engine/search.hh"

#include <memory>

#include "moss/cli/report.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/registry_options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Found;
using format::Value;

namespace {

constexpr size_t kShortDescription = 44;

struct SearchArguments {
  std::string term;
  size_t limit = 25;
  std::vector<std::string> filters;
  bool list_tags = false;
  bool no_trunc = false;
  bool compatible = false;
  std::string format;
  engine::RegistryAccess access;
};

struct SearchFilter {
  std::optional<bool> official;
  std::optional<bool> automated;
  int64_t stars = 0;

  bool takes(const Found& found) const {
    return (!official || found.official == *official) && (!automated || found.automated == *automated) &&
           found.stars >= stars;
  }
};

Result<SearchFilter> parse_search_filters(const std::vector<std::string>& texts) {
  SearchFilter out;
  for (const std::string& text : texts) {
    const auto [name, value] = cut(text, '=');
    const auto flag = [&]() -> Result<bool> {
      if (!value || *value == "true") return true;
      if (*value == "false") return false;
      return Error(0, "--filter ", printable(text), ": expected true or false");
    };
    if (name == "is-official") {
      out.official = TRY(flag());
    } else if (name == "is-automated") {
      out.automated = TRY(flag());
    } else if (name == "stars") {
      const auto number = parse_number<int64_t>(value.value_or(""));
      if (!number || *number < 0) return Error(0, "--filter ", printable(text), ": expected a number of stars");
      out.stars = *number;
    } else {
      return Error(0, "--filter ", printable(text), ": known are is-official, is-automated and stars");
    }
  }
  return out;
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\t' || c == '\r') c = ' ';
  }
  return text;
}
std::string shown(const std::string& description, bool no_trunc) {
  const std::string text = one_line(description);
  return no_trunc ? printable(text) : excerpt(text, kShortDescription);
}

constexpr std::string_view kTagColumns = "table {{.Name}}\t{{.Tag}}";
constexpr std::string_view kColumns = "table {{.Name}}\t{{.Description}}";
constexpr std::string_view kDockersColumns =
    "table {{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}\t{{.Automated}}";

Result<int> print_tags(const SearchArguments& a) {
  const format::Report report = TRY(format::Report::parse(a.format, kTagColumns));
  engine::TagList list = TRY(engine::list_tags(a.term, a.access));
  if (list.tags.size() > a.limit) list.tags.resize(a.limit);
  Value::List rows;
  if (report.is_json()) {
    rows.push_back(Value::structure().set("Name", list.repository).set("Tags", list.tags));
  } else {
    for (const std::string& tag : list.tags) {
      rows.push_back(Value::structure().set("Name", list.repository).set("Tag", printable(tag)));
    }
  }
  print_safely(TRY(report.text(std::move(rows), "    ")));
  return 0;
}

Value found_row(const Found& found, bool no_trunc, bool is_json) {
  return Value::structure()
      .set("Index", found.index)
      .set("Name", is_json ? found.name : printable(found.name))
      .set("Description", is_json ? one_line(found.description) : shown(found.description, no_trunc))
      .set("Stars", found.stars)
      .set("Official", found.official ? "[OK]" : "")
      .set("Automated", found.automated ? "[OK]" : "")
      .set("Tag", "");
}

Result<int> print_found(const SearchArguments& a) {
  const format::Report report = TRY(format::Report::parse(a.format, a.compatible ? kDockersColumns : kColumns));
  const SearchFilter filter = TRY(parse_search_filters(a.filters));
  std::vector<Error> complaints;
  const std::vector<Found> found = TRY(engine::search(a.term, a.limit, a.access, complaints));
  for (const Error& complaint : complaints) note(complaint.to_string());
  Value::List rows;
  for (const Found& one : found) {
    if (filter.takes(one)) rows.push_back(found_row(one, a.no_trunc, report.is_json()));
  }
  // Podman prints no titles above nothing.
  const bool any = !rows.empty();
  print_safely(TRY(report.text(std::move(rows), "    ", any)));
  return 0;
}

Result<int> run_search(const SearchArguments& a) {
  if (a.term.empty()) return Error(0, "search for what? see: moss search --help");
  if (a.limit == 0 || a.limit > 10000) return Error(0, "--limit: expected a number from 1 to 10000");
  if (a.list_tags && !a.filters.empty()) return Error(0, "--filter and --list-tags exclude each other");
  return a.list_tags ? print_tags(a) : print_found(a);
}

}  // namespace

void define_search(CLI::App& app) {
  auto a = std::make_shared<SearchArguments>();
  app.add_option("TERM", a->term, "a part of a repository's name; REGISTRY/TERM searches that registry alone");
  add_option(app, "--limit", a->limit, "at most so many of each registry (25)");
  add_list(app, "-f,--filter", a->filters, "is-official[=true|false], is-automated[=true|false], stars=N (at least)");
  add_flag(app, "--list-tags", a->list_tags, "the tags of the repository that is named");
  add_flag(app, "--no-trunc", a->no_trunc, "whole descriptions");
  add_flag(app, "--compatible", a->compatible, "with stars, official and automated, as Docker prints it");
  add_option(app, "--format", a->format,
             "json, or a Go template of .Index .Name .Description .Stars .Official .Automated (.Name .Tag of tags)");
  add_registry_options(app, a->access);
  app.callback([a] { finish_with([&] { return run_search(*a); }); });
}

}  // namespace moss::cli
