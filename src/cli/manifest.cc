// Lists of images for several platforms: moss manifest.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "moss/engine/container.hh"
#include "moss/engine/manifest_list.hh"
#include "moss/engine/push.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/progress.hh"
#include "src/cli/push_options.hh"
#include "src/cli/registry_options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::ImageStore;
using engine::Paths;

namespace {

Result<engine::PullOptions> pull_options(const engine::RegistryAccess& access, ProgressDisplay& display) {
  return engine::PullOptions{.map = TRY(usual_map()), .access = access, .progress = display.callback()};
}

// What an entry is made to say, as typed: its lists may have commas in them.
struct EntryWords {
  engine::ListEntryChange change;
  std::vector<std::string> annotations;
};

void add_entry_options(CLI::App& app, EntryWords& words) {
  add_list(app, "--annotation", words.annotations, "NAME=VALUE");
  add_option(app, "--arch", words.change.architecture, "the entry's architecture instead of its image's");
  add_list(app, "--features", words.change.features, "what the processor must have; for Docker's lists");
  add_option(app, "--os", words.change.os, "the entry's operating system instead of its image's");
  add_list(app, "--os-features", words.change.os_features, "what the operating system must have");
  add_option(app, "--os-version", words.change.os_version, "the operating system's version");
  add_option(app, "--variant", words.change.variant, "the architecture's variant, such as v8");
}

Result<std::map<std::string, std::string>> parse_annotations(const std::vector<std::string>& words) {
  std::map<std::string, std::string> annotations;
  for (const std::string& word : words) {
    const auto [name, value] = cut(word, '=');
    if (!value || name.empty()) return Error(0, "--annotation ", printable(word), ": expected NAME=VALUE");
    annotations[std::string(name)] = *value;
  }
  return annotations;
}

std::vector<std::string> split_commas(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words) {
    for (const std::string_view part : split(word, ',')) out.emplace_back(part);
  }
  return out;
}

Result<engine::ListEntryChange> entry_change(const EntryWords& words) {
  engine::ListEntryChange change = words.change;
  change.os_features = split_commas(change.os_features);
  change.features = split_commas(change.features);
  change.annotations = TRY(parse_annotations(words.annotations));
  return change;
}

constexpr const char* kNoArtifacts = "moss makes lists of images; artifacts are made by oras or podman";
constexpr UnsupportedOption kUnsupported[] = {
    {"--artifact", kNoArtifacts},
    {"--artifact-type", kNoArtifacts},
    {"--artifact-config", kNoArtifacts},
    {"--artifact-config-type", kNoArtifacts},
    {"--artifact-layer-type", kNoArtifacts},
    {"--artifact-exclude-titles", kNoArtifacts},
    {"--artifact-subject", kNoArtifacts},
    {"--artifact-annotations", kNoArtifacts},
    {"--add-compression", "push the list once for each compression"},
    {"--sign-by", kSignsNothing},
    {"--sign-by-sigstore", kSignsNothing},
    {"--sign-by-sigstore-private-key", kSignsNothing},
    {"--sign-passphrase-file", kSignsNothing},
};

// Runs `body` on the caller's store once the words are as many as they should be.
template <typename Body>
void on_words(CLI::App& app, const std::vector<std::string>& words, size_t least, size_t most, const char* missing,
              const Body& body) {
  finish_with([&]() -> Result<int> {
    TRY(refuse_unsupported(app.remaining(), kUnsupported));
    TRY(no_extra_words(app));
    if (words.size() < least) return Error(0, missing, " see: ", app.get_name(), " --help");
    if (words.size() > most) return Error(0, "one word too many: ", words[most], "; see: ", app.get_name(), " --help");
    const Paths paths = TRY(engine::find_paths());
    ImageStore store(paths.data);
    return body(store);
  });
}

constexpr size_t kAny = 10'000;

void print_digest(const std::string& digest) { print(cat(digest.substr(digest.find(':') + 1), "\n")); }

