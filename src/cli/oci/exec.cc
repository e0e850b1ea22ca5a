// exec: one more process, described by a file or by options.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/supervise.hh"
#include "moss/sys/file.hh"
#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

constexpr size_t kMaxProcessBytes = 16u << 20;
// What runc says where it, and not the command, failed.
constexpr int kExecFailure = 255;

struct ExecFlags {
  std::string process_file;
  std::string cwd;
  std::vector<std::string> env;
  std::string user;
  std::vector<std::string> groups;
  std::string label;
  std::string apparmor;
  std::vector<std::string> capabilities;
  bool tty = false;
  bool no_new_privileges = false;
  bool no_subreaper = false;
  runtime::ExecOptions options;

  void declare(Arguments& arguments) {
    arguments.value("-p,--process", process_file, "FILE", "the process as config.json describes one")
        .flag("-d,--detach", options.detach, "do not wait for its end")
        .flag("-t,--tty", tty, "give it a terminal")
        .value("--cwd", cwd, "DIR", "working folder")
        .list("-e,--env", env, "NAME=VALUE", "one more environment variable")
        .value("-u,--user", user, "UID[:GID]", "user and group, as numbers")
        .list("-g,--additional-gids", groups, "GID", "one more group")
        .list("-c,--cap", capabilities, "CAP", "one more capability")
        .flag("--no-new-privs", no_new_privileges, "it shall not gain rights by execve")
        .value("--process-label", label, "LABEL", "SELinux label")
        .value("--apparmor", apparmor, "PROFILE", "AppArmor profile")
        .value("--pid-file", options.pid_file, "FILE", "write its number there")
        .value("--console-socket", options.console_socket, "PATH", "socket that gets the master of the terminal")
        .value("--pidfd-socket", options.pidfd_socket, "PATH", "socket that gets a pidfd of it")
        .number("--preserve-fds", options.preserve_fds, "keep this many descriptors beyond stdio open")
        .value("--cgroup", options.cgroup, "PATH", "a cgroup below the container's")
        .flag("--ignore-paused", options.ignore_paused, "into a paused container, too")
        .flag("--no-subreaper", no_subreaper, "moss is none")
        .stop_after(1);
  }

  Result<Ok> set_user(oci::Process& process) const {
    if (user.empty()) return Ok{};
    const auto [uid, gid] = cut(user, ':');
    const auto uid_number = parse_number<uint32_t>(uid);
    const auto gid_number = parse_number<uint32_t>(gid.value_or("0"));
    if (!uid_number || !gid_number || *uid_number == UINT32_MAX || *gid_number == UINT32_MAX) {
      return Error(0, "--user: UID or UID:GID, as numbers, not \"", printable(user), "\"");
    }
    process.user.uid = *uid_number;
    if (gid) process.user.gid = *gid_number;
    return Ok{};
  }

  // Never to the inheritable set (CVE-2022-29162).
  Result<Ok> add_capabilities(oci::Process& process) const {
    if (capabilities.empty()) return Ok{};
    if (!process.capabilities) process.capabilities.emplace();
    for (const std::string& name : capabilities) {
      for (std::vector<std::string>* set :
           {&process.capabilities->bounding, &process.capabilities->effective, &process.capabilities->permitted}) {
        if (std::find(set->begin(), set->end(), name) == set->end()) set->push_back(name);
      }
    }
    return Ok{};
  }

  Result<oci::Process> process(const runtime::Container& container, const std::vector<std::string>& words) const {
    if (!process_file.empty()) {
      // Also a shell's <(...).
      const Fd file = TRY(sys::open_at(AT_FDCWD, process_file, O_RDONLY | O_NOCTTY));
      const std::string json = TRY(sys::read_stream(file.get(), process_file, kMaxProcessBytes));
      oci::Process process = TRY(oci::decode_process(json).context(process_file));
      if (words.size() > 1) process.args.assign(words.begin() + 1, words.end());
      return process;
    }
    if (words.size() < 2) return Error(0, "no command given");
    oci::Config config = TRY(runtime::read_config(container));
    oci::Process process = std::move(config.process);
    process.args.assign(words.begin() + 1, words.end());
    process.terminal = tty;
    process.console_size.reset();
    if (winsize size; tty && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) {
      process.console_size = oci::ConsoleSize{size.ws_row, size.ws_col};
    }
    if (!cwd.empty()) process.cwd = cwd;
    // The last one of a name counts, for us as for most.
    for (const std::string& variable : env) {
      if (variable.find('=') == std::string::npos)
        return Error(0, "--env: NAME=VALUE, not \"", printable(variable), "\"");
      const std::string name = variable.substr(0, variable.find('=') + 1);
      std::erase_if(process.env, [&](const std::string& other) { return other.starts_with(name); });
      process.env.push_back(variable);
    }
    TRY(set_user(process));
    for (const std::string& group : groups) {
      const auto gid = parse_number<uint32_t>(group);
      if (!gid) return Error(0, "--additional-gids: \"", printable(group), "\" is no number");
      process.user.additional_gids.push_back(*gid);
    }
    TRY(add_capabilities(process));
    if (no_new_privileges) process.no_new_privileges = true;
    if (!label.empty()) process.selinux_label = label;
    if (!apparmor.empty()) process.apparmor_profile = apparmor;
    return process;
  }
};

}  // namespace

int oci_exec(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  ExecFlags flags;
  Arguments arguments;
  flags.declare(arguments);
  return with_arguments(
      globals, verb, arguments, words,
      [&]() -> Result<int> {
        TRY(hold_preserved(globals, flags.options.preserve_fds));
        if (arguments.words().empty()) return Error(0, "in which container? its id is missing");
        const runtime::Container container = TRY(find_container(globals, arguments.words().front()));
        flags.options.process = TRY(flags.process(container, arguments.words()));
        if (!flags.options.detach) TRY(engine::block_signals());
        runtime::Launched launched = TRY(runtime::exec_in_container(container, flags.options, globals.warnings()));
        if (flags.options.detach) return 0;
        const bool terminal = static_cast<bool>(launched.terminal);
        std::optional<engine::RawTerminal> raw;
        if (terminal) raw.emplace(STDIN_FILENO);
        const sys::Exit exit = TRY(engine::supervise(
            {
                .init = std::move(launched.init),
                .terminal = std::move(launched.terminal),
                .from_caller = terminal,
            },
            [](const std::string& line) { note(line); }));
        return exit.shell_code();
      },
      kExecFailure);
}

}  // namespace moss::cli
