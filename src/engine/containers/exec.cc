// moss exec: one more process in a running container.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "moss/engine/container.hh"
#include "moss/engine/supervise.hh"
#include "moss/runtime/capabilities.hh"
#include "moss/runtime/launch.hh"
#include "moss/sys/file.hh"
#include "moss/sys/path.hh"
#include "src/engine/containers/environment.hh"
#include "src/engine/containers/insider.hh"
#include "src/engine/containers/policy.hh"
#include "src/engine/containers/store.hh"
#include "src/engine/containers/users.hh"
#include "src/engine/containers/volumes.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfigBytes = 16u << 20;
constexpr size_t kMaxPasswdBytes = 4u << 20;

// Its namespaces leave a process before its end can be seen.
bool is_ending(const Insider& insider) {
  const Result<bool> ended = ends_within(insider.pidfd.get(), 0);
  char name[64];
  return (ended.ok() && *ended) ||
         (::readlink(cat("/proc/", insider.pid, "/ns/mnt").c_str(), name, sizeof name) < 0 && errno == ENOENT);
}

// The container's own /etc/passwd and /etc/group, read as data through its root.
Result<ResolvedUser> resolve_in_container(pid_t pid, const std::string& user) {
  const Fd root = TRY(sys::open_at(AT_FDCWD, cat("/proc/", pid, "/root"), O_PATH | O_DIRECTORY));
  const auto read = [&](const char* path) -> Result<std::string> {
    Result<std::string> text = sys::read_file_beneath(root.get(), path, kMaxPasswdBytes);
    if (text.ok() || text.error().code() != ENOENT) return text;
    return std::string();
  };
  const std::string passwd = TRY(read("/etc/passwd"));
  const std::string group = TRY(read("/etc/group"));
  return resolve_user(user, passwd, group, {});
}

Result<oci::Process> process_of(pid_t pid, const ExecOptions& options, oci::Process process) {
  process.args = options.command;
  process.terminal = options.terminal;
  process.console_size.reset();
  if (winsize size; options.terminal && ::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row != 0) {
    process.console_size = oci::ConsoleSize{size.ws_row, size.ws_col};
  }
  Environment environment(std::move(process.env));
  if (!options.user.empty()) {
    const ResolvedUser user = TRY(resolve_in_container(pid, options.user));
    process.user.uid = user.uid;
    process.user.gid = user.gid;
    process.user.additional_gids = user.groups;
    environment.set("HOME", user.home);
    if (user.uid != 0 && process.capabilities) {
      process.capabilities->effective.clear();
      process.capabilities->permitted.clear();
      process.capabilities->inheritable.clear();
      process.capabilities->ambient.clear();
    } else if (process.capabilities) {
      process.capabilities->effective = process.capabilities->permitted = process.capabilities->bounding;
    }
  }
  if (options.privileged) {
    oci::Capabilities all;
    all.bounding = all.effective = all.permitted = runtime::all_capabilities();
    process.capabilities = std::move(all);
  }
  if (options.terminal) environment.set("TERM", "xterm");
  for (const std::string& file : options.env_files) TRY(environment.add_file(file));
  for (const std::string& variable : options.env) TRY(environment.add_from_caller(variable).context("-e"));
  process.env = std::move(environment).take();
  if (!options.working_dir.empty()) {
    if (!options.working_dir.starts_with('/') || clean_path(options.working_dir).starts_with("/proc/")) {
      return Error(0, "working folder ", printable(options.working_dir), " is not absolute, or lies in /proc");
    }
    process.cwd = options.working_dir;
  }
  return process;
}

}  // namespace

Result<int> exec_in_container(const ExecOptions& options, const Notice& notice) {
  const Paths paths = TRY(find_paths());
  const Container container = TRY(find_container(paths, options.container));
  const Insider insider = TRY(find_insider(container));
  const std::string config_path = container.folder + "/config.json";
  const std::optional<std::string> text = TRY(sys::read_file_if_exists(config_path, kMaxConfigBytes));
  const auto not_running = [&] { return Error(0, "container ", container.record.name, " is not running"); };
  // Every running one has a config; this one has been removed by now.
  if (!text) return not_running();
  oci::Config config = TRY(oci::decode_config(*text).context(config_path));
  const oci::Process process = TRY(process_of(insider.pid, options, std::move(config.process)));
  SeccompChoice seccomp;
  if (!options.privileged) {
    seccomp =
        TRY(seccomp_by_name(container.record.seccomp_profile,
                            process.capabilities ? process.capabilities->bounding : std::vector<std::string>{}, paths));
  }
  const sys::Host host = TRY(sys::probe_host());
  const bool can_set_groups = !IdMap{config.linux.uid_mappings, config.linux.gid_mappings}.is_single();
  const runtime::Plan plan = TRY(runtime::plan_exec(process, host,
                                                    {
                                                        .preserve_fds = options.preserve_fds,
                                                        .seccomp = std::move(seccomp.filter),
                                                        .seccomp_flags = seccomp.flags,
                                                        .can_set_groups = can_set_groups,
                                                    }));
  Fd null;
  if (!options.interactive || options.detach) null = TRY(sys::open_at(AT_FDCWD, "/dev/null", O_RDWR));
  TRY(block_signals());
  Result<runtime::Launched> entered = runtime::launch_exec(plan, insider.pid, insider.pidfd.get(),
                                                           {
                                                               .stdin_fd = null.get(),
                                                               .stdout_fd = options.detach ? null.get() : -1,
                                                               .stderr_fd = options.detach ? null.get() : -1,
                                                           });
  if (!entered.ok() && is_ending(insider)) return not_running();
  runtime::Launched launched = TRY(std::move(entered).context("exec in ", container.record.name));
  if (options.detach) {
    // Process 1's child from here on; it needs nobody outside.
    launched.init.release();
    return 0;
  }
  const std::optional<RawTerminal> raw =
      options.terminal && options.interactive ? std::optional<RawTerminal>(std::in_place, STDIN_FILENO) : std::nullopt;
  const sys::Exit exit = TRY(supervise(
      {
          .init = std::move(launched.init),
          .terminal = std::move(launched.terminal),
          .from_caller = options.terminal && options.interactive,
      },
      notice));
  return exit.shell_code();
}

}  // namespace moss::engine