Result<std::string> remove_list(ImageStore& store, const std::string& name) {
  engine::RemoveOptions how{.map = TRY(usual_map())};
  const Paths paths = TRY(engine::find_paths());
  const std::vector<engine::Container> containers = TRY(engine::list_containers(paths));
  how.is_used = [&](const std::string& image_id) {
    return std::any_of(containers.begin(), containers.end(),
                       [&](const engine::Container& container) { return container.record.image_id == image_id; });
  };
  return engine::remove_list(store, name, how);
}

}  // namespace

void define_manifest_create(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    engine::RegistryAccess registry;
    std::vector<std::string> annotations;
    bool all = false;
    bool amend = false;
  };
  auto options = std::make_shared<Options>();
  app.allow_extras();
  app.add_option("LIST", options->words, "its name, then images: of the store, else of a registry");
  add_flag(app, "-a,--amend", options->amend, "a list that is there already is added to");
  add_flag(app, "--all", options->all, "of an image that is a list itself add all of its images");
  add_list(app, "--annotation", options->annotations, "NAME=VALUE, of the list");
  add_registry_options(app, options->registry);
  app.callback([options, &app] {
    on_words(app, options->words, 1, kAny, "which list?", [&](ImageStore& store) -> Result<int> {
      ProgressDisplay display(ProgressDisplay::style(false));
      engine::ListCreateOptions how{.amend = options->amend,
                                    .annotations = TRY(parse_annotations(options->annotations))};
      how.add.all = options->all;
      how.add.pull = TRY(pull_options(options->registry, display));
      const std::vector<std::string> images(options->words.begin() + 1, options->words.end());
      print_digest(TRY(engine::create_list(store, options->words[0], images, how)));
      return 0;
    });
  });
}

void define_manifest_add(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    engine::RegistryAccess registry;
    EntryWords entry;
    bool all = false;
    bool quiet = false;
  };
  auto options = std::make_shared<Options>();
  app.allow_extras();
  app.add_option("LIST", options->words, "its name, then images: of the store, else of a registry");
  add_flag(app, "--all", options->all, "of an image that is a list itself add all of its images");
  add_entry_options(app, options->entry);
  add_registry_options(app, options->registry);
  add_flag(app, "-q,--quiet", options->quiet, "show no progress");
  app.callback([options, &app] {
    on_words(app, options->words, 2, kAny, "which list, and which image?", [&](ImageStore& store) -> Result<int> {
      ProgressDisplay display(ProgressDisplay::style(options->quiet));
      const engine::ListAddOptions how{.all = options->all,
                                       .change = TRY(entry_change(options->entry)),
                                       .pull = TRY(pull_options(options->registry, display))};
      std::string digest;
      for (size_t i = 1; i < options->words.size(); ++i) {
        digest = TRY(engine::add_to_list(store, options->words[0], options->words[i], how));
      }
      print_digest(digest);
      return 0;
    });
  });
}

void define_manifest_annotate(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    EntryWords entry;
    bool index = false;
    std::string subject;
  };
  auto options = std::make_shared<Options>();
  app.allow_extras();
  app.add_option("LIST", options->words, "its name, then one of its images: name, id or digest");
  add_entry_options(app, options->entry);
  add_flag(app, "--index", options->index, "--annotation is for the list itself");
  add_option(app, "--subject", options->subject, "the image in the store that the list itself belongs to");
  app.callback([options, &app] {
    const bool whole = options->index || !options->subject.empty();
    on_words(app, options->words, whole ? 1 : 2, 2, "which list, and which image of it?",
             [&](ImageStore& store) -> Result<int> {
               engine::ListEntryChange change = TRY(entry_change(options->entry));
               std::string digest;
               if (whole) {
                 digest = TRY(engine::change_list(store, options->words[0],
                                                  options->index ? change.annotations : decltype(change.annotations)(),
                                                  options->subject));
                 if (options->index) change.annotations.clear();
               }
               if (options->words.size() > 1) {
                 digest = TRY(engine::change_list_entry(store, options->words[0], options->words[1], change));
               }
               print_digest(digest);
               return 0;
             });
  });
}

