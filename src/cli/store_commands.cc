// Looking after what moss keeps: moss system check, df, prune and reset, and moss image prune.
#include <unistd.h>

#include <memory>

#include "moss/base/sizes.hh"
#include "moss/base/time.hh"
#include "moss/cli/columns.hh"
#include "moss/cli/report.hh"
#include "moss/engine/check.hh"
#include "moss/engine/housekeeping.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"
#include "src/cli/text.hh"

namespace moss::cli {

namespace {

// The first line of standard input says yes.
bool is_confirmed(const std::string& warning) {
  print(cat(warning, "\nAre you sure you want to continue? [y/N] "));
  std::string answer;
  for (char c = 0; ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n';) answer += c;
  return answer == "y" || answer == "Y" || answer == "yes";
}

// "7.798MB", as Podman writes sizes here and nowhere else.
std::string tight_size(int64_t bytes) { return human_size(bytes, "", 4); }

struct DfRow {
  const char* type;
  size_t total;
  size_t active;
  int64_t bytes;
  int64_t reclaimable;
};

std::vector<DfRow> df_rows(const engine::DiskUsage& usage) {
  DfRow images{"Images", usage.images.size(), 0, usage.image_bytes, usage.reclaimable_image_bytes};
  for (const engine::ImageUsage& image : usage.images) images.active += image.containers > 0 ? 1 : 0;
  DfRow containers{"Containers", usage.containers.size(), 0, 0, 0};
  for (const engine::ContainerUsage& one : usage.containers) {
    const bool runs = one.container.state.status == engine::Status::running;
    containers.active += runs ? 1 : 0;
    containers.bytes = add_sizes(containers.bytes, one.size);
    if (!runs) containers.reclaimable = add_sizes(containers.reclaimable, one.size);
  }
  return {images, containers, {"Local Volumes", 0, 0, 0, 0}};
}

std::string reclaimable_text(const DfRow& row) {
  const double part = row.bytes > 0 ? static_cast<double>(row.reclaimable) / static_cast<double>(row.bytes) : 0;
  const auto percent = static_cast<int>(part * 200 + 1) / 2;  // rounded, and without libm
  return cat(tight_size(row.reclaimable), " (", percent, "%)");
}

constexpr const char* kDfTable = "table {{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

format::Value::List df_values(const engine::DiskUsage& usage) {
  format::Value::List rows;
  for (const DfRow& row : df_rows(usage)) {
    format::Value value = format::Value::structure();
    value.set("Type", row.type);
    value.set("Total", row.total);
    value.set("TotalCount", row.total);
    value.set("Active", row.active);
    value.set("RawSize", row.bytes);
    value.set("RawReclaimable", row.reclaimable);
    value.set("Size", tight_size(row.bytes));
    value.set("Reclaimable", reclaimable_text(row));
    rows.push_back(std::move(value));
  }
  return rows;
}

std::string df_json(const engine::DiskUsage& usage) {
  std::string out;
  for (const DfRow& row : df_rows(usage)) {
    out += cat(out.empty() ? "" : ",\n", "    {\"Type\": \"", row.type, "\", \"Total\": ", row.total,
               ", \"Active\": ", row.active, ", \"RawSize\": ", row.bytes, ", \"RawReclaimable\": ", row.reclaimable,
               ", \"TotalCount\": ", row.total, ", \"Size\": \"", tight_size(row.bytes), "\", \"Reclaimable\": \"",
               reclaimable_text(row), "\"}");
  }
  return cat("[\n", out, "\n]\n");
}

// "About a minute": Podman's tables of disk usage leave out the "ago".
std::string age(const std::string& rfc3339) {
  const std::string text = ago(rfc3339);
  return text.ends_with(" ago") ? text.substr(0, text.size() - 4) : text;
}

std::string line_of(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell);
  return join(cells, "\t") + "\n";
}

std::string df_details(const engine::DiskUsage& usage) {
  std::string images = "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS\n";
  for (const engine::ImageUsage& one : usage.images) {
    std::vector<std::string> names = one.image.names;
    if (names.empty()) names.emplace_back("<none>:<none>");
    for (const std::string& name : names) {
      const size_t end = name.find('@') != std::string::npos ? name.find('@') : name.rfind(':');
      images += line_of({name.substr(0, end), name.find('@') != std::string::npos ? "<none>" : name.substr(end + 1),
                         one.image.id.substr(0, 12),
                         one.image.config.created.empty() ? "N/A" : age(one.image.config.created), tight_size(one.size),
                         tight_size(one.shared), tight_size(one.unique), std::to_string(one.containers)});
    }
  }
  std::string containers = "CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES\n";
  for (const engine::ContainerUsage& one : usage.containers) {
    const engine::ContainerRecord& record = one.container.record;
    containers +=
        line_of({record.id.substr(0, 12), record.image_id.empty() ? record.rootfs : record.image_id.substr(0, 12),
                 join(record.command, " "), "0", tight_size(one.size), age(record.created),
                 engine::to_string(one.container.state.status), record.name});
  }
  return cat("Images space usage:\n\n", format::align_columns(images), "\nContainers space usage:\n\n",
             format::align_columns(containers), "\nLocal Volumes space usage:\n\n",
             format::align_columns("VOLUME NAME\tLINKS\tSIZE\n"));
}

Result<std::vector<engine::Container>> containers_of(const engine::Paths& paths, const std::string& image_id) {
  std::vector<engine::Container> containers = TRY(engine::list_containers(paths));
  std::erase_if(containers, [&](const engine::Container& container) { return container.record.image_id != image_id; });
  return containers;
}

void tell_errors(const engine::Pruned& pruned) {
  for (const Error& error : pruned.errors) exit_code() = fail(error);
}

}  // namespace

void define_system_check(CLI::App& app) {
  struct Options {
    bool force = false;
    bool quick = false;
    bool repair = false;
    std::string max = "24h";
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-q,--quick", options->quick, "hash no blob and unpack no layer; only what takes no time");
  add_flag(app, "-r,--repair", options->repair, "remove damaged images, and unpack damaged layers anew");
  add_flag(app, "-f,--force", options->force, "with --repair: also the containers made from them, and damaged ones");
  add_option(app, "-m,--max", options->max, "how old what no image names may get before it is damage (24h)");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const engine::Paths paths = TRY(engine::find_paths());
      engine::CheckOptions check{.quick = options->quick, .repair = options->repair || options->force};
      check.remove_containers = options->force;
      const std::optional<int64_t> most = parse_duration_ms(options->max);
      if (!most) return Error(0, "--max ", printable(options->max), ": expected a time such as 24h or 1h30m");
      check.max_age_s = *most / 1000;
      check.map = TRY(usual_map());
      check.say = [](const std::string& line) { print(cat(printable(line), "\n")); };
      check.why_kept = [&](const std::string& image_id) -> Result<std::string> {
        for (const engine::Container& container : TRY(containers_of(paths, image_id))) {
          if (!options->force) {
            return cat("container ", container.record.name, " is made from it; with --force both are removed");
          }
          TRY(engine::remove_container(paths, container, true, 0));
          print(cat("removed container ", container.record.name, "\n"));
        }
        return std::string();
      };
      engine::CheckReport report = TRY(engine::check_store(engine::ImageStore(paths.data), check));
      // Behind the images: repairing those may have taken containers away.
      const engine::CheckReport containers = TRY(engine::check_containers(paths, check));
      report.damaged += containers.damaged;
      report.repaired += containers.repaired;
      if (report.damaged == 0) return 0;
      if (!check.repair) return Error(0, "damage detected in local storage; see: moss system check --repair");
      if (report.repaired < report.damaged) return Error(0, "damage in local storage could not be repaired");
      return 0;
    });
  });
}

