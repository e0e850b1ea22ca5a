// Images from files, and away: moss load, import and rmi.
#include <unistd.h>

#include <memory>

#include "moss/engine/archives.hh"
#include "moss/engine/container.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/progress.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Image;
using engine::ImageStore;
using engine::Paths;

Result<IdMap> usual_map() {
  const sys::Host host = TRY(sys::probe_host());
  return TRY(engine::default_id_map(host)).map;
}

Result<int> load_images(const std::string& source, bool quiet, const std::string& platform,
                        const std::string& signature_policy) {
  const Paths paths = TRY(engine::find_paths());
  ImageStore store(paths.data);
  ProgressDisplay display(ProgressDisplay::style(quiet));
  engine::LoadOptions options{.map = TRY(usual_map())};
  if (!platform.empty()) options.platform = TRY(engine::parse_platform(platform).context("--platform"));
  options.signature_policy = signature_policy;
  options.progress = display.callback();
  for (const Image& image : TRY(engine::load(store, source, options))) {
    for (const std::string& name : image.names) print(cat("Loaded image: ", name, "\n"));
    if (image.names.empty()) print(cat("Loaded image: sha256:", image.id, "\n"));
  }
  return 0;
}

void define_load(CLI::App& app) {
  struct Options {
    std::string input = "-";
    bool quiet = false;
    std::string platform;
    std::string signature_policy;
  };
  auto options = std::make_shared<Options>();
  add_option(app, "-i,--input", options->input,
             "an archive, an OCI layout or http(s)://…; standard input where none is given");
  add_flag(app, "-q,--quiet", options->quiet, "show no progress");
  add_option(app, "--platform", options->platform, "choose from an archive of several: OS/ARCH[/VARIANT]");
  add_option(app, "--signature-policy", options->signature_policy,
             "a policy.json in place of the user's or the system's");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (options->input == "-" && ::isatty(STDIN_FILENO) == 1) {
        return Error(0, "load from where? give a file with -i, or pipe one in");
      }
      return load_images(options->input, options->quiet, options->platform, options->signature_policy);
    });
  });
}

void define_import(CLI::App& app) {
  struct Options {
    std::string file;
    std::string name;
    std::vector<std::string> changes;
    std::string message;
    std::string arch;
    std::string os;
    std::string variant;
    bool quiet = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("FILE", options->file,
                 "a tar of a root filesystem, compressed or not; - is standard input; or http(s)://…")
      ->required();
  app.add_option("NAME", options->name, "the image's name");
  add_list(app, "-c,--change", options->changes,
           "set what its containers begin with: CMD=sh, \"ENV LANG=C\", USER=1000");
  add_option(app, "-m,--message", options->message, "a comment for the image's history");
  add_option(app, "--arch", options->arch, "the image's architecture (this machine's)");
  add_option(app, "--os", options->os, "the image's operating system (linux)");
  add_option(app, "--variant", options->variant, "the architecture's variant, such as v7");
  add_flag(app, "-q,--quiet", options->quiet, "show no progress");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const Paths paths = TRY(engine::find_paths());
      ImageStore store(paths.data);
      engine::ImportOptions how{
          .load = {.map = TRY(usual_map())}, .changes = options->changes, .message = options->message};
      const std::string platform = platform_text(options->os, options->arch, options->variant);
      if (!platform.empty()) how.load.platform = TRY(engine::parse_platform(platform));
      print(TRY(engine::import_rootfs(store, options->file, options->name, how)).id + "\n");
      return 0;
    });
  });
}

void define_rmi(CLI::App& app) {
  struct Options {
    std::vector<std::string> names;
    bool all = false;
    bool force = false;
    bool ignore = false;
    bool no_prune = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("IMAGE", options->names, "name or id");
  add_flag(app, "-a,--all", options->all, "all images");
  add_flag(app, "-f,--force", options->force, "also with several names; remove the containers made from it");
  add_flag(app, "-i,--ignore", options->ignore, "say nothing of an image that is not there");
  add_flag(app, "--no-prune", options->no_prune, "keep its parents that have no name; moss makes none");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const Paths paths = TRY(engine::find_paths());
      ImageStore store(paths.data);
      if (options->all && !options->names.empty()) return Error(0, "name images or say --all, not both");
      std::vector<std::string> names = options->names;
      if (options->all) {
        for (const Image& image : TRY(store.list_own())) names.push_back(image.id);
      }
      if (names.empty() && !options->all) return Error(0, "which image? see: moss rmi --help");
      int code = 0;
      const IdMap map = TRY(usual_map());
      for (const std::string& name : names) {
        std::string user;
        engine::RemoveOptions remove{.force = options->force || options->all};
        // The image is gone when this returns; its files, which may be many, soon.
        remove.in_background = true;
        remove.map = map;
        const std::vector<engine::Container> containers = TRY(engine::list_containers(paths));
        if (options->force) {
          const Result<std::optional<Image>> image = store.find(name);
          if (!image.ok()) return image.error();
          for (const engine::Container& container : containers) {
            if (*image && container.record.image_id == (*image)->id)
              TRY(engine::remove_container(paths, container, true, 0));
          }
        } else {
          remove.is_used = [&](const std::string& image_id) {
            for (const engine::Container& container : containers) {
              if (container.record.image_id == image_id) user = container.record.name;
            }
            return !user.empty();
          };
        }
        const Result<engine::Removed> removed = store.remove(name, remove);
        if (!removed.ok()) {
          if (options->ignore && removed.error().exit_code() == 1) continue;
          code = fail(user.empty() ? removed.error()
                                   : Error(0, "image ", printable(name), " is in use by container ", user,
                                           "; remove that first (moss rm ", user, ") or both with --force")
                                         .with_exit_code(removed.error().exit_code().value_or(2)));
          continue;
        }
        for (const std::string& untagged : removed->untagged) print(cat("Untagged: ", untagged, "\n"));
        for (const std::string& deleted : removed->deleted) print(cat("Deleted: ", deleted, "\n"));
      }
      return code;
    });
  });
}

}  // namespace moss::cli
