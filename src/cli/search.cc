// moss search.
#include "moss/engine/search.hh"

#include <memory>
#include <nlohmann/json.hpp>

#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Found;

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

std::string json_text(const nlohmann::ordered_json& document) {
  return document.dump(4, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string one_line(const std::string& description, bool no_trunc) {
  std::string text = description;
  for (char& c : text) {
    if (c == '\n' || c == '\t' || c == '\r') c = ' ';
  }
  return no_trunc ? printable(text) : excerpt(text, kShortDescription);
}

Result<int> print_tags(const SearchArguments& a) {
  const engine::TagList list = TRY(engine::list_tags(a.term, a.access));
  const size_t count = std::min(a.limit, list.tags.size());
  if (a.format == "json") {
    nlohmann::ordered_json tags = nlohmann::ordered_json::array();
    for (size_t i = 0; i < count; ++i) tags.push_back(list.tags[i]);
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    out.push_back({{"Name", list.repository}, {"Tags", tags}});
    print(json_text(out));
    return 0;
  }
  Table table({"NAME", "TAG"});
  for (size_t i = 0; i < count; ++i) table.add({list.repository, printable(list.tags[i])});
  print(table.text());
  return 0;
}

Result<int> print_found(const SearchArguments& a) {
  const SearchFilter filter = TRY(parse_search_filters(a.filters));
  std::vector<Error> complaints;
  std::vector<Found> found = TRY(engine::search(a.term, a.limit, a.access, complaints));
  for (const Error& complaint : complaints) note(complaint.to_string());
  std::erase_if(found, [&](const Found& one) { return !filter.takes(one); });
  if (a.format == "json") {
    nlohmann::ordered_json out = nlohmann::ordered_json::array();
    for (const Found& one : found) {
      out.push_back({{"Index", one.index},
                     {"Name", one.name},
                     {"Description", one.description},
                     {"Stars", one.stars},
                     {"Official", one.official ? "[OK]" : ""},
                     {"Automated", one.automated ? "[OK]" : ""},
                     {"Tag", ""}});
    }
    print(json_text(out));
    return 0;
  }
  std::vector<std::string> titles{"NAME", "DESCRIPTION"};
  if (a.compatible) titles = {"NAME", "DESCRIPTION", "STARS", "OFFICIAL", "AUTOMATED"};
  Table table(titles);
  for (const Found& one : found) {
    std::vector<std::string> row{printable(one.name), one_line(one.description, a.no_trunc)};
    if (a.compatible) {
      row.insert(row.end(), {std::to_string(one.stars), one.official ? "[OK]" : "", one.automated ? "[OK]" : ""});
    }
    table.add(std::move(row));
  }
  print(table.text());
  return 0;
}

Result<int> run_search(const SearchArguments& a) {
  if (a.term.empty()) return Error(0, "search for what? see: moss search --help");
  if (!a.format.empty() && a.format != "json") return Error(0, "--format ", printable(a.format), ": expected json");
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
  add_option(app, "--format", a->format, "json");
  add_option(app, "--tls-verify", a->access.tls_verify,
             "false also takes plain HTTP and certificates nobody vouches for");
  add_option(app, "--cert-dir", a->access.cert_dir,
             "a folder of certificates (*.crt, *.cert, *.key) in place of certs.d");
  add_option(app, "--authfile", a->access.auth_file, "credentials of registries, as moss login writes them");
  add_option(app, "--creds", a->access.credentials, "USER:PASSWORD");
  app.callback([a] { finish_with([&] { return run_search(*a); }); });
}

}  // namespace moss::cli
