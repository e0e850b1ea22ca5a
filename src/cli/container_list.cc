// moss ps: a line for each container.
#include <regex.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "moss/base/time.hh"
#include "moss/cli/report.hh"
#include "moss/engine/container.hh"
#include "moss/engine/container_files.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Container;
using engine::ContainerRecord;
using engine::Paths;
using engine::Status;
using format::Value;

namespace {

struct PsOptions {
  bool all = false;
  bool quiet = false;
  bool no_trunc = false;
  bool latest = false;
  bool no_heading = false;
  bool size = false;
  bool namespaces = false;
  bool pod = false;
  bool external = false;
  bool sync = false;
  int last = -1;
  std::optional<unsigned> watch_s;
  std::string format;
  std::string sort = "created";
  std::vector<std::string> filters;
};

constexpr std::pair<std::string_view, std::string_view> kPsTitles[] = {
    {"ID", "CONTAINER ID"},   {"CreatedHuman", "CREATED"}, {"PIDNS", "PIDNS"},     {"USERNS", "USERNS"},
    {"CGROUPNS", "CGROUPNS"}, {"RunningFor", "CREATED"},   {"ImageID", "IMAGE ID"}};

std::string status_text(const Container& container) {
  if (!container.state.error.empty()) return "Damaged";
  switch (container.state.status) {
    case Status::created:
      return "Created";
    case Status::running: {
      const std::string since = ago(container.state.started);
      return cat("Up ", since.substr(0, since.size() - std::min<size_t>(since.size(), 4)));
    }
    case Status::exited:
      return cat("Exited (", container.state.exit_code, ") ", ago(container.state.finished));
  }
  return "";
}

// --- which ---

// Whether an extended regular expression fits somewhere; what is none is looked for as it is.
bool matches(const std::string& text, const std::string& pattern) {
  regex_t compiled;
  if (::regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) {
    return text.find(pattern) != std::string::npos;
  }
  const bool fits = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return fits;
}

std::vector<std::string> destinations_of(const Paths& paths, const Container& container) {
  std::vector<std::string> out;
  const Result<std::string> json = engine::inspect_container_json(paths, container);
  if (!json.ok()) return out;
  const Result<Value> value = format::parse_json(*json);
  const Value* mounts = value.ok() ? value->find("Mounts") : nullptr;
  if (mounts == nullptr || mounts->as_list() == nullptr) return out;
  for (const Value& mount : *mounts->as_list()) {
    for (const char* member : {"Destination", "Source"}) {
      if (const Value* text = mount.find(member)) out.push_back(text->text());
    }
  }
  return out;
}

using Fits = std::function<bool(const Container&)>;

Result<Fits> parse_filter(const Paths& paths, std::string_view key, const std::string& value) {
  if (key == "id") return Fits([value](const Container& c) { return c.record.id.starts_with(value); });
  if (key == "name") return Fits([value](const Container& c) { return matches(c.record.name, value); });
  if (key == "status") {
    static constexpr std::string_view kKnown[] = {"created", "running", "exited", "paused", "stopped", "unknown"};
    if (std::find(std::begin(kKnown), std::end(kKnown), value) == std::end(kKnown)) {
      return Error(0, "--filter status=", printable(value), ": use created, running or exited");
    }
    return Fits([wanted = value == "stopped" ? "exited" : value](const Container& c) {
      return wanted == engine::to_string(c.state.status);
    });
  }
  if (key == "exited") {
    const auto code = parse_number<int>(value);
    if (!code) return Error(0, "--filter exited=", printable(value), ": expected an exit code");
    return Fits([code](const Container& c) { return c.state.status == Status::exited && c.state.exit_code == *code; });
  }
  if (key == "label") {
    const auto [label, wanted] = cut(value, '=');
    return Fits([name = std::string(label),
                 text = wanted ? std::optional<std::string>(*wanted) : std::nullopt](const Container& c) {
      const auto found = c.record.labels.find(name);
      return found != c.record.labels.end() && (!text || found->second == *text);
    });
  }
  if (key == "ancestor") {
    const engine::ImageStore store(paths.data);
    const Result<std::optional<engine::Image>> image = store.find(value);
    const std::string id = image.ok() && *image ? (*image)->id : "";
    return Fits([id, value](const Container& c) {
      return (!id.empty() && c.record.image_id == id) || c.record.image.find(value) != std::string::npos;
    });
  }
  if (key == "before" || key == "since" || key == "after") {
    const Container other = TRY(engine::find_container(paths, value).context("--filter ", key));
    return Fits([at = other.record.created, before = key == "before"](const Container& c) {
      return before ? c.record.created < at : c.record.created > at;
    });
  }
  if (key == "until") {
    const int64_t until = TRY(parse_epoch(value).context("--filter until"));
    return Fits([until](const Container& c) { return epoch_of(c.record.created).value_or(0) < until; });
  }
  if (key == "network") return Fits([value](const Container& c) { return c.record.network == value; });
  if (key == "volume") {
    return Fits([value, paths](const Container& c) {
      const std::vector<std::string> mounts = destinations_of(paths, c);
      return std::find(mounts.begin(), mounts.end(), value) != mounts.end();
    });
  }
  return Error(
      0, "--filter ", printable(key),
      " is not supported; use id, name, status, exited, label, ancestor, before, since, until, network or volume");
}

// Values of one key are alternatives, but of labels, where all have to fit; different keys narrow.
Result<bool> apply_filters(const Paths& paths, const std::vector<std::string>& filters,
                           std::vector<Container>& containers) {
  std::map<std::string, std::vector<Fits>> by_key;
  bool by_status = false;
  for (const std::string& filter : filters) {
    const auto [key, value] = cut(filter, '=');
    if (!value) return Error(0, "--filter ", printable(filter), ": expected NAME=VALUE");
    const bool negated = key.ends_with('!');
    const std::string_view name = key.substr(0, key.size() - (negated ? 1 : 0));
    if (negated && name != "label") return Error(0, "--filter ", printable(key), "= is not supported; only label!=");
    Fits fits = TRY(parse_filter(paths, name, std::string(*value)));
    by_status = by_status || name == "status" || name == "exited";
    // A key of its own for each that has to fit.
    const std::string group = name == "label" ? cat("label ", filter) : std::string(name);
    if (negated) fits = [fits](const Container& container) { return !fits(container); };
    by_key[group].push_back(std::move(fits));
  }
  for (const auto& [key, alternatives] : by_key) {
    std::erase_if(containers, [&, &of = alternatives](const Container& container) {
      return std::none_of(of.begin(), of.end(), [&](const Fits& fits) { return fits(container); });
    });
  }
  return by_status;
}

// --- what ---

// The number of one of a running container's namespaces.
std::string namespace_of(const Container& container, const char* kind) {
  if (container.state.status != Status::running) return "";
  char target[64];
  const ssize_t length =
      ::readlink(cat("/proc/", container.state.pid, "/ns/", std::string_view(kind)).c_str(), target, sizeof target);
  if (length <= 0) return "";
  const auto [name, number] = cut(std::string_view(target, static_cast<size_t>(length)), '[');
  return number ? std::string(number->substr(0, number->find(']'))) : "";
}

constexpr std::pair<const char*, const char*> kNamespaces[] = {
    {"CGROUPNS", "cgroup"}, {"IPC", "ipc"},     {"MNT", "mnt"}, {"NET", "net"},
    {"PIDNS", "pid"},       {"USERNS", "user"}, {"UTS", "uts"}};

std::string size_text(const engine::ContainerSize& size) {
  return cat(human_size(size.writable, ""), " (virtual ", human_size(size.rootfs, ""), ")");
}

struct Asked {
  bool size = false;
  bool mounts = false;
  bool namespaces = false;
};

Result<Value> value_of(const Paths& paths, const Container& container, const PsOptions& options, const Asked& asked) {
  const ContainerRecord& record = container.record;
  const std::string command = printable(join(record.command, " "));
  const std::string since = ago(record.created);
  Value value = Value::structure();
  value.set("ID", options.no_trunc ? record.id : record.id.substr(0, 12))
      .set("Image", record.image.empty() ? record.rootfs : record.image)
      .set("ImageID", options.no_trunc ? record.image_id : record.image_id.substr(0, 12))
      .set("Command", options.no_trunc ? command : shortened(command, 20))
      .set("CreatedAt", go_time(record.created, true))
      .set("CreatedHuman", since)
      .set("RunningFor", since)
      .set("Created", since)
      .set("Status", status_text(container))
      .set("State", engine::to_string(container.state.status))
      .set("Ports", join(record.ports, ", "))
      .set("Names", record.name)
      .set("Labels", record.labels)
      .set("Networks", record.network == "private" ? "" : record.network)
      .set("Pid", container.state.pid)
      .set("ExitCode", container.state.exit_code)
      .set("Exited", container.state.status == Status::exited)
      .set("StartedAt", epoch_of(container.state.started).value_or(0))
      .set("ExitedAt", epoch_of(container.state.finished).value_or(0))
      .set("AutoRemove", record.remove)
      .set("IsInfra", false)
      .set("Pod", "")
      .set("PodName", "");
  if (asked.size) value.set("Size", size_text(TRY(engine::container_size(paths, container))));
  if (asked.mounts) {
    std::vector<std::string> mounts = destinations_of(paths, container);
    // Of each pair the place inside.
    for (size_t i = 0; i < mounts.size(); ++i) mounts.erase(mounts.begin() + static_cast<int64_t>(i) + 1);
    value.set("Mounts", join(mounts, ","));
  }
  if (asked.namespaces) {
    Value all = Value::structure();
    for (const auto& [name, kind] : kNamespaces) {
      value.set(name, namespace_of(container, kind));
      all.set(name, namespace_of(container, kind));
    }
    value.set("Namespaces", std::move(all));
  }
  value.set_hidden("Id", record.id);
  return value;
}

// "127.0.0.1:8080->80/tcp" as Podman's member of a list.
Value port_of(const std::string& text) {
  const size_t arrow = text.find("->");
  const size_t colon = text.rfind(':', arrow);
  const size_t slash = text.find('/', arrow == std::string::npos ? 0 : arrow);
  const auto number = [&](size_t from, size_t to) {
    if (from == std::string::npos || to == std::string::npos || from > to) return int64_t{0};
    return parse_number<int64_t>(std::string_view(text).substr(from, to - from)).value_or(0);
  };
  Value port = Value::structure();
  const bool has_host = arrow != std::string::npos && colon != std::string::npos;
  const std::string host = has_host ? text.substr(0, colon) : "";
  return port.set("host_ip", host == "0.0.0.0" ? "" : host)
      .set("container_port", number(arrow == std::string::npos ? 0 : arrow + 2, std::min(slash, text.size())))
      .set("host_port", has_host ? number(colon + 1, arrow) : 0)
      .set("range", 1)
      .set("protocol", slash == std::string::npos ? "tcp" : text.substr(slash + 1));
}

Result<Value> json_of(const Paths& paths, const Container& container, const PsOptions& options) {
  const ContainerRecord& record = container.record;
  const Asked asked{.size = options.size, .mounts = false, .namespaces = options.namespaces};
  const Value row = TRY(value_of(paths, container, options, asked));
  Value::List ports;
  for (const std::string& port : record.ports) ports.push_back(port_of(port));
  std::vector<std::string> mounts = destinations_of(paths, container);
  for (size_t i = 0; i < mounts.size(); ++i) mounts.erase(mounts.begin() + static_cast<int64_t>(i) + 1);
  Value json = Value::structure();
  json.set("AutoRemove", record.remove)
      .set("Command", record.command)
      .set("CreatedAt", *row.find("Created"))
      .set("Exited", container.state.status == Status::exited)
      .set("ExitedAt", epoch_of(container.state.finished).value_or(0))
      .set("ExitCode", container.state.exit_code)
      .set("Id", record.id)
      .set("Image", *row.find("Image"))
      .set("ImageID", record.image_id)
      .set("IsInfra", false)
      .set("Labels", record.labels.empty() ? Value() : Value(record.labels))
      .set("Mounts", mounts)
      .set("Names", std::vector<std::string>{record.name})
      .set("Namespaces", asked.namespaces ? *row.find("Namespaces") : Value::structure())
      .set("Networks", Value::List{})
      .set("Pid", container.state.pid)
      .set("Pod", "")
      .set("PodName", "")
      .set("Ports", ports.empty() ? Value() : Value(std::move(ports)))
      .set("Size", Value());
  if (asked.size) {
    const engine::ContainerSize size = TRY(engine::container_size(paths, container));
    json.set("SizeRw", size.writable).set("SizeRootFs", size.rootfs);
  }
  return json.set("StartedAt", epoch_of(container.state.started).value_or(0))
      .set("State", engine::to_string(container.state.status))
      .set("Status", *row.find("Status"))
      .set("Created", epoch_of(record.created).value_or(0));
}

Result<Ok> sort_containers(const Paths& paths, std::vector<Container>& containers, const std::string& by) {
  const auto sort = [&](auto key) {
    std::stable_sort(containers.begin(), containers.end(),
                     [&](const Container& one, const Container& other) { return key(one) < key(other); });
  };
  if (by == "created" || by == "runningfor") {
    sort([](const Container& c) { return c.record.created; });
  } else if (by == "command") {
    sort([](const Container& c) { return join(c.record.command, " "); });
  } else if (by == "id") {
    sort([](const Container& c) { return c.record.id; });
  } else if (by == "image") {
    sort([](const Container& c) { return c.record.image; });
  } else if (by == "names") {
    sort([](const Container& c) { return c.record.name; });
  } else if (by == "status") {
    sort([](const Container& c) { return std::string(engine::to_string(c.state.status)); });
  } else if (by == "size") {
    std::map<std::string, int64_t> sizes;
    for (const Container& c : containers) sizes[c.record.id] = TRY(engine::container_size(paths, c)).rootfs;
    sort([&](const Container& c) { return sizes[c.record.id]; });
  } else {
    return Error(0, "--sort ", printable(by), ": use command, created, id, image, names, runningfor, size or status");
  }
  return Ok{};
}

std::string usual_table(const PsOptions& options) {
  if (options.namespaces) {
    return "table {{.ID}}\\t{{.Names}}\\t{{.Pid}}\\t{{.CGROUPNS}}\\t{{.IPC}}\\t{{.MNT}}\\t{{.NET}}\\t{{.PIDNS}}\\t"
           "{{.USERNS}}\\t{{.UTS}}";
  }
  return cat("table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.CreatedHuman}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}",
             options.size ? "\\t{{.Size}}" : "");
}

Result<int> list_containers(const PsOptions& options) {
  if (options.pod) return Error(0, "--pod is not supported: moss has no pods");
  if (options.quiet && !options.format.empty()) return Error(0, "--quiet and --format exclude each other");
  if (options.size && options.namespaces) return Error(0, "--size and --ns exclude each other");
  const std::string usual = usual_table(options);
  const format::Report report = TRY(format::Report::parse(options.format, usual, kPsTitles));
  const Paths paths = TRY(engine::find_paths());
  std::vector<Container> containers = TRY(engine::list_containers(paths));
  const bool by_status = TRY(apply_filters(paths, options.filters, containers));
  const int last = options.latest ? 1 : options.last;
  if (last >= 0 && containers.size() > static_cast<size_t>(last)) {
    containers.erase(containers.begin(), containers.end() - last);
  }
  if (!options.all && last < 0 && !by_status) {
    std::erase_if(containers, [](const Container& container) { return container.state.status != Status::running; });
  }
  TRY(sort_containers(paths, containers, options.sort));
  if (options.quiet) {
    std::string ids;
    for (const Container& container : containers) {
      ids += (options.no_trunc ? container.record.id : container.record.id.substr(0, 12)) + "\n";
    }
    print(ids);
    return 0;
  }
  Asked asked{.size = options.size, .mounts = report.mentions("Mounts"), .namespaces = options.namespaces};
  asked.size = asked.size || report.mentions("Size");
  for (const auto& [name, kind] : kNamespaces) asked.namespaces = asked.namespaces || report.mentions(name);
  asked.namespaces = asked.namespaces || report.mentions("Namespaces");
  Value::List rows;
  for (const Container& container : containers) {
    rows.push_back(report.is_json() ? TRY(json_of(paths, container, options))
                                    : TRY(value_of(paths, container, options, asked)));
  }
  print_safely(TRY(report.text(std::move(rows), "  ", !options.no_heading)));
  return 0;
}

Result<int> watch(const PsOptions& options) {
  if (*options.watch_s == 0) return Error(0, "--watch 0: expected a number of seconds, 1 or more");
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  while (true) {
    if (terminal) print("\x1b[H\x1b[2J");
    TRY(list_containers(options));
    ::sleep(*options.watch_s);
  }
}

}  // namespace

