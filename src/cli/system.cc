// What this moss is and what this host can do.
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <memory>

#include "moss/cli/report.hh"
#include "moss/engine/container.hh"
#include "moss/engine/info.hh"
#include "moss/engine/mounts.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/process.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using format::Object;
using format::parse_format;
using format::parse_json;
using format::Template;
using format::Value;

namespace {

// "host" may be asked for as ".Host" too: Podman's manual writes the names of Go's structures.
Value with_go_names(const Value& value) {
  if (const Value::List* list = value.as_list()) {
    Value::List out;
    for (const Value& item : *list) out.push_back(with_go_names(item));
    return out;
  }
  const Object* object = value.as_object();
  if (object == nullptr) return value;
  Value out = object->is_map ? Value::map() : Value::structure();
  for (const Object::Member& member : object->members) {
    out.set(member.name, with_go_names(*member.value));
    std::string name = member.name;
    name.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(name.front())));
    if (name == "Os") name = "OS";
    if (name != member.name) out.set_hidden(name, with_go_names(*member.value));
  }
  return out;
}

}  // namespace

void define_version(CLI::App& app) {
  auto format = std::make_shared<std::string>();
  add_option(app, "-f,--format", *format, "json or a Go template: {{.Client.Version}}");
  app.callback([format] {
    finish_with([&]() -> Result<int> {
      const std::optional<Template> written = TRY(parse_format(*format));
      utsname host;
      ::uname(&host);
      const std::string arch = engine::host_platform().architecture;
      Value client = Value::structure();
      client.set("APIVersion", kVersion)
          .set("Version", kVersion)
          .set("Os", "linux")
          .set("OsArch", "linux/" + arch)
          .set("Kernel", host.release);
      Value value = Value::structure();
      value.set("Client", client);
      // What Podman's version takes beside .Client.
      for (const Object::Member& member : client.as_object()->members) value.set_hidden(member.name, *member.value);
      if (written) {
        print_safely(TRY(written->execute(value).context("--format")));
      } else if (!format->empty()) {
        print(value.json() + "\n");
      } else {
        print(cat("Client:       moss\nVersion:      ", kVersion, "\nOS/Arch:      linux/", arch, "\n"));
      }
      return 0;
    });
  });
}

void define_info(CLI::App& app) {
  auto format = std::make_shared<std::string>();
  add_option(app, "-f,--format", *format, "json or a Go template: {{.Host.Arch}} {{.Store.GraphRoot}}");
  app.callback([format] {
    finish_with([&]() -> Result<int> {
      const std::optional<Template> written = TRY(parse_format(*format));
      if (!written) {
        print(TRY(engine::describe_host(!format->empty())));
        return 0;
      }
      const std::string json = TRY(engine::describe_host(true));
      const Value value = with_go_names(TRY(parse_json(json)));
      print_safely(TRY(written->execute(value).context("--format")));
      return 0;
    });
  });
}

void define_unshare(CLI::App& app) {
  app.prefix_command();
  app.callback([&app] {
    finish_with([&]() -> Result<int> {
      std::vector<std::string> words = app.remaining();
      if (!words.empty() && words.front() == "--") words.erase(words.begin());
      if (!words.empty() && words.front().starts_with("--rootless-netns")) {
        return Error(0,
                     "--rootless-netns is not supported: containers of moss share no network namespace. Into that of ",
                     "one: nsenter --user --net --preserve-credentials --target ",
                     "$(moss inspect --format '{{.State.Pid}}' CONTAINER)");
      }
      if (!words.empty() && words.front().starts_with('-')) {
        return Error(0, "unknown option ", words.front(), "; see: moss unshare --help");
      }
      if (words.empty()) {
        const char* shell = std::getenv("SHELL");
        words.emplace_back(shell != nullptr && shell[0] != '\0' ? shell : "/bin/sh");
      }
      const sys::Host host = TRY(sys::probe_host());
      const engine::DefaultIdMap map = TRY(engine::default_id_map(host));
      if (!map.why_single.empty()) note(map.why_single);
      std::vector<char*> argv;
      for (std::string& word : words) argv.push_back(word.data());
      argv.push_back(nullptr);
      // moss inside looks for its things where it does outside, and mounts in a folder that goes with this process.
      const engine::Paths paths = TRY(engine::find_paths());
      TRY(sys::make_dirs(paths.run + "/mounts", 0700));
      const sys::TemporaryDir mounts = TRY(sys::TemporaryDir::create(paths.run + "/mounts", "unshare-"));
      const engine::RunningRoots running = TRY(engine::RunningRoots::open(paths, mounts.path()));
      sys::Child child = TRY(sys::start_in_user_namespace(map.map, [&] {
        const auto parent_of = [](const std::string& path) { return path.substr(0, path.rfind('/')); };
        ::setenv("XDG_DATA_HOME", parent_of(paths.data).c_str(), 1);
        ::setenv("XDG_RUNTIME_DIR", parent_of(paths.run).c_str(), 1);
        // Root inside, but no reader of the real root's files.
        if (const std::string home = sys::variable("HOME"); !home.empty()) {
          ::setenv("XDG_CACHE_HOME", (home + "/.cache").c_str(), 0);
        }
        ::setenv(engine::kMountsVariable, mounts.path().c_str(), 1);
        ::execvp(argv[0], argv.data());
        const bool absent = errno == ENOENT;
        return fail(sys_error("execute ", words.front()).with_exit_code(absent ? 127 : 126));
      }));
      // The terminal's signals are for the command, which may live on with them and still mount.
      ::signal(SIGINT, SIG_IGN);
      ::signal(SIGQUIT, SIG_IGN);
      const Fd command = TRY(sys::open_pidfd(child.pid()));
      running.serve_until_end_of(command.get());
      const sys::Exit exit = TRY(child.wait());
      return exit.shell_code();
    });
  });
}

}  // namespace moss::cli
