// The life of a monitor: a handful of descriptors, one poll loop, and the end.
#include "src/engine/containers/monitor.hh"

#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "moss/engine/container.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfigBytes = 16u << 20;

IdMap map_of(const std::string& folder) {
  const Result<std::string> text = sys::read_file(folder + "/config.json", kMaxConfigBytes);
  if (!text.ok()) return {};
  const Result<oci::Config> config = oci::decode_config(*text);
  if (!config.ok()) return {};
  return {config->linux.uid_mappings, config->linux.gid_mappings};
}

}  // namespace

Result<Ok> finish(OwnedContainer& container, ContainerState state, const IdMap& map) {
  state.status = Status::exited;
  state.pid = 0;
  state.finished = now_rfc3339();
  TRY(container.announce_end(state));
  return container.removes_itself() ? container.remove(map) : container.retire(state);
}

void become_monitor(OwnedContainer& container, Supervision supervision, NetworkHelperHolder network) {
  // What the next program keeps. The order is monitor_main's.
  const int kept[] = {container.lock_fd(),           supervision.init.pidfd(),        supervision.terminal.get(),
                      supervision.stdout_pipe.get(), supervision.stderr_pipe.get(),   supervision.log.get()};
  std::vector<std::string> arguments{"moss", kMonitorArgument, container.folder(), container.live(),
                                     std::to_string(supervision.init.pid())};
  for (const int fd : kept) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
    arguments.push_back(std::to_string(fd));
  }
  for (const int fd : network.keep_across_exec()) arguments.push_back(std::to_string(fd));
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  if (const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC); null >= 0) {
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  }
  (void)!::chdir("/");
  ::execv("/proc/self/exe", argv.data());
  // Without the new image the old one can still do the work.
  const Result<sys::Exit> exit = supervise(std::move(supervision), {});
  Result<Container> loaded = load_container(container.paths(), container.id());
  if (loaded.ok()) {
    loaded->state.exit_code = exit.ok() ? exit->shell_code() : 255;
    (void)finish(container, loaded->state, map_of(container.folder()));
  }
  ::_exit(0);
}

int monitor_main(int argc, char** argv) {
  constexpr int kFirstFd = 5;
  constexpr int kFds = 6;
  if (argc < kFirstFd + kFds) return 125;
  const std::string folder = argv[2];
  const std::string live = argv[3];
  const auto fd_at = [&](int index) { return Fd(parse_number<int>(argv[kFirstFd + index]).value_or(-1)); };
  Fd lock = fd_at(0);
  Supervision supervision{
      .init = sys::Child(parse_number<pid_t>(argv[4]).value_or(0), fd_at(1)),
      .terminal = fd_at(2),
      .stdout_pipe = fd_at(3),
      .stderr_pipe = fd_at(4),
      .log = fd_at(5),
      .to_caller = false,
      .proxy_signals = true,
  };
  for (int fd = 3; fd < argc + 8; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  const Result<sys::Exit> exit = supervise(std::move(supervision), {});

  const Result<Paths> paths = find_paths();
  if (!paths.ok()) return 125;
  const std::string id = folder.substr(folder.find_last_of('/') + 1);
  Result<Container> loaded = load_container(*paths, id);
  if (!loaded.ok()) return 125;
  OwnedContainer container = OwnedContainer::inherit(*paths, loaded->record, std::move(lock));
  loaded->state.exit_code = exit.ok() ? exit->shell_code() : 255;
  return finish(container, loaded->state, map_of(folder)).ok() ? 0 : 125;
}

}  // namespace moss::engine