void define_system_df(CLI::App& app) {
  struct Options {
    bool verbose = false;
    std::string format;
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-v,--verbose", options->verbose, "each image and container");
  add_option(app, "--format", options->format, "json, or a template: table {{.Type}} {{.Size}}");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (options->verbose && !options->format.empty()) return Error(0, "--format and --verbose exclude each other");
      const format::Report report = TRY(format::Report::parse(options->format, kDfTable));
      const engine::Paths paths = TRY(engine::find_paths());
      const IdMap map = TRY(usual_map());
      const engine::DiskUsage usage = TRY(engine::disk_usage(paths, map));
      if (options->verbose) {
        print(df_details(usage));
        return 0;
      }
      print(report.is_json() ? df_json(usage) : TRY(report.list(df_values(usage))));
      return 0;
    });
  });
}

void define_system_prune(CLI::App& app) {
  struct Options {
    bool all = false;
    bool force = false;
    bool volumes = false;
    std::vector<std::string> filters;
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-a,--all", options->all, "every image that no container is made from, not only those without a name");
  add_flag(app, "-f,--force", options->force, "do not ask");
  add_flag(app, "--volumes", options->volumes, "named volumes too; changes nothing, as moss makes none");
  add_list(app, "--filter", options->filters, "only what matches: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const engine::PruneFilter filter = TRY(engine::parse_prune_filter(options->filters));
      const std::string warning =
          cat("WARNING! This command removes:\n\t- all stopped containers\n\t- all ",
              options->all ? "images without at least one container associated with them" : "dangling images");
      if (!options->force && !is_confirmed(warning)) return 0;
      const engine::Paths paths = TRY(engine::find_paths());
      const IdMap map = TRY(usual_map());
      exit_code() = 0;
      const engine::Pruned containers = TRY(engine::prune_containers(paths, filter, map));
      const engine::Pruned images = TRY(engine::prune_images(paths, options->all, filter, map));
      const auto show = [](const char* title, const engine::Pruned& pruned) {
        if (!pruned.ids.empty()) print(cat(title, "\n", join(pruned.ids, "\n"), "\n"));
        tell_errors(pruned);
      };
      show("Deleted Containers", containers);
      show("Deleted Images", images);
      print(cat("Total reclaimed space: ", tight_size(containers.bytes + images.bytes), "\n"));
      return exit_code();
    });
  });
}

