// moss run, moss exec, and the plan behind a run.
#include <unistd.h>

#include <memory>

#include "moss/cli/cli.hh"
#include "moss/engine/container.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/sys/host.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/progress.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::ExecOptions;
using engine::RunOptions;

engine::RunServices run_services(bool quiet) {
  return {
      .notice = [](const std::string& line) { note(line); },
      .pull = [quiet](const std::string& image, const RunOptions& options) -> Result<Ok> {
        const engine::Paths paths = TRY(engine::find_paths());
        const sys::Host host = TRY(sys::probe_host());
        engine::ImageStore store(paths.data);
        ProgressDisplay display(ProgressDisplay::style(quiet));
        engine::PullOptions pull{.map = TRY(engine::default_id_map(host)).map};
        if (!options.platform.empty())
          pull.platform = TRY(engine::parse_platform(options.platform).context("--platform"));
        pull.progress = display.callback();
        TRY(engine::pull(store, image, pull));
        return Ok{};
      },
  };
}

namespace {

struct RunArguments {
  RunOptions run;
  std::optional<std::string> entrypoint;
};

void add_process_options(CLI::App& app, RunArguments& arguments) {
  RunOptions& o = arguments.run;
  add_flag(app, "-i,--interactive", o.interactive, "keep stdin open");
  add_flag(app, "-t,--tty", o.terminal, "give the container a terminal");
  add_option(app, "--entrypoint", arguments.entrypoint, "replace the image's entrypoint");
  add_list(app, "-e,--env", o.env, "set a variable: NAME=VALUE, or NAME to take yours");
  add_list(app, "--env-file", o.env_files, "read variables from a file");
  add_option(app, "-w,--workdir", o.working_dir, "working folder inside");
  add_option(app, "-u,--user", o.user, "run as NAME or UID, with :GROUP or :GID");
  add_list(app, "--group-add", o.group_add, "add a group");
  add_option(app, "--umask", o.umask, "file mode mask, octal");
  add_flag(app, "--init", o.built_in_init, "reap and pass on signals as process 1");
  add_list(app, "--ulimit", o.ulimits, "set a limit: NAME=SOFT[:HARD], or host");
  add_option(app, "--stop-signal", o.stop_signal, "signal that stops it");
  add_option(app, "--preserve-fds", o.preserve_fds, "pass descriptors 3 to 2+N on");
}

void add_container_options(CLI::App& app, RunOptions& o) {
  add_flag(app, "--rm", o.remove, "remove the container when it ends");
  add_option(app, "--name", o.name, "name it");
  add_flag(app, "--replace", o.replace, "remove an older container of that name first");
  add_list(app, "-l,--label", o.labels, "attach NAME=VALUE");
  add_list(app, "--annotation", o.annotations, "put NAME=VALUE into the bundle");
  add_option(app, "--cidfile", o.cidfile, "write the id to a file");
  add_option(app, "--pidfile", o.pidfile, "write the process id to a file");
  add_flag(app, "-q,--quiet", o.quiet, "show no progress while pulling");
  add_option(app, "--pull", o.pull_policy, "fetch the image: always, missing, never or newer");
  add_option(app, "--platform", o.platform, "choose from an image of several: OS/ARCH[/VARIANT]");
  add_flag(app, "--rootfs", o.rootfs, "IMAGE is a folder with a root filesystem; FOLDER:O leaves it as it is");
}

void add_filesystem_options(CLI::App& app, RunOptions& o) {
  add_list(app, "-v,--volume", o.volumes, "bind HOST-PATH:PATH[:OPTIONS]");
  add_list(app, "--mount", o.mounts, "type=bind|tmpfs,source=…,destination=…[,…]");
  add_list(app, "--tmpfs", o.tmpfs, "mount a tmpfs at PATH[:OPTIONS]");
  add_flag(app, "--read-only", o.read_only, "make the root read-only");
  add_option(app, "--shm-size", o.shm_size, "size of /dev/shm (64m)");
}

void add_isolation_options(CLI::App& app, RunOptions& o) {
  add_option(app, "--network,--net", o.network, "private, host or none");
  add_list(app, "-p,--publish", o.publish, "reach a port inside: [[IP:]HOST-PORT:]PORT[/udp]");
  add_option(app, "-h,--hostname", o.hostname, "host name inside");
  add_list(app, "--cap-add", o.cap_add, "add a capability, or all");
  add_list(app, "--cap-drop", o.cap_drop, "drop a capability, or all");
  add_list(app, "--security-opt", o.security_opts,
           "seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL");
  add_flag(app, "--privileged", o.privileged, "every right you have yourself, and none more");
  add_option(app, "--userns", o.userns, "host, private, keep-id or keep-id:uid=N,gid=N");
  add_list(app, "--uidmap", o.uidmap, "map users INSIDE:YOURS:COUNT");
  add_list(app, "--gidmap", o.gidmap, "map groups INSIDE:YOURS:COUNT");
  add_flag(app, "--allow-groups", o.allow_groups, "run also where a group of yours opens the host's secrets");
  add_option(app, "--pid", o.pid, "private or host");
  add_option(app, "--ipc", o.ipc, "private, shareable or host");
  add_option(app, "--uts", o.uts, "private or host");
  add_option(app, "--cgroupns", o.cgroupns, "private or host");
  add_list(app, "--sysctl", o.sysctls, "set a kernel parameter of the container's namespaces");
}

// --entrypoint takes a word, or a JSON list of words, as Podman does.
Result<std::vector<std::string>> parse_entrypoint(const std::string& text) {
  if (text.empty()) return std::vector<std::string>{};
  if (!text.starts_with('[')) return std::vector<std::string>{text};
  return parse_json_words(text).context("--entrypoint");
}

Result<Ok> complete(const CLI::App& app, RunArguments& arguments) {
  std::vector<std::string> words = TRY(words_after_options(app, "which image?"));
  if (words.empty()) return Error(0, "which image? see: moss run --help");
  arguments.run.image = words.front();
  arguments.run.command.assign(words.begin() + 1, words.end());
  if (arguments.entrypoint) arguments.run.entrypoint = TRY(parse_entrypoint(*arguments.entrypoint));
  return Ok{};
}

std::shared_ptr<RunArguments> define_run_options(CLI::App& app) {
  app.prefix_command();
  auto arguments = std::make_shared<RunArguments>();
  add_process_options(app, *arguments);
  add_container_options(app, arguments->run);
  add_filesystem_options(app, arguments->run);
  add_isolation_options(app, arguments->run);
  return arguments;
}

}  // namespace