void define_ps(CLI::App& app) {
  auto options = std::make_shared<PsOptions>();
  add_flag(app, "-a,--all", options->all, "also those that have ended");
  add_flag(app, "-q,--quiet", options->quiet, "ids only");
  add_flag(app, "--no-trunc", options->no_trunc, "whole ids and commands");
  add_flag(app, "-l,--latest", options->latest, "the newest only");
  add_option(app, "-n,--last", options->last, "the newest N only, also those that have ended");
  add_flag(app, "--noheading", options->no_heading, "no titles");
  add_flag(app, "-s,--size", options->size, "with the sizes of what was written, and of all");
  add_flag(app, "--ns,--namespace", options->namespaces, "the namespaces' numbers instead");
  add_flag(app, "-p,--pod", options->pod, "not supported: moss has no pods");
  add_flag(app, "--external", options->external, "also containers of other programs in the store; there are none");
  add_option(app, "-w,--watch", options->watch_s, "once more every N seconds, until it is interrupted");
  add_flag(app, "--sync", options->sync, "ask the kernel for each container's state; moss always does");
  add_option(app, "--sort", options->sort,
             "by created (the default), command, id, image, names, runningfor, size or status");
  add_option(app, "--format", options->format,
             "json, table, \"table {{.ID}} {{.Names}}\" or a Go template: .ID .Image .ImageID .Command .Created "
             ".CreatedAt .RunningFor .Status .State .Ports .Names .Labels .Mounts .Size .Pid .ExitCode .Namespaces");
  add_list(app, "-f,--filter", options->filters,
           "name=REGEX, id=ID, status=STATUS, exited=CODE, label=NAME[=VALUE], ancestor=IMAGE, before=CONTAINER, "
           "since=CONTAINER, until=TIME, network=MODE or volume=PATH");
  app.callback(
      [options] { finish_with([&] { return options->watch_s ? watch(*options) : list_containers(*options); }); });
}

}  // namespace moss::cli
