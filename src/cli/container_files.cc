// The files of containers from outside: diff, export, commit.
#include "moss/engine/container_files.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <variant>

#include "moss/cli/value.hh"
#include "moss/engine/container.hh"
#include "moss/engine/store.hh"
#include "moss/sys/file.hh"
#include "moss/sys/new_file.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Change;
using engine::Container;
using engine::Paths;
using format::Value;

namespace {

struct DiffOptions {
  std::string name;
  std::string before;  // empty: what it was made from
  bool latest = false;
  std::string format;
  bool containers = true;
  bool images = true;
};

using ContainerOrImage = std::variant<Container, engine::Image>;

Result<ContainerOrImage> find_either(const Paths& paths, const engine::ImageStore& store, const DiffOptions& options,
                                     const std::string& name) {
  if (options.containers) {
    std::optional<Container> container = TRY(engine::look_up_container(paths, name));
    if (container) return ContainerOrImage(std::move(*container));
    if (!options.images) return engine::no_such_container(name);
  }
  std::optional<engine::Image> image = TRY(store.find(name));
  if (image) return ContainerOrImage(std::move(*image));
  return Error(0, options.containers ? "no container or image " : "no image ", printable(name),
               "; see: moss ps -a, moss images");
}

// An image's files are looked at with the ids of the container they are compared with.
Result<std::vector<Change>> compare_two(engine::ImageStore& store, const ContainerOrImage& before,
                                        const ContainerOrImage& now) {
  std::optional<engine::FileSet> of_container;
  const auto files_of = [&](const ContainerOrImage& one) -> Result<engine::FileSet> {
    if (const auto* container = std::get_if<Container>(&one)) return engine::container_files(*container);
    const sys::Host host = TRY(sys::probe_host());
    const IdMap map = of_container ? of_container->map : TRY(engine::default_id_map(host)).map;
    return engine::image_files(store, std::get<engine::Image>(one), map);
  };
  for (const ContainerOrImage* one : {&before, &now}) {
    if (std::holds_alternative<Container>(*one)) of_container = TRY(files_of(*one));
  }
  const engine::FileSet old = TRY(files_of(before));
  const engine::FileSet files = TRY(files_of(now));
  return engine::changes_between(old, files);
}

Result<std::vector<Change>> find_changes(const Paths& paths, const DiffOptions& options) {
  if (options.latest) {
    const Container newest = TRY(engine::latest_container(paths));
    return engine::container_changes(paths, newest);
  }
  engine::ImageStore store(paths.data);
  const Fd hold = TRY(store.hold());
  const ContainerOrImage one = TRY(find_either(paths, store, options, options.name));
  if (!options.before.empty()) {
    const ContainerOrImage before = TRY(find_either(paths, store, options, options.before));
    return compare_two(store, before, one);
  }
  if (const auto* container = std::get_if<Container>(&one)) return engine::container_changes(paths, *container);
  return engine::image_changes(store, std::get<engine::Image>(one));
}

Result<int> show_changes(const DiffOptions& options) {
  if (!options.format.empty() && options.format != "json") {
    return Error(0, "--format ", printable(options.format), " is not supported; use json");
  }
  if (options.latest != options.name.empty()) return Error(0, "of what? give one container or image, or --latest");
  const Paths paths = TRY(engine::find_paths());
  const std::vector<Change> changes = TRY(find_changes(paths, options));
  if (options.format.empty()) {
    std::string out;
    for (const Change& change : changes) out += cat(change.kind, " ", change.path, "\n");
    print_safely(out);
    return 0;
  }
  // Podman's: a list for each kind that there is.
  Value json = Value::structure();
  for (const auto& [kind, name] : {std::pair{'C', "changed"}, std::pair{'A', "added"}, std::pair{'D', "deleted"}}) {
    std::vector<std::string> paths_of_kind;
    for (const Change& change : changes) {
      if (change.kind == kind) paths_of_kind.push_back(change.path);
    }
    if (!paths_of_kind.empty()) json.set(name, paths_of_kind);
  }
  print(json.json("     ") + "\n");
  return 0;
}

void define_changes(CLI::App& app, bool containers, bool images) {
  auto options = std::make_shared<DiffOptions>();
  options->containers = containers;
  options->images = images;
  app.add_option("NAME", options->name, "name or id");
  app.add_option("BEFORE", options->before, "what it is compared with; without: what it was made from");
  if (containers) add_flag(app, "-l,--latest", options->latest, "of the newest container");
  add_option(app, "--format", options->format, "json");
  app.callback([options] { finish_with([&] { return show_changes(*options); }); });
}

struct CommitWords {
  engine::CommitOptions commit;
  std::string container;
  std::string format = "oci";
  std::string iidfile;
  bool quiet = false;
};

Result<int> commit(CommitWords& words) {
  if (words.format != "oci" && words.format != "docker") {
    return Error(0, "--format ", printable(words.format), ": use oci or docker");
  }
  words.commit.docker_format = words.format == "docker";
  if (!words.commit.name.empty()) TRY(engine::full_local_name(words.commit.name));
  const Paths paths = TRY(engine::find_paths());
  const Container container = TRY(engine::find_container(paths, words.container));
  const engine::Image image = TRY(engine::commit_container(paths, container, words.commit));
  if (!words.iidfile.empty()) TRY(sys::replace_file(words.iidfile, image.id, 0644).context("--iidfile"));
  print(image.id + "\n");
  return 0;
}

}  // namespace

