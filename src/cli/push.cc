// Images on their way out: push and save.
#include "moss/engine/push.hh"

#include <unistd.h>

#include <memory>

#include "moss/engine/container.hh"
#include "moss/engine/store.hh"
#include "moss/sys/file.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/progress.hh"
#include "src/cli/push_options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::ImageStore;
using engine::Paths;

namespace {

constexpr const char* kEncryptsNothing = "moss encrypts no images";
constexpr UnsupportedOption kUnsupportedByPush[] = {
    {"--compress", "name a compression: --compression-format gzip"},
    {"--encrypt-layer", kEncryptsNothing},
    {"--encryption-key", kEncryptsNothing},
    {"--sign-by", kSignsNothing},
    {"--sign-by-sigstore", kSignsNothing},
    {"--sign-by-sigstore-private-key", kSignsNothing},
    {"--sign-by-sq-fingerprint", kSignsNothing},
    {"--sign-passphrase-file", kSignsNothing},
};

}  // namespace

Result<Ok> refuse_unsupported(const std::vector<std::string>& typed, std::span<const UnsupportedOption> options) {
  for (const std::string& word : typed) {
    const std::string_view name = cut(word, '=').first;
    for (const UnsupportedOption& option : options) {
      if (name == option.name) return Error(0, "option ", name, " is not supported: ", option.instead);
    }
  }
  return Ok{};
}

Result<Ok> no_extra_words(const CLI::App& app) {
  const std::vector<std::string> extra = app.remaining();
  if (extra.empty()) return Ok{};
  return Error(0, extra.front().starts_with('-') ? "unknown option " : "one word too many: ", extra.front(),
               "; see: ", app.get_name(), " --help");
}

void add_push_options(CLI::App& app, PushWords& words) {
  add_registry_options(app, words.access);
  add_option(app, "-f,--format", words.format,
             "the manifest's: oci, or v2s2 (Docker's); as the image has it (default)");
  add_option(app, "--compression-format", words.compression, "of its layers: gzip or zstd; as they are (default)");
  add_option(app, "--compression-level", words.level, "gzip: 1 to 9 (6), zstd: 1 to 20 (3)");
  add_option(app, "--force-compression", words.force,
             "false: with --compression-format leave layers alone that are compressed otherwise; true: compress again");
  add_option(app, "--digestfile", words.digest_file, "write the digest of what was sent to this file");
  add_retry_options(app, words.retry);
  add_flag(app, "--remove-signatures", words.remove_signatures, "send none; moss keeps none, so it never does");
  add_flag(app, "-q,--quiet", words.quiet, "show no progress");
}

Result<engine::PushOptions> push_options(const PushWords& words) {
  engine::PushOptions options{.access = words.access};
  TRY(read_retries(words.retry, options.retries, options.retry_delay_ms));
  engine::OutgoingForm& form = options.form;
  if (!words.format.empty()) form.format = TRY(engine::parse_manifest_format(words.format).context("--format"));
  if (!words.compression.empty()) {
    form.compression = TRY(engine::parse_compression(words.compression).context("--compression-format"));
  } else if (words.level) {
    form.compression = engine::LayerCompression::gzip;
  } else if (words.force.value_or(false)) {
    return Error(0, "--force-compression needs --compression-format");
  }
  form.level = words.level;
  form.only_plain = form.compression && !words.force.value_or(true);
  form.recompress = form.compression && (words.force.value_or(false) || words.level);
  return options;
}

Result<Ok> write_digest(const PushWords& words, const std::string& digest) {
  if (words.digest_file.empty()) return Ok{};
  return sys::replace_file(words.digest_file, digest).context("the image was sent; --digestfile");
}

void define_push(CLI::App& app) {
  struct Options {
    std::vector<std::string> words;
    PushWords push;
    bool all = false;
    bool no_content_trust = false;
  };
  auto options = std::make_shared<Options>();
  app.allow_extras();
  app.add_option("IMAGE", options->words,
                 "its name or id, then where to: REGISTRY/NAME[:TAG] (its own name), oci:DIR, "
                 "dir:DIR, oci-archive:FILE, docker-archive:FILE, each but dir with [:NAME]");
  add_push_options(app, options->push);
  add_flag(app, "--disable-content-trust", options->no_content_trust, "accepted for Docker's sake; it changes nothing");
  add_flag(app, "--all", options->all, "of a list all images, and the list; else the one for this machine");
  app.callback([options, &app] {
    finish_with([&]() -> Result<int> {
      TRY(refuse_unsupported(app.remaining(), kUnsupportedByPush));
      TRY(no_extra_words(app));
      if (options->words.empty()) return Error(0, "which image? see: moss push --help");
      if (options->words.size() > 2)
        return Error(0, "one word too many: ", options->words[2], "; see: moss push --help");
      const Paths paths = TRY(engine::find_paths());
      const ImageStore store(paths.data);
      ProgressDisplay display(ProgressDisplay::style(options->push.quiet));
      engine::PushOptions how = TRY(push_options(options->push));
      how.all = options->all;
      how.progress = display.callback();
      const std::string destination = options->words.size() > 1 ? options->words[1] : "";
      const std::string digest = TRY(engine::push(store, options->words[0], destination, how));
      TRY(write_digest(options->push, digest));
      return 0;
    });
  });
}

void define_save(CLI::App& app) {
  struct Options {
    std::vector<std::string> names;
    std::string output = "-";
    std::string format = "docker-archive";
    bool several = false;
    bool quiet = false;
    bool compress = false;
    bool uncompressed = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("IMAGE", options->names, "name or id; further words are more names for it, or images with -m");
  add_option(app, "-o,--output", options->output,
             "a file, or a folder for oci-dir and docker-dir; else standard output");
  add_option(app, "--format", options->format, "docker-archive (default), oci-archive, oci-dir, docker-dir");
  add_flag(app, "-m,--multi-image-archive", options->several, "several images in one docker-archive");
  add_flag(app, "--compress", options->compress, "compress the layers of a docker-dir that are not");
  add_flag(app, "--uncompressed", options->uncompressed, "layers as plain tars, in oci-archive and oci-dir");
  add_flag(app, "-q,--quiet", options->quiet, "show no progress");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (options->names.empty()) return Error(0, "which image? see: moss save --help");
      engine::SaveOptions how{.several = options->several};
      how.format = TRY(engine::parse_archive_format(options->format).context("--format"));
      const bool folder =
          how.format == engine::ArchiveFormat::oci_dir || how.format == engine::ArchiveFormat::docker_dir;
      if (folder && options->output == "-") return Error(0, "--format ", options->format, " needs a folder: -o DIR");
      if (options->compress && how.format != engine::ArchiveFormat::docker_dir) {
        return Error(0, "--compress is for --format docker-dir");
      }
      if (options->uncompressed && !options->format.starts_with("oci-")) {
        return Error(0, "--uncompressed is for --format oci-archive and oci-dir");
      }
      if (options->output == "-" && ::isatty(STDOUT_FILENO) == 1) {
        return Error(0, "an archive is not for a terminal; name a file with -o, or redirect the output");
      }
      if (options->compress) {
        how.form.compression = engine::LayerCompression::gzip;
        how.form.only_plain = true;
      }
      if (options->uncompressed) how.form.compression = engine::LayerCompression::none;
      const Paths paths = TRY(engine::find_paths());
      const ImageStore store(paths.data);
      ProgressDisplay display(ProgressDisplay::style(options->quiet));
      how.progress = display.callback();
      TRY(engine::save(store, options->names, options->output, how));
      return 0;
    });
  });
}

}  // namespace moss::cli
