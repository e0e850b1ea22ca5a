// Looking at containers and ending them.
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "moss/engine/container.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Container;
using engine::Paths;
using engine::Status;

namespace {

// The containers that several verbs take: by name, the newest (-l), or all (-a).
struct Selection {
  std::vector<std::string> names;
  bool all = false;
  bool latest = false;
  bool ignore = false;
  int code_of_missing = kEngineFailure;

  void define(CLI::App& app, bool may_be_all) {
    app.add_option("CONTAINER", names, "name or id");
    add_flag(app, "-l,--latest", latest, "the newest container");
    if (may_be_all) add_flag(app, "-a,--all", all, "all containers");
  }

  // One failure does not keep the others from being done; the last one decides the exit code.
  Result<int> for_each(const std::function<Result<Ok>(const Paths&, const Container&)>& act) const {
    const Paths paths = TRY(engine::find_paths());
    int code = 0;
    const auto take = [&](const Container& container, const std::string& shown) {
      const Result<Ok> done = act(paths, container);
      if (done.ok()) {
        print(shown + "\n");
      } else {
        code = fail(done.error());
      }
    };
    if (all) {
      for (const Container& container : TRY(engine::list_containers(paths))) take(container, container.record.id);
      return code;
    }
    if (latest) {
      const Container container = TRY(engine::latest_container(paths));
      take(container, container.record.id);
      return code;
    }
    if (names.empty()) return Error(0, "which container? give a name or id");
    for (const std::string& name : names) {
      const Result<std::optional<Container>> container = engine::look_up_container(paths, name);
      if (container.ok() && *container) {
        take(**container, name);
      } else if (!container.ok()) {
        code = fail(container.error());
      } else if (!ignore) {
        (void)fail(engine::no_such_container(name));
        code = code_of_missing;
      }
    }
    return code;
  }
};

}  // namespace

void define_logs(CLI::App& app) {
  struct Options {
    engine::LogOptions log;
    std::string container;
    int64_t tail = -1;
    bool latest = false;
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-f,--follow", options->log.follow, "go on until the container ends");
  add_flag(app, "-t,--timestamps", options->log.timestamps, "with the time of each line");
  add_option(app, "--tail", options->tail, "only the last N lines");
  add_option(app, "--since", options->log.since, "from a time on, or the last 10m, 2h, …");
  add_option(app, "--until", options->log.until, "up to a time");
  add_flag(app, "-l,--latest", options->latest, "of the newest container");
  app.add_option("CONTAINER", options->container, "name or id");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      const Paths paths = TRY(engine::find_paths());
      if (options->container.empty() && !options->latest) return Error(0, "which container? give a name or id");
      const Container container = options->latest ? TRY(engine::latest_container(paths))
                                                  : TRY(engine::find_container(paths, options->container));
      if (options->tail >= 0) options->log.tail = static_cast<uint64_t>(options->tail);
      TRY(engine::read_log(paths, container, options->log, [](bool is_stderr, std::string_view text) -> Result<Ok> {
        if (!is_stderr) {
          print(text);
        } else {
          (void)!::write(STDERR_FILENO, text.data(), text.size());
        }
        return Ok{};
      }));
      return 0;
    });
  });
}

void define_stop(CLI::App& app) {
  auto selection = std::make_shared<Selection>();
  auto timeout = std::make_shared<std::optional<unsigned>>();
  selection->define(app, true);
  add_option(app, "-t,--time", *timeout, "seconds before SIGKILL (10)");
  add_flag(app, "-i,--ignore", selection->ignore, "say nothing of a container that is not there");
  app.callback([selection, timeout] {
    finish_with([&] {
      return selection->for_each([&](const Paths& paths, const Container& container) {
        return engine::stop_container(paths, container, timeout->value_or(container.record.stop_timeout_s),
                                      [](const std::string& line) { note(line); });
      });
    });
  });
}

void define_kill(CLI::App& app) {
  auto selection = std::make_shared<Selection>();
  auto signal = std::make_shared<std::string>("KILL");
  selection->define(app, true);
  add_option(app, "-s,--signal", *signal, "by name or number (KILL)");
  app.callback([selection, signal] {
    finish_with([&]() -> Result<int> {
      const int number = TRY(engine::parse_signal(*signal));
      return selection->for_each([&](const Paths&, const Container& container) -> Result<Ok> {
        // "All" means those that can be meant.
        if (selection->all && container.state.status != Status::running) return Ok{};
        return engine::kill_container(container, number);
      });
    });
  });
}

void define_wait(CLI::App& app) {
  auto names = std::make_shared<std::vector<std::string>>();
  auto latest = std::make_shared<bool>(false);
  app.add_option("CONTAINER", *names, "name or id");
  add_flag(app, "-l,--latest", *latest, "the newest container");
  app.callback([names, latest] {
    finish_with([&]() -> Result<int> {
      const Paths paths = TRY(engine::find_paths());
      if (names->empty() && !*latest) return Error(0, "which container? give a name or id");
      std::vector<Container> containers;
      if (*latest) containers.push_back(TRY(engine::latest_container(paths)));
      for (const std::string& name : *names) containers.push_back(TRY(engine::find_container(paths, name)));
      for (const Container& container : containers) print(cat(TRY(engine::wait_container(paths, container)), "\n"));
      return 0;
    });
  });
}

void define_rm(CLI::App& app) {
  auto selection = std::make_shared<Selection>();
  auto force = std::make_shared<bool>(false);
  auto timeout = std::make_shared<std::optional<unsigned>>();
  selection->define(app, true);
  add_flag(app, "-f,--force", *force, "stop it first; say nothing of one that is not there");
  add_flag(app, "-i,--ignore", selection->ignore, "say nothing of a container that is not there");
  add_option(app, "-t,--time", *timeout, "with --force: seconds before SIGKILL (10)");
  app.callback([selection, force, timeout] {
    finish_with([&] {
      selection->ignore = selection->ignore || *force;
      selection->code_of_missing = 1;
      return selection->for_each([&](const Paths& paths, const Container& container) {
        return engine::remove_container(paths, container, *force, timeout->value_or(container.record.stop_timeout_s));
      });
    });
  });
}

}  // namespace moss::cli