// Scripts ask for -it by habit: the container gets its terminal, the caller is told why nothing is as expected.
void note_missing_terminal(bool terminal, bool interactive) {
  if (terminal && interactive && ::isatty(STDIN_FILENO) == 0) {
    note("the input is no terminal, so -i and -t together may not do what you expect; leave out -t");
  }
}

void define_run(CLI::App& app) {
  auto arguments = define_run_options(app);
  add_flag(app, "-d,--detach", arguments->run.detach, "leave it running and print its id");
  app.callback([&app, arguments] {
    finish_with([&]() -> Result<int> {
      TRY(complete(app, *arguments));
      const RunOptions& options = arguments->run;
      if (!options.detach) note_missing_terminal(options.terminal, options.interactive);
      return engine::run_container(options, run_services(options.quiet), [&](const std::string& id) {
        if (options.detach) print(id + "\n");
      });
    });
  });
}

void define_debug(CLI::App& app) {
  // moss debug plan [OPTIONS OF RUN] IMAGE …: the word "plan" stands before the options.
  CLI::App* plan = app.add_subcommand("plan", "the steps of a launch");
  auto arguments = define_run_options(*plan);
  plan->callback([plan, arguments] {
    finish_with([&]() -> Result<int> {
      TRY(complete(*plan, *arguments));
      print(TRY(engine::explain_run(arguments->run, run_services(true))));
      return 0;
    });
  });
  app.require_subcommand(1);
}

void define_exec(CLI::App& app) {
  app.prefix_command();
  auto options = std::make_shared<ExecOptions>();
  add_flag(app, "-d,--detach", options->detach, "leave it running");
  add_flag(app, "-i,--interactive", options->interactive, "keep stdin open");
  add_flag(app, "-t,--tty", options->terminal, "give it a terminal");
  add_flag(app, "--privileged", options->privileged, "every capability of the container's user namespace");
  add_option(app, "-u,--user", options->user, "run as NAME or UID, with :GROUP or :GID");
  add_option(app, "-w,--workdir", options->working_dir, "working folder inside");
  add_list(app, "-e,--env", options->env, "set a variable: NAME=VALUE, or NAME to take yours");
  add_list(app, "--env-file", options->env_files, "read variables from a file");
  add_option(app, "--preserve-fds", options->preserve_fds, "pass descriptors 3 to 2+N on");
  auto latest = std::make_shared<bool>(false);
  add_flag(app, "-l,--latest", *latest, "in the newest container");
  app.callback([&app, options, latest] {
    finish_with([&]() -> Result<int> {
      std::vector<std::string> words = TRY(words_after_options(app, "in which container?"));
      if (*latest) {
        const engine::Paths paths = TRY(engine::find_paths());
        options->container = TRY(engine::latest_container(paths)).record.id;
      } else {
        options->container = words.front();
        words.erase(words.begin());
      }
      if (words.empty()) return Error(0, "which command? moss exec CONTAINER COMMAND");
      options->command = words;
      if (!options->detach) note_missing_terminal(options->terminal, options->interactive);
      return engine::exec_in_container(*options, [](const std::string& line) { note(line); });
    });
  });
}

}  // namespace moss::cli
