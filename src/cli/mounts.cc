// moss mount: walking through the files of containers and images with one's own tools.
#include "moss/engine/mounts.hh"

#include <memory>

#include "moss/cli/value.hh"
#include "moss/engine/container.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Container;
using engine::Paths;
using format::Value;

namespace {

// Containers or images: what is the same about their mounts.
struct MountKind {
  bool images = false;
  std::string verb(const char* what) const { return cat(images ? "image " : "", std::string_view(what)); }
  Result<std::string> folder(const Paths& paths, const char* what) const {
    return TRY(engine::mounts_folder(paths, verb(what))) + (images ? "/images" : "/containers");
  }
};

struct MountOptions {
  MountKind kind;
  std::vector<std::string> names;
  bool all = false;
  bool latest = false;
  bool no_trunc = false;
  bool force = false;
  std::string format;
};

// The names of what is mounted under an id.
std::vector<std::string> names_of(const Paths& paths, const MountKind& kind, const std::string& id) {
  if (kind.images) {
    const engine::ImageStore store(paths.data);
    const Result<std::optional<engine::Image>> image = store.find("sha256:" + id);
    return image.ok() && *image ? (*image)->names : std::vector<std::string>();
  }
  const Result<std::optional<Container>> container = engine::look_up_container(paths, id);
  return container.ok() && *container ? std::vector{(*container)->record.name} : std::vector<std::string>();
}

Result<int> list_mounts(const Paths& paths, const MountOptions& options) {
  const std::string folder = TRY(options.kind.folder(paths, "mount"));
  const std::vector<std::string> ids = TRY(engine::mounted_in(folder));
  Value::List json;
  std::string text;
  for (const std::string& id : ids) {
    const std::string place = cat(folder, "/", id);
    json.push_back(Value::structure());
    json.back().set("id", id).set("Names", names_of(paths, options.kind, id)).set("mountpoint", place);
    text += cat(options.no_trunc ? id : id.substr(0, 12), " ", place, "\n");
  }
  print(options.format == "json" ? Value(std::move(json)).json(" ") + "\n" : text);
  return 0;
}

Result<std::string> mount_one(const Paths& paths, const MountKind& kind, const std::string& folder,
                              const std::string& name) {
  if (!kind.images) {
    const Container container = TRY(engine::find_container(paths, name));
    return engine::mount_container(folder, container);
  }
  engine::ImageStore store(paths.data);
  const engine::Image image = TRY(store.get(name));
  return engine::mount_image(folder, store, image);
}

// The ids the words mean.
Result<std::vector<std::string>> chosen(const Paths& paths, const MountOptions& options) {
  std::vector<std::string> ids = options.names;
  if (options.latest) {
    const Container newest = TRY(engine::latest_container(paths));
    ids.push_back(newest.record.id);
  }
  if (options.all && options.kind.images) {
    const engine::ImageStore store(paths.data);
    const std::vector<engine::Image> images = TRY(store.list());
    for (const engine::Image& image : images) ids.push_back("sha256:" + image.id);
  } else if (options.all) {
    const std::vector<Container> containers = TRY(engine::list_containers(paths));
    for (const Container& container : containers) ids.push_back(container.record.id);
  }
  return ids;
}

Result<int> mount_all(const MountOptions& options) {
  if (!options.format.empty() && options.format != "json") {
    return Error(0, "--format ", printable(options.format), " is not supported; use json");
  }
  const Paths paths = TRY(engine::find_paths());
  const std::vector<std::string> names = TRY(chosen(paths, options));
  if (names.empty() && !options.all) return list_mounts(paths, options);
  const std::string folder = TRY(options.kind.folder(paths, "mount"));
  int code = 0;
  for (const std::string& name : names) {
    const Result<std::string> place = mount_one(paths, options.kind, folder, name);
    if (place.ok()) {
      print(*place + "\n");
    } else {
      code = fail(place.error());
    }
  }
  return code;
}

Result<int> unmount_all(const MountOptions& options) {
  const Paths paths = TRY(engine::find_paths());
  const std::string folder = TRY(options.kind.folder(paths, "unmount"));
  std::vector<std::string> names = options.names;
  if (options.all) names = TRY(engine::mounted_in(folder));
  if (options.latest) {
    const Container newest = TRY(engine::latest_container(paths));
    names.push_back(newest.record.id);
  }
  if (names.empty() && !options.all) return Error(0, "of what? give names, or --all");
  int code = 0;
  for (const std::string& name : names) {
    std::string id = name;
    if (!options.all && options.kind.images) {
      const engine::ImageStore store(paths.data);
      const std::optional<engine::Image> image = TRY(store.find(name));
      if (image) id = image->id;
    } else if (!options.all) {
      const std::optional<Container> container = TRY(engine::look_up_container(paths, name));
      if (container) id = container->record.id;
    }
    // What is no id here never was mounted, and is no path either.
    const bool is_id = id.size() == 64 && id.find('/') == std::string::npos;
    const Result<bool> done = is_id ? engine::unmount_from(folder, id, options.force) : Result<bool>(false);
    if (done.ok() && *done) {
      print(id + "\n");
    } else {
      code = fail(done.ok() ? Error(0, printable(name), " is not mounted") : done.error());
    }
  }
  return code;
}

void define_mounting(CLI::App& app, bool images) {
  auto options = std::make_shared<MountOptions>();
  options->kind.images = images;
  app.add_option(images ? "IMAGE" : "CONTAINER", options->names, "name or id; none: list what is mounted");
  add_flag(app, "-a,--all", options->all, images ? "all images" : "all containers");
  if (!images) add_flag(app, "-l,--latest", options->latest, "the newest container");
  add_flag(app, "--no-trunc", options->no_trunc, "list with whole ids");
  add_option(app, "--format", options->format, "of the list: json");
  app.callback([options] { finish_with([&] { return mount_all(*options); }); });
}

void define_unmounting(CLI::App& app, bool images) {
  auto options = std::make_shared<MountOptions>();
  options->kind.images = images;
  app.add_option(images ? "IMAGE" : "CONTAINER", options->names, "name or id");
  add_flag(app, "-a,--all", options->all, "all that is mounted");
  if (!images) add_flag(app, "-l,--latest", options->latest, "the newest container");
  add_flag(app, "-f,--force", options->force, "also where files in it are open");
  app.callback([options] { finish_with([&] { return unmount_all(*options); }); });
}

}  // namespace

void define_mount(CLI::App& app) { define_mounting(app, false); }
void define_unmount(CLI::App& app) { define_unmounting(app, false); }
void define_image_mount(CLI::App& app) { define_mounting(app, true); }
void define_image_unmount(CLI::App& app) { define_unmounting(app, true); }

}  // namespace moss::cli