void define_manifest_exists(CLI::App& app) {
  auto words = std::make_shared<std::vector<std::string>>();
  app.add_option("LIST", *words, "its name");
  app.callback([words, &app] {
    on_words(app, *words, 1, 1, "which list?",
             [&](ImageStore& store) -> Result<int> { return TRY(engine::list_exists(store, (*words)[0])) ? 0 : 1; });
  });
}

void define_manifest_inspect(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    engine::RegistryAccess registry;
  };
  auto options = std::make_shared<Options>();
  app.add_option("LIST", options->words, "the name of a list or an image: of the store, else of a registry");
  add_registry_options(app, options->registry);
  app.callback([options, &app] {
    on_words(app, options->words, 1, 1, "which list?", [&](ImageStore& store) -> Result<int> {
      ProgressDisplay display(ProgressDisplay::style(true));
      const engine::PullOptions pull = TRY(pull_options(options->registry, display));
      const std::string text = TRY(engine::read_manifest(store, options->words[0], pull));
      // Read once more for its looks alone; who wants the bytes has skopeo inspect --raw.
      const auto document = nlohmann::ordered_json::parse(text, nullptr, false);
      if (document.is_discarded()) return Error(0, "inspect ", printable(options->words[0]), ": not JSON");
      print(document.dump(4, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
      return 0;
    });
  });
}

void define_manifest_push(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    PushWords push;
    bool all = true;
    bool purge = false;
  };
  auto options = std::make_shared<Options>();
  app.allow_extras();
  app.add_option("LIST", options->words, "its name, then where to, as in moss push (its own name)");
  add_push_options(app, options->push);
  add_flag(app, "--all", options->all,
           "the list and all its images (the default); with =false the image for this machine");
  add_flag(app, "-p,--purge,--rm", options->purge, "remove the list here once it is there");
  app.callback([options, &app] {
    on_words(app, options->words, 1, 2, "which list?", [&](ImageStore& store) -> Result<int> {
      const std::string& name = options->words[0];
      if (!TRY(engine::list_exists(store, name))) return Error(0, printable(name), ": no list of that name");
      {
        ProgressDisplay display(ProgressDisplay::style(options->push.quiet));
        engine::PushOptions how = TRY(push_options(options->push));
        how.all = options->all;
        how.progress = display.callback();
        const std::string destination = options->words.size() > 1 ? options->words[1] : "";
        const std::string digest = TRY(engine::push(store, name, destination, how));
        TRY(write_digest(options->push, digest));
      }
      if (options->purge) TRY(remove_list(store, name));
      return 0;
    });
  });
}

void define_manifest_remove(CLI::App& app) {
  auto words = std::make_shared<std::vector<std::string>>();
  app.add_option("LIST", *words, "its name, then one of its images: name, id or digest");
  app.callback([words, &app] {
    on_words(app, *words, 2, 2, "which list, and which image of it?", [&](ImageStore& store) -> Result<int> {
      print_digest(TRY(engine::remove_from_list(store, (*words)[0], (*words)[1])));
      return 0;
    });
  });
}

void define_manifest_rm(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    bool ignore = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("LIST", options->words, "names");
  add_flag(app, "-i,--ignore", options->ignore, "say nothing of a list that is not there");
  app.callback([options, &app] {
    on_words(app, options->words, 1, kAny, "which list?", [&](ImageStore& store) -> Result<int> {
      int code = 0;
      for (const std::string& word : options->words) {
        if (options->ignore && !TRY(engine::list_exists(store, word))) continue;
        const Result<std::string> removed = remove_list(store, word);
        if (removed.ok()) {
          print(cat("Untagged: ", *removed, "\n"));
        } else {
          code = fail(removed.error());
        }
      }
      return code;
    });
  });
}

}  // namespace moss::cli
