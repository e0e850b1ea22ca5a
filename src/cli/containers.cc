// Looking at containers and ending them.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
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

std::string status_text(const Container& container) {
  if (!container.state.error.empty()) return "Damaged";
  switch (container.state.status) {
    case Status::created:
      return "Created";
    case Status::running:
      return cat("Up ", ago(container.state.started).substr(0, ago(container.state.started).size() - 4));
    case Status::exited:
      return cat("Exited (", container.state.exit_code, ") ", ago(container.state.finished));
  }
  return "";
}

std::string shortened(std::string text, size_t length) {
  if (text.size() <= length) return text;
  text.resize(length - 3);
  return text + "...";
}

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

std::string ps_json(const std::vector<Container>& containers, const Paths& paths) {
  std::string out = "[";
  for (const Container& container : containers) {
    const Result<std::string> one = engine::inspect_container_json(paths, container);
    if (!one.ok()) continue;
    out += cat(out.size() > 1 ? ",\n" : "", *one);
  }
  return out + "]\n";
}

}  // namespace

void define_ps(CLI::App& app) {
  struct Options {
    bool all = false;
    bool quiet = false;
    bool no_trunc = false;
    bool latest = false;
    bool no_heading = false;
    std::string format;
    std::vector<std::string> filters;
  };
  auto options = std::make_shared<Options>();
  add_flag(app, "-a,--all", options->all, "also those that have ended");
  add_flag(app, "-q,--quiet", options->quiet, "ids only");
  add_flag(app, "--no-trunc", options->no_trunc, "whole ids and commands");
  add_flag(app, "-l,--latest", options->latest, "the newest only");
  add_flag(app, "--noheading,-n", options->no_heading, "no titles");
  add_option(app, "--format", options->format, "json");
  add_list(app, "-f,--filter", options->filters, "name=…, id=…, status=…, ancestor=… or label=…");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (!options->format.empty() && options->format != "json") {
        return Error(0, "--format ", printable(options->format), " is not supported; use json");
      }
      const Paths paths = TRY(engine::find_paths());
      std::vector<Container> containers = TRY(engine::list_containers(paths));
      bool by_status = false;
      for (const std::string& filter : options->filters) {
        const auto [key, value] = cut(filter, '=');
        if (!value) return Error(0, "--filter ", printable(filter), ": expected NAME=VALUE");
        if (key != "name" && key != "id" && key != "status" && key != "ancestor" && key != "label") {
          return Error(0, "--filter ", printable(filter), " is not supported; use name, id, status, ancestor or label");
        }
        by_status = by_status || key == "status";
        std::erase_if(containers, [&, k = key, v = *value](const Container& container) {
          if (k == "name") return container.record.name.find(v) == std::string::npos;
          if (k == "id") return !container.record.id.starts_with(v);
          if (k == "status") return v != engine::to_string(container.state.status);
          if (k == "ancestor") return container.record.image.find(v) == std::string::npos;
          const auto [label, wanted] = cut(v, '=');
          const auto found = container.record.labels.find(std::string(label));
          return found == container.record.labels.end() || (wanted && found->second != *wanted);
        });
      }
      if (options->latest && containers.size() > 1) containers.erase(containers.begin(), containers.end() - 1);
      if (!options->all && !options->latest && !by_status) {
        std::erase_if(containers, [](const Container& container) { return container.state.status != Status::running; });
      }
      if (options->format == "json") {
        print(ps_json(containers, paths));
        return 0;
      }
      Table table({"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"});
      std::string ids;
      for (const Container& container : containers) {
        const engine::ContainerRecord& record = container.record;
        const std::string id = options->no_trunc ? record.id : record.id.substr(0, 12);
        ids += id + "\n";
        const std::string command = printable(join(record.command, " "));
        table.add({id, record.image.empty() ? record.rootfs : record.image,
                   options->no_trunc ? command : shortened(command, 20), ago(record.created), status_text(container),
                   join(record.ports, ", "), record.name});
      }
      print(options->quiet ? ids : table.text(!options->no_heading));
      return 0;
    });
  });
}

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

void define_inspect(CLI::App& app) {
  struct Options {
    std::vector<std::string> names;
    std::string type = "all";
    bool latest = false;
    std::string format;
  };
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->names, "of a container or an image");
  add_option(app, "--type", options->type, "container, image or all");
  add_flag(app, "-l,--latest", options->latest, "the newest container");
  add_option(app, "-f,--format", options->format, "json");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      if (!options->format.empty() && options->format != "json") {
        return Error(0, "--format ", printable(options->format), " is not supported; use json");
      }
      if (options->type != "all" && options->type != "container" && options->type != "image") {
        return Error(0, "--type ", printable(options->type), ": use container, image or all");
      }
      const Paths paths = TRY(engine::find_paths());
      const engine::ImageStore store(paths.data);
      std::string out;
      const auto add = [&](const std::string& json) { out += cat(out.empty() ? "" : ",\n", json); };
      if (options->latest) {
        const Container container = TRY(engine::latest_container(paths));
        add(TRY(engine::inspect_container_json(paths, container)));
      }
      for (const std::string& name : options->names) {
        if (options->type != "image") {
          if (const std::optional<Container> container = TRY(engine::look_up_container(paths, name))) {
            add(TRY(engine::inspect_container_json(paths, *container)));
            continue;
          }
        }
        std::optional<engine::Image> image;
        if (options->type != "container") image = TRY(store.find(name));
        if (!image) return Error(0, "no container or image ", printable(name), "; see: moss ps -a, moss images");
        add(engine::inspect_image_json(store, *image));
      }
      if (out.empty()) return Error(0, "of what? give the name of a container or an image");
      print(cat("[\n", out, "\n]\n"));
      return 0;
    });
  });
}

}  // namespace moss::cli