void define_diff(CLI::App& app) { define_changes(app, true, true); }
void define_container_diff(CLI::App& app) { define_changes(app, true, false); }
void define_image_diff(CLI::App& app) { define_changes(app, false, true); }

void define_export(CLI::App& app) {
  struct Options {
    std::string container;
    std::string output;
  };
  auto options = std::make_shared<Options>();
  app.add_option("CONTAINER", options->container, "name or id")->required();
  add_option(app, "-o,--output", options->output, "a file, instead of the standard output");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (options->output.empty() && ::isatty(STDOUT_FILENO) == 1) {
        return Error(0, "a tar is nothing for a terminal; give a file with -o, or redirect the output");
      }
      const Paths paths = TRY(engine::find_paths());
      const Container container = TRY(engine::find_container(paths, options->container));
      if (options->output.empty()) {
        TRY(engine::export_container(paths, container, STDOUT_FILENO));
        return 0;
      }
      struct stat status;
      if (::lstat(options->output.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
        // A pipe, a device, or a link to one.
        const Fd there =
            TRY(sys::open_at(AT_FDCWD, options->output, O_WRONLY | O_CREAT | O_TRUNC, 0644).context("--output"));
        TRY(engine::export_container(paths, container, there.get()));
        return 0;
      }
      sys::NewFile file = TRY(sys::NewFile::create(options->output).context("--output"));
      TRY(engine::export_container(paths, container, file.fd()));
      TRY(file.show().context("--output"));
      return 0;
    });
  });
}

void define_commit(CLI::App& app) {
  auto words = std::make_shared<CommitWords>();
  app.add_option("CONTAINER", words->container, "name or id")->required();
  app.add_option("NAME", words->commit.name, "the image's name; a short one is localhost/NAME");
  add_option(app, "-a,--author", words->commit.author, "who made it");
  add_list(app, "-c,--change", words->commit.changes,
           "set what its containers begin with: CMD=sh, \"ENV LANG=C\", USER=1000");
  add_option(app, "-f,--format", words->format, "oci (the default) or docker");
  add_option(app, "--iidfile", words->iidfile, "write the image's id to this file");
  add_flag(app, "--include-volumes", words->commit.include_volumes,
           "what the container has mounted becomes the image's volumes");
  add_option(app, "-m,--message", words->commit.message, "a comment for the image's history");
  add_flag(app, "-p,--pause", words->commit.pause,
           "its processes stand still while its files are read; they go on whatever happens to moss");
  add_flag(app, "-q,--quiet", words->quiet, "show no progress; there is none");
  add_flag(app, "-s,--squash", words->commit.squash, "make one layer of all");
  app.callback([words] { finish_with([&] { return commit(*words); }); });
}

}  // namespace moss::cli