void define_system_reset(CLI::App& app) {
  auto force = std::make_shared<bool>(false);
  add_flag(app, "-f,--force", *force, "do not ask");
  app.callback([force] {
    finish_with([&]() -> Result<int> {
      const engine::Paths paths = TRY(engine::find_paths());
      const std::string warning =
          cat("WARNING! This will remove:\n        - all containers\n        - all images\n        - the folder \"",
              paths.data, "\"\n        - the folder \"", paths.run, "\"");
      if (!*force && !is_confirmed(warning)) return 0;
      const IdMap map = TRY(usual_map());
      TRY(engine::reset(paths, map));
      return 0;
    });
  });
}

void define_image_prune(CLI::App& app) {
  struct Options {
    bool all = false;
    bool external = false;
    bool force = false;
    std::vector<std::string> filters;
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-a,--all", options->all, "every image that no container is made from, not only those without a name");
  add_flag(app, "--external", options->external,
           "also those of other programs' containers in the store; there are none");
  add_flag(app, "-f,--force", options->force, "do not ask");
  add_list(app, "--filter", options->filters, "only what matches: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const engine::PruneFilter filter = TRY(engine::parse_prune_filter(options->filters));
      const std::string warning =
          cat("WARNING! This command removes all ",
              options->all ? "images without at least one container associated with them." : "dangling images.");
      if (!options->force && !is_confirmed(warning)) return 0;
      const engine::Paths paths = TRY(engine::find_paths());
      const IdMap map = TRY(usual_map());
      const engine::Pruned pruned = TRY(engine::prune_images(paths, options->all, filter, map));
      for (const std::string& id : pruned.ids) print(id + "\n");
      exit_code() = 0;
      tell_errors(pruned);
      return exit_code();
    });
  });
}

}  // namespace moss::cli
