// The life of a monitor: a handful of descriptors, one poll loop, and the end.
#include "src/engine/containers/monitor.hh"

#include <fcntl.h>
#include <unistd.h>

#include "moss/base/time.hh"
#include "moss/engine/container.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

Result<Ok> finish(OwnedContainer& container, ContainerState state, const IdMap& map) {
  state.status = Status::exited;
  state.pid = 0;
  state.finished = now_rfc3339();
  TRY(container.announce_end(state));
  return container.removes_itself() ? container.remove(map) : container.retire(state);
}

void become_monitor(OwnedContainer& container, Supervision supervision, std::optional<NetworkHelper> network) {
  // What the next program keeps. The order is monitor_main's.
  std::vector<int> kept{container.lock_fd(),           supervision.init.pidfd(),      supervision.terminal.get(),
                        supervision.stdout_pipe.get(), supervision.stderr_pipe.get(), supervision.log.get()};
  // The network helper stays our child across execve, and these keep it alive.
  if (network) {
    const Result<std::vector<int>> helpers = network->keep_across_exec();
    if (helpers.ok()) kept.insert(kept.end(), helpers->begin(), helpers->end());
  }
  std::vector<std::string> arguments{"moss", kMonitorArgument, container.folder(),
                                     std::to_string(supervision.init.pid())};
  for (const int fd : kept) {
    if (fd >= 0) ::fcntl(fd, F_SETFD, 0);
    arguments.push_back(std::to_string(fd));
  }
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
    (void)finish(container, loaded->state, id_map_of(container.folder()));
  }
  ::_exit(0);
}

int monitor_main(int argc, char** argv) {
  constexpr int kFirstFd = 4;
  constexpr int kFds = 6;
  if (argc < kFirstFd + kFds) return 125;
  const std::string folder = argv[2];
  std::vector<Fd> fds;
  for (int i = kFirstFd; i < argc; ++i) {
    fds.emplace_back(parse_number<int>(argv[i]).value_or(-1));
    if (fds.back()) ::fcntl(fds.back().get(), F_SETFD, FD_CLOEXEC);
  }
  const Result<sys::Exit> exit = supervise(
      {
          .init = sys::Child(parse_number<pid_t>(argv[3]).value_or(0), std::move(fds[1])),
          .terminal = std::move(fds[2]),
          .stdout_pipe = std::move(fds[3]),
          .stderr_pipe = std::move(fds[4]),
          .log = std::move(fds[5]),
          .to_caller = false,
          .long_wait = true,
      },
      {});

  const Result<Paths> paths = find_paths();
  if (!paths.ok()) return 125;
  const std::string id = folder.substr(folder.find_last_of('/') + 1);
  Result<Container> loaded = load_container(*paths, id);
  if (!loaded.ok()) return 125;
  OwnedContainer container = OwnedContainer::inherit(*paths, loaded->record, std::move(fds[0]));
  loaded->state.exit_code = exit.ok() ? exit->shell_code() : 255;
  return finish(container, loaded->state, id_map_of(folder)).ok() ? 0 : 125;
}

}  // namespace moss::engine
