// create, start, run, state, kill, delete.
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/supervise.hh"
#include "moss/sys/ids.hh"
#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

std::string notify_socket() {
  const char* name = ::getenv("NOTIFY_SOCKET");
  return name == nullptr ? "" : name;
}

struct CreateFlags {
  runtime::CreateOptions options;
  bool no_new_keyring = false;
  bool no_subreaper = false;

  void declare(Arguments& arguments) {
    arguments.value("-b,--bundle", options.bundle, "DIR", "folder with config.json (.)")
        .value("-f,--config", options.config_file, "FILE", "another file than BUNDLE/config.json")
        .value("--pid-file", options.pid_file, "FILE", "write the number of the container's process there")
        .value("--console-socket", options.console_socket, "PATH", "socket that gets the master of the terminal")
        .value("--pidfd-socket", options.pidfd_socket, "PATH", "socket that gets a pidfd of the container's process")
        .number("--preserve-fds", options.preserve_fds, "keep this many descriptors beyond stdio open")
        .flag("--no-pivot", options.no_pivot,
              "chroot instead of pivot_root, for a host whose root is a ramdisk; the "
              "host's files stay mounted below, out of reach for who may not unmount")
        .flag("--no-new-keyring", no_new_keyring, "keep the caller's session keyring")
        .flag("--no-subreaper", no_subreaper, "moss is none");
  }

  Result<Ok> finish(const OciGlobals& globals, const Arguments& arguments) {
    if (const char* listen = ::getenv("LISTEN_FDS")) {
      options.listen_fds = parse_number<uint32_t>(listen).value_or(0);
      options.preserve_fds = std::max(options.preserve_fds, options.listen_fds);
    }
    TRY(hold_preserved(globals, options.preserve_fds));
    options.id = TRY(only_id(arguments));
    options.root = TRY(globals.state_root());
    options.notify_socket = notify_socket();
    options.new_keyring = !no_new_keyring;
    options.cgroup_manager = TRY(globals.manager());
    options.rootless = globals.rootless == "true";
    if (options.bundle.empty()) options.bundle = ".";
    return Ok{};
  }
};

// What the caller left open is not the container's, nor may it wait for us to close it.
void close_strangers(uint32_t preserve) { ::syscall(SYS_close_range, 3 + preserve, ~0U, 0); }

}  // namespace

int oci_create(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  CreateFlags flags;
  Arguments arguments;
  flags.declare(arguments);
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    TRY(flags.finish(globals, arguments));
    close_strangers(flags.options.preserve_fds);
    TRY(runtime::create_container(flags.options, globals.warnings()));
    return 0;
  });
}

int oci_run(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  CreateFlags flags;
  bool detach = false;
  bool keep = false;
  Arguments arguments;
  flags.declare(arguments);
  arguments.flag("-d,--detach", detach, "do not wait for its end")
      .flag("--keep", keep, "keep the state of the stopped container");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    TRY(flags.finish(globals, arguments));
    close_strangers(flags.options.preserve_fds);
    if (detach) {
      TRY(runtime::run_detached(flags.options, globals.warnings()));
      return 0;
    }
    TRY(engine::block_signals());
    runtime::RunningContainer container = TRY(runtime::RunningContainer::start(flags.options, globals.warnings()));
    const bool terminal = static_cast<bool>(container.launched().terminal);
    std::optional<engine::RawTerminal> raw;
    if (terminal) raw.emplace(STDIN_FILENO);
    const sys::Exit exit = TRY(engine::supervise(
        {
            .init = std::move(container.launched().init),
            .terminal = std::move(container.launched().terminal),
            .from_caller = terminal,
        },
        [](const std::string& line) { note(line); }));
    raw.reset();
    TRY(container.finish(keep));
    return exit.shell_code();
  });
}

int oci_start(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    TRY(runtime::start_container(container, notify_socket(), globals.warnings()));
    return 0;
  });
}

int oci_state(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const runtime::Container container = TRY(only_container(globals, arguments));
    if (container.record.pid == 0 && container.status == runtime::Status::stopped) {
      return Error(0, "container \"", container.id,
                   "\" does not exist: its creation was cut short; delete --force clears the rest");
    }
    oci::State state = container.state();
    state.owner = sys::user_name(container.record.owner);
    print(oci::encode_state(state));
    return 0;
  });
}

namespace {

// The ids a word means: itself or, with --regex, all that match it.
Result<std::vector<std::string>> ids_of(const std::string& root, const std::string& word, bool regex) {
  if (!regex) return std::vector<std::string>{word};
  std::vector<std::string> ids = TRY(runtime::list_containers(root));
  regex_t pattern;
  if (::regcomp(&pattern, word.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    return Error(0, "--regex: \"", printable(word), "\" is no regular expression");
  }
  std::erase_if(ids, [&](const std::string& id) { return ::regexec(&pattern, id.c_str(), 0, nullptr, 0) != 0; });
  ::regfree(&pattern);
  return ids;
}

}  // namespace

int oci_kill(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  bool all = false;
  bool regex = false;
  Arguments arguments;
  arguments.flag("-a,--all", all, "every process of the container")
      .flag("-r,--regex", regex, "ID is a regular expression, for all containers it matches");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const std::vector<std::string>& given = arguments.words();
    if (given.empty() || given.size() > 2) return Error(0, "kill takes the container's id and a signal");
    const std::string name = given.size() == 2 ? given[1] : "TERM";
    const int signal = name == "0" ? 0 : TRY(engine::parse_signal(name));  // 0: is it there?
    const std::string root = TRY(globals.state_root());
    for (const std::string& id : TRY(ids_of(root, given[0], regex))) {
      const runtime::Container container = TRY(runtime::find_container(root, id));
      TRY(runtime::kill_container(container, signal, all));
    }
    return 0;
  });
}

int oci_delete(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  bool force = false;
  bool regex = false;
  Arguments arguments;
  arguments.flag("-f,--force", force, "kill it first, and be content where it is not there")
      .flag("-r,--regex", regex, "ID is a regular expression, for all containers it matches");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const std::string word = TRY(only_id(arguments));
    const std::string root = TRY(globals.state_root());
    for (const std::string& id : TRY(ids_of(root, word, regex))) {
      TRY(runtime::delete_container(root, id, force, globals.warnings()));
    }
    return 0;
  });
}

}  // namespace moss::cli
