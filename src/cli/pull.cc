// moss pull.
#include "moss/engine/pull.hh"

#include <memory>

#include "moss/engine/search.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/progress.hh"
#include "src/cli/registry_options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

namespace {

struct PullArguments {
  std::vector<std::string> names;
  bool quiet = false;
  bool all_tags = false;
  std::string platform;
  std::string arch;
  std::string os;
  std::string variant;
  std::string policy = "always";
  std::string format;
  RetryWords retry;
  std::vector<std::string> decryption_keys;
  bool no_content_trust = false;
  engine::PullOptions pull;
};

bool is_archive(const std::string& name) {
  for (const char* transport :
       {"oci:", "oci-archive:", "docker-archive:", "dir:", "docker-daemon:", "containers-storage:"}) {
    if (name.starts_with(transport)) return true;
  }
  return false;
}

Result<Ok> read_arguments(PullArguments& a) {
  if (a.names.empty()) return Error(0, "which image? see: moss pull --help");
  if (!a.decryption_keys.empty()) {
    return Error(0, "--decryption-key is not supported: moss has no encrypted images; decrypt it with skopeo copy");
  }
  if (const std::string platform = platform_text(a.os, a.arch, a.variant); !platform.empty()) {
    if (!a.platform.empty()) return Error(0, "--platform and --arch, --os or --variant exclude each other");
    a.platform = platform;
  }
  if (!a.platform.empty()) a.pull.platform = TRY(engine::parse_platform(a.platform).context("--platform"));
  a.pull.policy = TRY(engine::parse_pull_policy(a.policy).context("--policy"));
  TRY(read_retries(a.retry, a.pull.retries, a.pull.retry_delay_ms));
  if (!a.format.empty() && a.format != "json") return Error(0, "--format ", printable(a.format), ": expected json");
  return Ok{};
}

Result<Ok> pull_one(engine::ImageStore& store, const std::string& name, PullArguments& a) {
  const bool lines = a.format == "json" && !a.quiet;
  ProgressDisplay display(lines ? ProgressDisplay::Style::json : ProgressDisplay::style(a.quiet));
  a.pull.progress = display.callback();
  std::vector<std::string> names{name};
  if (a.all_tags) names = TRY(engine::list_tagged_names(name, a.pull.access));
  for (const std::string& one : names) {
    const engine::Image image = TRY(engine::pull(store, one, a.pull));
    if (a.format == "json") {
      print(pulled_line(one, image.id));
    } else {
      display.finish();
      print(image.id + "\n");
    }
  }
  return Ok{};
}

Result<int> run_pull(PullArguments& a) {
  TRY(read_arguments(a));
  const engine::Paths paths = TRY(engine::find_paths());
  engine::ImageStore store(paths.data);
  a.pull.map = TRY(usual_map());
  int code = 0;
  // One that fails does not keep the others away.
  for (const std::string& name : a.names) {
    Result<Ok> pulled = Ok{};
    if (is_archive(name)) {
      if (a.all_tags) return Error(0, "--all-tags is for registries; ", printable(name), " is a file");
      const Result<int> loaded = load_images(name, a.quiet, a.platform, a.pull.signature_policy);
      if (!loaded.ok()) pulled = loaded.error();
    } else {
      pulled = pull_one(store, name, a);
    }
    if (!pulled.ok()) code = fail(pulled.error());
  }
  return code;
}

}  // namespace

std::string platform_text(const std::string& os, const std::string& arch, const std::string& variant) {
  if (os.empty() && arch.empty() && variant.empty()) return {};
  return cat(os.empty() ? "linux" : os, "/", arch.empty() ? engine::host_platform().architecture : arch,
             variant.empty() ? "" : "/" + variant);
}

void define_pull(CLI::App& app) {
  auto a = std::make_shared<PullArguments>();
  app.add_option("IMAGE", a->names,
                 "a name, or oci:DIR, dir:DIR, oci-archive:FILE, docker-archive:FILE, docker-daemon:NAME, "
                 "containers-storage:NAME");
  add_flag(app, "-q,--quiet", a->quiet, "print only the image's id");
  add_flag(app, "-a,--all-tags", a->all_tags, "every tag of the repository");
  add_option(app, "--policy", a->policy, "when to ask the registry: always, missing, newer, never");
  add_option(app, "--platform", a->platform, "choose from an image of several: OS/ARCH[/VARIANT]");
  add_option(app, "--arch", a->arch, "the same by architecture");
  add_option(app, "--os", a->os, "the same by operating system");
  add_option(app, "--variant", a->variant, "the same by the architecture's variant, such as v7");
  add_registry_options(app, a->pull.access);
  add_retry_options(app, a->retry);
  add_option(app, "--format", a->format, "json: what happens as lines of JSON, on the standard output");
  add_option(app, "--signature-policy", a->pull.signature_policy,
             "a policy.json in place of the user's or the system's");
  add_flag(app, "--disable-content-trust", a->no_content_trust, "accepted for Docker's sake; it changes nothing");
  add_list(app, "--decryption-key", a->decryption_keys, "not supported");
  app.callback([a] { finish_with([&] { return run_pull(*a); }); });
}

}  // namespace moss::cli
