// What this moss is and what this host can do.
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "moss/engine/container.hh"
#include "moss/engine/info.hh"
#include "moss/engine/store.hh"
#include "moss/sys/ids.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

void define_version(CLI::App& app) {
  auto format = std::make_shared<std::string>();
  add_option(app, "-f,--format", *format, "json");
  app.callback([format] {
    finish_with([&]() -> Result<int> {
      if (!format->empty() && *format != "json") {
        return Error(0, "--format ", printable(*format), " is not supported; use json");
      }
      utsname host;
      ::uname(&host);
      if (*format == "json") {
        print(cat("{\"Client\": {\"Version\": \"", kVersion, "\", \"OsArch\": \"linux/", std::string_view(host.machine),
                  "\"}}\n"));
      } else {
        print(cat("Version:  ", kVersion, "\nOS/Arch:  linux/", std::string_view(host.machine), "\n"));
      }
      return 0;
    });
  });
}

void define_info(CLI::App& app) {
  auto format = std::make_shared<std::string>();
  add_option(app, "-f,--format", *format, "json");
  app.callback([format] {
    finish_with([&]() -> Result<int> {
      if (!format->empty() && *format != "json") {
        return Error(0, "--format ", printable(*format), " is not supported; use json");
      }
      print(TRY(engine::describe_host(*format == "json")));
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
      return sys::run_in_user_namespace(map.map, [&] {
        ::execvp(argv[0], argv.data());
        const bool absent = errno == ENOENT;
        return fail(sys_error("execute ", words.front()).with_exit_code(absent ? 127 : 126));
      });
    });
  });
}

}  // namespace moss::cli
