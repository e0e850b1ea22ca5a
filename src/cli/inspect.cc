// moss inspect: all about containers and images, as JSON or through a template.
#include <memory>

#include "moss/cli/report.hh"
#include "moss/engine/container.hh"
#include "moss/engine/container_files.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Container;
using engine::Image;
using engine::ImageStore;
using engine::Paths;
using format::Value;

namespace {

struct InspectOptions {
  std::vector<std::string> names;
  std::string type = "all";
  bool latest = false;
  bool size = false;
  std::string format;
};

// Go prints a time in its own way, but not in JSON.
void make_time(Value& value, const char* name) {
  const Value* found = value.find(name);
  if (found == nullptr || found->as_text() == nullptr || found->as_text()->empty()) return;
  const std::string text = *found->as_text();
  value.replace(name, Value::Time{.rfc3339 = text, .shown = go_time(text, true)});
}

// What a template may name though JSON leaves it out or has another name for it: Podman's manual uses both.
void add_go_names(Value& value) {
  constexpr std::pair<const char*, const char*> kNames[] = {{"Id", "ID"}, {"Image", "ImageID"}};
  for (const auto& [json, go] : kNames) {
    const Value* found = value.find(json);
    if (found != nullptr && value.find(go) == nullptr) value.set_hidden(go, *found);
  }
  make_time(value, "Created");
  if (const Value* found = value.find("History"); found != nullptr && found->as_list() != nullptr) {
    Value::List steps;
    for (Value step : *found->as_list()) {
      const auto add = [&](const char* json, const char* go, const Value& none) {
        const Value* member = step.find(json);
        step.set_hidden(go, member != nullptr ? *member : none);
      };
      add("created", "Created", "");
      add("created_by", "CreatedBy", "");
      add("author", "Author", "");
      add("comment", "Comment", "");
      add("empty_layer", "EmptyLayer", false);
      make_time(step, "Created");
      steps.push_back(std::move(step));
    }
    value.replace("History", std::move(steps));
  }
  if (const Value* found = value.find("State")) {
    Value state = *found;
    for (const char* name : {"StartedAt", "FinishedAt", "CheckpointedAt", "RestoredAt"}) make_time(state, name);
    value.replace("State", std::move(state));
  }
  if (const Value* found = value.find("Config")) {
    Value config = *found;
    const auto usual = [&](const char* name, const Value& empty) {
      if (config.find(name) == nullptr) config.set_hidden(name, empty);
    };
    for (const char* name : {"User", "WorkingDir", "StopSignal"}) usual(name, "");
    for (const char* name : {"Env", "Entrypoint", "Cmd"}) usual(name, Value::Null{Value::Null::Of::list});
    for (const char* name : {"Labels", "Volumes", "ExposedPorts"}) usual(name, Value::Null{Value::Null::Of::map});
    usual("Healthcheck", Value());
    value.replace("Config", std::move(config));
  }
}

Result<Value> look_at(const Paths& paths, const Container& container, bool with_size) {
  const std::string json = TRY(engine::inspect_container_json(paths, container));
  Value value = TRY(format::parse_json(json).context("inspect ", container.record.name));
  if (with_size) {
    const engine::ContainerSize size = TRY(engine::container_size(paths, container));
    value.set("SizeRw", size.writable).set("SizeRootFs", size.rootfs);
  }
  return value;
}

// Everything that the name may mean; nothing where there is no such thing.
Result<std::optional<Value>> look_up(const Paths& paths, const std::string& name, const InspectOptions& options) {
  if (options.type != "image") {
    if (const std::optional<Container> container = TRY(engine::look_up_container(paths, name))) {
      return std::optional(TRY(look_at(paths, *container, options.size)));
    }
  }
  if (options.type != "container") {
    const ImageStore store(paths.data);
    if (std::optional<Image> image = TRY(store.find(name))) {
      // Names in the store's order, not the one that was asked for first.
      if (image->names.size() > 1) {
        std::vector<Image> all = TRY(store.list());
        for (Image& listed : all) {
          if (listed.id == image->id) image->names = std::move(listed.names);
        }
      }
      return std::optional(
          TRY(format::parse_json(engine::inspect_image_json(store, *image)).context("inspect ", name)));
    }
  }
  return std::optional<Value>();
}

Error not_found(const std::string& name, const std::string& type) {
  if (type == "container") return engine::no_such_container(name);
  if (type == "image") return engine::no_such_image(name);
  return Error(0, "no container or image ", printable(name), "; see: moss ps -a, moss images");
}

Result<int> inspect(const InspectOptions& options) {
  if (options.type != "all" && options.type != "container" && options.type != "image") {
    const bool of_podman = options.type == "pod" || options.type == "volume" || options.type == "network";
    return Error(0, "--type ", printable(options.type), of_podman ? " is not supported" : "", ": ",
                 of_podman ? cat("moss has no ", options.type, "s; ") : "", "use container, image or all");
  }
  if (options.size && options.type == "image") return Error(0, "--size is of containers");
  if (options.latest && !options.names.empty()) return Error(0, "--latest and names exclude each other");
  const std::optional<format::Template> written = TRY(format::parse_format(options.format));
  const Paths paths = TRY(engine::find_paths());
  Value::List found;
  if (options.latest) {
    const Container newest = TRY(engine::latest_container(paths));
    found.push_back(TRY(look_at(paths, newest, options.size)));
  }
  // What is there is shown, whatever is missing.
  std::optional<Error> missing;
  for (const std::string& name : options.names) {
    std::optional<Value> value = TRY(look_up(paths, name, options));
    if (value) {
      found.push_back(*std::move(value));
    } else if (!missing) {
      missing = not_found(name, options.type);
    }
  }
  if (found.empty() && !missing) return Error(0, "of what? give the name of a container or an image");
  if (written) {
    for (Value& value : found) {
      add_go_names(value);
      print_safely(TRY(written->execute(value).context("--format")));
    }
  } else {
    print(Value(std::move(found)).json("     ") + "\n");
  }
  if (missing) return *std::move(missing);
  return 0;
}

void define(CLI::App& app, const std::string& type) {
  auto options = std::make_shared<InspectOptions>();
  options->type = type;
  const bool containers = type != "image";
  app.add_option("NAME", options->names, containers ? "of a container or an image" : "name or id");
  if (type == "all") add_option(app, "-t,--type", options->type, "container, image or all");
  if (containers) add_flag(app, "-l,--latest", options->latest, "the newest container");
  if (containers) add_flag(app, "-s,--size", options->size, "with the sizes of containers: SizeRw, SizeRootFs");
  add_option(app, "-f,--format", options->format, "json or a Go template: \"{{.Id}} {{json .Config}}\"");
  app.callback([options] { finish_with([&] { return inspect(*options); }); });
}

}  // namespace

void define_inspect(CLI::App& app) { define(app, "all"); }
void define_image_inspect(CLI::App& app) { define(app, "image"); }
void define_container_inspect(CLI::App& app) { define(app, "container"); }

void define_container_exists(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("CONTAINER", *name, "name or id")->required();
  app.callback([name] {
    finish_with([&]() -> Result<int> {
      const Paths paths = TRY(engine::find_paths());
      return TRY(engine::look_up_container(paths, *name)) ? 0 : 1;
    });
  });
}

}  // namespace moss::cli
