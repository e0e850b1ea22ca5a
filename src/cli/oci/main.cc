// The OCI runtime's command line: options before the verb, the table of verbs.
#include <signal.h>

#include <algorithm>

#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"
#include "src/cli/oci_command.hh"

namespace moss::cli {

namespace {

constexpr OciVerb kVerbs[] = {
    {"create", "[OPTIONS] ID", "make a container that waits for its start", oci_create},
    {"start", "ID", "start a created container", oci_start},
    {"run", "[OPTIONS] ID", "create, start, wait and delete, in one", oci_run},
    {"exec", "[OPTIONS] ID COMMAND [ARGUMENT...]", "run one more process in a container", oci_exec},
    {"state", "ID", "print a container's state as JSON", oci_state},
    {"list", "[OPTIONS]", "list the containers", oci_list},
    {"ps", "[OPTIONS] ID [PS OPTION...]", "list a container's processes", oci_ps},
    {"kill", "[OPTIONS] ID [SIGNAL]", "send a signal to a container", oci_kill},
    {"delete", "[OPTIONS] ID", "remove a stopped container", oci_delete},
    {"pause", "ID", "freeze a container's processes", oci_pause},
    {"resume", "ID", "thaw them", oci_resume},
    {"update", "[OPTIONS] ID", "change a container's limits", oci_update},
    {"events", "[OPTIONS] ID", "print statistics and kills for want of memory", oci_events},
    {"mounts", "add|remove ID FILE", "change a running container's mounts", oci_mounts},
    {"features", "", "print what this runtime can do, as JSON", oci_features},
    {"spec", "[OPTIONS]", "write a config.json to begin with", oci_spec},
    {"checkpoint", "", "not supported", oci_checkpoint},
    {"restore", "", "not supported", oci_restore},
};

// In the form of the name we are called by: clients look for "runc version" and the like, and split at each line that
// has the word "version".
std::string version_text(const OciGlobals& globals) {
  const std::string name = globals.called_as == "moss oci" ? "moss-oci" : globals.called_as;
  return cat(name, " version ", kVersion, "\nspec: ", oci::kSpecVersion, "\n");
}

Arguments global_arguments(OciGlobals& globals, bool& version) {
  Arguments arguments;
  arguments.value("--root", globals.root, "DIR", "where containers are kept")
      .value("--log", globals.log, "DEST", "where a failure is told: PATH, file:PATH, journald:NAME, syslog:NAME")
      .value("--log-format", globals.log_format, "FORMAT", "text or json")
      .value("--log-level", globals.log_level, "LEVEL", "error, warning or debug")
      .flag("--debug", globals.debug, "tell more in the log")
      .flag("--systemd-cgroup", globals.systemd_cgroup, "let systemd make the cgroup")
      .value("--cgroup-manager", globals.cgroup_manager, "NAME", "cgroupfs, systemd or disabled")
      .flag("-v,-V,--version", version, "print the version");
  return arguments;
}

std::string usage(const OciGlobals& globals, const Arguments& arguments) {
  std::string text = cat("Usage: ", globals.called_as, " [OPTIONS] VERB ...\n\n");
  for (const OciVerb& verb : kVerbs) {
    std::string name = verb.name;
    name.resize(12, ' ');
    text += cat("  ", name, verb.summary, "\n");
  }
  return cat(text, "\nOptions:\n", arguments.help(), "  --rootless[=true|false|auto]    not as the machine's root\n");
}

Result<Ok> check(const OciGlobals& globals) {
  if (globals.log_format != "text" && globals.log_format != "json") {
    return Error(0, "--log-format: text or json, not \"", printable(globals.log_format), "\"");
  }
  if (!globals.rootless.empty() && globals.rootless != "true" && globals.rootless != "false" &&
      globals.rootless != "auto") {
    return Error(0, "--rootless: true, false or auto, not \"", printable(globals.rootless), "\"");
  }
  return Ok{};
}

}  // namespace

Result<std::string> OciGlobals::state_root() const { return runtime::state_root(root, rootless == "true"); }

Result<runtime::CgroupManager> OciGlobals::manager() const {
  if (systemd_cgroup) return runtime::CgroupManager::systemd;
  if (cgroup_manager.empty()) return runtime::CgroupManager::cgroupfs;
  if (const auto known = runtime::parse_cgroup_manager(cgroup_manager)) return *known;
  return Error(0, "--cgroup-manager: cgroupfs, systemd or disabled, not \"", printable(cgroup_manager), "\"");
}

Result<std::string> only_id(const Arguments& arguments) {
  if (arguments.words().empty()) return Error(0, "which container? its id is missing");
  if (arguments.words().size() > 1)
    return Error(0, "one id is wanted; what is \"", printable(arguments.words()[1]), "\"?");
  return arguments.words()[0];
}

Result<Ok> hold_preserved(const OciGlobals& globals, uint32_t preserve) {
  const std::string missing = TRY(runtime::hold_preserved(preserve));
  if (!missing.empty()) globals.warnings()(cat("--preserve-fds ", preserve, ": not open: ", missing));
  return Ok{};
}

Result<runtime::Container> find_container(const OciGlobals& globals, const std::string& id) {
  const std::string root = TRY(globals.state_root());
  return runtime::find_container(root, id);
}

Result<runtime::Container> only_container(const OciGlobals& globals, const Arguments& arguments) {
  const std::string id = TRY(only_id(arguments));
  return find_container(globals, id);
}

int with_arguments(const OciGlobals& globals, const OciVerb& verb, Arguments& arguments, const Words& words,
                   const std::function<Result<int>()>& body, int failure_code) {
  globals.tell_debug(
      cat("moss ", kVersion, ": ", verb.name, " ", join(std::vector<std::string>(words.begin(), words.end()), " ")));
  if (const Result<Ok> parsed = arguments.parse(words); !parsed.ok()) {
    return oci_fail(globals,
                    Error(0, parsed.error().message(), "; see: ", globals.called_as, " ", verb.name, " --help"),
                    failure_code);
  }
  if (arguments.wants_help()) {
    print(
        cat(verb.summary, "\n\nUsage: ", globals.called_as, " ", verb.name, " ", verb.usage, "\n\n", arguments.help()));
    return 0;
  }
  const Result<int> code = body();
  return code.ok() ? *code : oci_fail(globals, code.error(), failure_code);
}

int oci_main(std::string_view called_as, int argc, char** argv) {
  // What is before the verb is ours, the rest the verb's.
  OciGlobals globals{.called_as = std::string(called_as)};
  bool version = false;
  Arguments arguments = global_arguments(globals, version);
  Words ahead;
  int at = 1;
  // A value may follow its option as a word of its own, so it cannot be seen which word is the verb without parsing.
  for (; at < argc; ++at) {
    const std::string_view word = argv[at];
    if (!word.starts_with('-')) break;
    const auto [name, given] = cut(word, '=');
    if (name == "--rootless") {
      globals.rootless = given.value_or("true");
      continue;
    }
    ahead.push_back(word);
    static constexpr std::string_view kWithValue[] = {"--root", "--log", "--log-format", "--log-level",
                                                      "--cgroup-manager"};
    const bool has_value = std::find(std::begin(kWithValue), std::end(kWithValue), name) != std::end(kWithValue);
    if (has_value && !given && at + 1 < argc) ahead.emplace_back(argv[++at]);
  }
  if (const Result<Ok> parsed = arguments.parse(ahead); !parsed.ok()) {
    return oci_fail(globals, Error(0, parsed.error().message(), "; see: ", called_as, " --help"));
  }
  if (const Result<Ok> checked = check(globals); !checked.ok()) return oci_fail(globals, checked.error());
  if (version) {
    print(version_text(globals));
    return 0;
  }
  const std::string_view name = at < argc ? argv[at] : "help";
  if (arguments.wants_help() || name == "help") {
    print(usage(globals, arguments));
    return 0;
  }
  for (const OciVerb& verb : kVerbs) {
    if (name != verb.name) continue;
    return verb.run(globals, verb, Words(argv + at + 1, argv + argc));
  }
  return oci_fail(globals, Error(0, "unknown verb \"", printable(name), "\"; see: ", called_as, " --help"));
}

}  // namespace moss::cli
