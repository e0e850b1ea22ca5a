// moss images: a line for each name of each image.
#include <algorithm>
#include <memory>
#include <set>
#include <span>
#include <tuple>

#include "moss/base/time.hh"
#include "moss/cli/report.hh"
#include "moss/engine/container.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/image_filters.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::ImageStore;
using engine::ImageSummary;
using engine::Paths;
using format::Value;

namespace {

struct ImagesOptions {
  std::vector<std::string> names;
  bool all = false;
  bool quiet = false;
  bool no_trunc = false;
  bool no_heading = false;
  bool digests = false;
  bool history = false;
  std::string format;
  std::string sort = "created";
  std::vector<std::string> filters;
};

struct Row {
  const ImageSummary* image;
  std::string repository;
  std::string tag;
  std::string id;         // whole where the user asked for that
  int64_t created;        // seconds since 1970; asked for once, since sorting looks at it many times
  size_t containers = 0;  // that use it; 0 where nobody asks
};

constexpr std::pair<std::string_view, std::string_view> kImageTitles[] = {
    {"ID", "IMAGE ID"}, {"ReadOnly", "R/O"}, {"CreatedAt", "CREATED AT"}, {"CreatedSince", "CREATED"}};

// As Podman: from the whole second in which it was made.
std::string created_since(const ImageSummary& image) {
  return image.created.empty() ? "N/A" : ago(whole_seconds(image.created));
}

std::vector<std::string> digests_of(const ImageSummary& image) {
  return engine::repo_digests(image.names, image.manifest_digest, image.digests);
}

// The names, the newest first; the store's order, which lists turn around.
std::vector<std::string> history_of(const ImageSummary& image) { return {image.names.rbegin(), image.names.rend()}; }

// Podman's, member by member. RepoTags is null there too: Names has them.
Value json_of(const Row& row) {
  const ImageSummary& image = *row.image;
  const auto list = [](const std::vector<std::string>& of) {
    return of.empty() ? Value(Value::Null{Value::Null::Of::list}) : Value(of);
  };
  const std::map<std::string, std::string>& labels = image.labels;
  Value json = Value::structure();
  json.set("Id", image.id)
      .set("ParentId", "")
      .set("RepoTags", Value())
      .set("RepoDigests", list(digests_of(image)))
      .set("Size", image.size)
      .set("SharedSize", 0)
      .set("VirtualSize", image.size)
      .set("Labels", labels.empty() ? Value() : Value(labels))
      .set("Containers", row.containers);
  if (image.read_only) json.set("ReadOnly", true);
  if (image.names.empty()) json.set("Dangling", true);
  return json.set("Names", list(image.names))
      .set("Digest", image.manifest_digest)
      .set("History", list(history_of(image)))
      .set("Created", row.created)
      .set("CreatedAt", whole_seconds(image.created));
}

struct Field {
  std::string_view name;
  Value (*of)(const Row& row);
  bool hidden = false;
};

constexpr Field kFields[] = {
    {"Repository", [](const Row& row) { return Value(row.repository); }},
    {"Tag", [](const Row& row) { return Value(row.tag); }},
    {"ID", [](const Row& row) { return Value(row.id); }},
    {"Digest", [](const Row& row) { return Value(row.image->manifest_digest); }},
    {"Created", [](const Row& row) { return Value(created_since(*row.image)); }},
    {"CreatedAt", [](const Row& row) { return Value(go_time(row.image->created, false)); }},
    {"CreatedSince", [](const Row& row) { return Value(created_since(*row.image)); }},
    {"CreatedTime", [](const Row& row) { return Value(go_time(row.image->created, false)); }},
    {"Size", [](const Row& row) { return Value(human_size(row.image->size)); }},
    {"VirtualSize", [](const Row& row) { return Value(row.image->size); }},
    {"SharedSize", [](const Row&) { return Value(0); }},
    {"ReadOnly", [](const Row& row) { return Value(row.image->read_only); }},
    {"Dangling", [](const Row& row) { return Value(row.image->names.empty()); }},
    {"Names", [](const Row& row) { return Value(row.image->names); }},
    {"RepoTags", [](const Row& row) { return Value(row.image->names); }},
    {"RepoDigests", [](const Row& row) { return Value(digests_of(*row.image)); }},
    {"Labels", [](const Row& row) { return Value(row.image->labels); }},
    {"Containers", [](const Row& row) { return Value(row.containers); }},
    {"History", [](const Row& row) { return Value(join(history_of(*row.image), ", ")); }},
    {"Arch", [](const Row& row) { return Value(printable(row.image->architecture)); }},
    {"Os", [](const Row& row) { return Value(printable(row.image->os)); }},
    {"ParentId", [](const Row&) { return Value(""); }},
    {"Id", [](const Row& row) { return Value(row.image->id); }, true},
};

Value value_of(const Row& row, std::span<const Field* const> fields) {
  Value value = Value::structure();
  for (const Field* field : fields) {
    if (field->hidden) {
      value.set_hidden(std::string(field->name), field->of(row));
    } else {
      value.set(std::string(field->name), field->of(row));
    }
  }
  return value;
}

Result<Ok> sort_rows(std::vector<Row>& rows, const std::string& by) {
  const auto sort = [&](auto key) {
    std::stable_sort(rows.begin(), rows.end(), [&](const Row& one, const Row& other) { return key(one) < key(other); });
  };
  if (by == "created") {
    sort([](const Row& row) { return -row.created; });
  } else if (by == "id") {
    sort([](const Row& row) { return row.image->id; });
  } else if (by == "repository") {
    sort([](const Row& row) { return row.repository; });
  } else if (by == "size") {
    sort([](const Row& row) { return row.image->size; });
  } else if (by == "tag") {
    sort([](const Row& row) { return row.tag; });
  } else {
    return Error(0, "--sort ", printable(by), ": use created, id, repository, size or tag");
  }
  return Ok{};
}

std::string usual_table(const ImagesOptions& options) {
  std::string table = "table {{.Repository}}\\t{{.Tag}}\\t";
  if (options.digests) table += "{{.Digest}}\\t";
  table += "{{.ID}}\\t{{.Created}}\\t{{.Size}}";
  if (options.history) table += "\\t{{.History}}";
  return table;
}

Result<int> list_images(const ImagesOptions& options) {
  if (options.quiet && !options.format.empty()) return Error(0, "--quiet and --format exclude each other");
  const std::string usual = usual_table(options);
  const format::Report report = TRY(format::Report::parse(options.format, usual, kImageTitles));
  const Paths paths = TRY(engine::find_paths());
  const ImageStore store(paths.data);
  std::vector<Error> damaged;
  std::vector<ImageSummary> images = TRY(store.summaries(&damaged));
  for (const Error& error : damaged) note(error.to_string());
  for (ImageSummary& image : images) std::reverse(image.names.begin(), image.names.end());

  std::optional<std::vector<engine::Container>> containers;
  const auto count = [&](const ImageSummary& image) -> Result<size_t> {
    if (!containers) containers = TRY(engine::list_containers(paths));
    return static_cast<size_t>(std::count_if(containers->begin(), containers->end(), [&](const auto& container) {
      return container.record.image_id == image.id;
    }));
  };
  const ImageFilters filters{.words = options.filters, .names = options.names, .containers = count};
  images = TRY(filters.apply(store, std::move(images)));

  const bool counts = report.is_json() || report.mentions("Containers");
  std::vector<Row> rows;
  for (const ImageSummary& image : images) {
    Row row{.image = &image,
            .repository = "<none>",
            .tag = "<none>",
            .id = options.no_trunc ? "sha256:" + image.id : image.id.substr(0, 12),
            .created = epoch_of(image.created).value_or(0)};
    if (counts) row.containers = TRY(count(image));
    if (image.names.empty()) rows.push_back(row);
    for (const std::string& name : image.names) {
      std::tie(row.repository, row.tag) = repository_and_tag(name);
      rows.push_back(row);
    }
  }
  TRY(sort_rows(rows, options.sort));

  if (options.quiet) {
    std::vector<std::string> ids;
    std::set<const ImageSummary*> seen;
    for (const Row& row : rows) {
      if (seen.insert(row.image).second) ids.push_back(row.id);
    }
    print(ids.empty() ? "" : join(ids, "\n") + "\n");
    return 0;
  }
  // The usual table's fields only: of a long list the rest would take a third of the time.
  std::vector<const Field*> fields;
  for (const Field& field : kFields) {
    if (!options.format.empty() || report.mentions(field.name)) fields.push_back(&field);
  }
  Value::List values;
  values.reserve(rows.size());
  for (const Row& row : rows) values.push_back(report.is_json() ? json_of(row) : value_of(row, fields));
  print_safely(TRY(report.text(std::move(values), "    ", !options.no_heading)));
  return 0;
}

}  // namespace

