// moss images: a line for each name of each image.
#include <algorithm>
#include <memory>
#include <set>

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
  int64_t created;  // seconds since 1970; asked for once, since sorting looks at it many times
};

constexpr std::pair<std::string_view, std::string_view> kImageTitles[] = {
    {"ID", "IMAGE ID"}, {"ReadOnly", "R/O"}, {"CreatedAt", "CREATED AT"}, {"CreatedSince", "CREATED"}};

// As Podman: from the whole second in which it was made.
std::string created_since(const ImageSummary& image) {
  return image.created.empty() ? "N/A" : ago(whole_seconds(image.created));
}

std::vector<std::string> repo_digests(const ImageSummary& image) {
  std::vector<std::string> out;
  const auto add = [&](const std::string& digest) {
    if (std::find(out.begin(), out.end(), digest) == out.end()) out.push_back(digest);
  };
  for (const std::string& name : image.names) {
    const std::string repository = repository_and_tag(name).first;
    add(cat(repository, "@", image.manifest_digest));
    for (const std::string& digest : image.digests) add(cat(repository, "@", digest));
  }
  return out;
}

// The names, the newest first; the store's order, which lists turn around.
std::vector<std::string> history_of(const ImageSummary& image) { return {image.names.rbegin(), image.names.rend()}; }

// Podman's, member by member. RepoTags is null there too: Names has them.
Value json_of(const Row& row, size_t containers) {
  const ImageSummary& image = *row.image;
  const auto list = [](const std::vector<std::string>& of) {
    return of.empty() ? Value(Value::Null{Value::Null::Of::list}) : Value(of);
  };
  const std::map<std::string, std::string>& labels = image.labels;
  Value json = Value::structure();
  json.set("Id", image.id)
      .set("ParentId", "")
      .set("RepoTags", Value())
      .set("RepoDigests", list(repo_digests(image)))
      .set("Size", image.size)
      .set("SharedSize", 0)
      .set("VirtualSize", image.size)
      .set("Labels", labels.empty() ? Value() : Value(labels))
      .set("Containers", containers);
  if (image.read_only) json.set("ReadOnly", true);
  if (image.names.empty()) json.set("Dangling", true);
  return json.set("Names", list(image.names))
      .set("Digest", image.manifest_digest)
      .set("History", list(history_of(image)))
      .set("Created", row.created)
      .set("CreatedAt", whole_seconds(image.created));
}

Value value_of(const Row& row, const ImagesOptions& options, size_t containers) {
  const ImageSummary& image = *row.image;
  const std::string since = created_since(image);
  const std::string at = go_time(image.created, false);
  Value value = Value::structure();
  value.set("Repository", row.repository)
      .set("Tag", row.tag)
      .set("ID", options.no_trunc ? "sha256:" + image.id : image.id.substr(0, 12))
      .set("Digest", image.manifest_digest)
      .set("Created", since)
      .set("CreatedAt", at)
      .set("CreatedSince", since)
      .set("CreatedTime", at)
      .set("Size", human_size(image.size))
      .set("VirtualSize", image.size)
      .set("SharedSize", 0)
      .set("ReadOnly", image.read_only)
      .set("Dangling", image.names.empty())
      .set("Names", image.names)
      .set("RepoTags", image.names)
      .set("RepoDigests", repo_digests(image))
      .set("Labels", image.labels)
      .set("Containers", containers)
      .set("History", join(history_of(image), ", "))
      .set("Arch", printable(image.architecture))
      .set("Os", printable(image.os))
      .set("ParentId", "")
      .set_hidden("Id", image.id);
  return value;
}

// What the usual table shows, and no more: of a long list the rest would take a third of the time.
Value usual_value_of(const Row& row, const ImagesOptions& options) {
  const ImageSummary& image = *row.image;
  Value value = Value::structure();
  value.set("Repository", row.repository)
      .set("Tag", row.tag)
      .set("ID", options.no_trunc ? "sha256:" + image.id : image.id.substr(0, 12))
      .set("Created", created_since(image))
      .set("Size", human_size(image.size));
  if (options.digests) value.set("Digest", image.manifest_digest);
  if (options.history) value.set("History", join(history_of(image), ", "));
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

  std::vector<Row> rows;
  for (const ImageSummary& image : images) {
    const int64_t created = epoch_of(image.created).value_or(0);
    if (image.names.empty()) rows.push_back({&image, "<none>", "<none>", created});
    for (const std::string& name : image.names) {
      auto [repository, tag] = repository_and_tag(name);
      rows.push_back({&image, std::move(repository), std::move(tag), created});
    }
  }
  TRY(sort_rows(rows, options.sort));

  if (options.quiet) {
    std::vector<std::string> ids;
    std::set<const ImageSummary*> seen;
    for (const Row& row : rows) {
      if (!seen.insert(row.image).second) continue;
      ids.push_back(options.no_trunc ? "sha256:" + row.image->id : row.image->id.substr(0, 12));
    }
    print(ids.empty() ? "" : join(ids, "\n") + "\n");
    return 0;
  }
  const bool counts = report.is_json() || report.mentions("Containers");
  Value::List values;
  values.reserve(rows.size());
  for (const Row& row : rows) {
    const size_t used = counts ? TRY(count(*row.image)) : 0;
    values.push_back(options.format.empty() ? usual_value_of(row, options)
                     : report.is_json()     ? json_of(row, used)
                                            : value_of(row, options, used));
  }
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