void define_images(CLI::App& app) {
  auto options = std::make_shared<ImagesOptions>();
  app.add_option("NAME", options->names, "only images of that name");
  add_flag(app, "-a,--all", options->all, "all images; moss has none that only serve to build others");
  add_flag(app, "-q,--quiet", options->quiet, "ids only, each once");
  add_flag(app, "--no-trunc", options->no_trunc, "whole ids");
  add_flag(app, "--noheading,-n", options->no_heading, "no titles");
  add_flag(app, "--digests", options->digests, "with digests");
  add_flag(app, "--history", options->history, "with all names of each image");
  add_option(app, "--sort", options->sort, "by created (newest first, the default), id, repository, size or tag");
  add_list(app, "-f,--filter", options->filters,
           "reference=PATTERN, before=IMAGE, since=IMAGE, until=TIME, label=NAME[=VALUE], dangling=BOOL, id=ID, "
           "digest=DIGEST, containers=BOOL, intermediate=BOOL or readonly=BOOL; reference!= and label!= for the rest");
  add_option(app, "--format", options->format,
             "json, table, \"table {{.Repository}} {{.ID}}\" or a Go template: .Repository .Tag .ID .Digest .Created "
             ".CreatedAt .CreatedSince .Size .Names .RepoDigests .Labels .Containers .Dangling .Arch .Os");
  app.callback([options] { finish_with([&] { return list_images(*options); }); });
}

}  // namespace moss::cli
