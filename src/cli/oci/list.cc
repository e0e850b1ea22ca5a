// list and ps.
#include <unistd.h>

#include <algorithm>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"
#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

Result<Ok> check_format(const std::string& format) {
  if (format == "table" || format == "json") return Ok{};
  return Error(0, "--format: table or json, not \"", printable(format), "\"");
}

std::string without_fraction(const std::string& time) {
  const size_t dot = time.find('.');
  return dot == std::string::npos ? time : time.substr(0, dot) + "Z";
}

}  // namespace

int oci_list(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  std::string format = "table";
  bool quiet = false;
  Arguments arguments;
  arguments.value("-f,--format", format, "FORMAT", "table or json").flag("-q,--quiet", quiet, "only the ids");
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    TRY(check_format(format));
    if (!arguments.words().empty()) return Error(0, "list takes no container");
    const std::string root = TRY(globals.state_root());
    std::vector<oci::State> states;
    for (const std::string& id : TRY(runtime::list_containers(root))) {
      const Result<runtime::Container> container = runtime::find_container(root, id);
      if (!container.ok()) {
        // One that is gone meanwhile, or that cannot be read: the others are listed all the same.
        globals.warnings()(container.error().to_string());
        continue;
      }
      oci::State state = container->state();
      state.owner = sys::user_name(container->record.owner);
      states.push_back(std::move(state));
    }
    if (quiet) {
      for (const oci::State& state : states) print(state.id + "\n");
    } else if (format == "json") {
      print(oci::encode_states(states));
    } else {
      Table table({"ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"});
      for (const oci::State& state : states) {
        table.add({state.id, std::to_string(state.pid), state.status, printable(state.bundle),
                   without_fraction(state.created), printable(state.owner)});
      }
      print(table.text());
    }
    return 0;
  });
}

namespace {

// The host's own ps knows how to show a process; we know which of its lines are the container's.
Result<std::string> table_of(const std::vector<pid_t>& pids, const std::vector<std::string>& options) {
  const std::optional<std::string> program = sys::find_program("ps");
  if (!program) return Error(0, "ps is not installed; give --format json");
  std::vector<std::string> argv{*program};
  argv.insert(argv.end(), options.begin(), options.end());
  if (options.empty()) argv.emplace_back("-ef");
  auto [reading, writing] = TRY(sys::make_pipe());
  sys::Child ps = TRY(sys::spawn(argv, {.stdout_fd = writing.get(), .stderr_fd = STDERR_FILENO}));
  writing.reset();
  std::string output;
  char buffer[8192];
  for (ssize_t got; (got = ::read(reading.get(), buffer, sizeof buffer)) != 0;) {
    if (got > 0) output.append(buffer, static_cast<size_t>(got));
    if (got < 0 && errno != EINTR) return sys_error("read what ps says");
  }
  const sys::Exit exit = TRY(ps.wait());
  if (!exit.ok()) return Error(0, "ps failed");
  std::string shown;
  size_t pid_column = 0;
  for (const std::string_view line : split(output, '\n')) {
    std::vector<std::string_view> cells = split(line, ' ');
    std::erase_if(cells, [](std::string_view cell) { return cell.empty(); });
    if (shown.empty()) {
      const auto title = std::find(cells.begin(), cells.end(), "PID");
      if (title == cells.end()) return Error(0, "ps shows no column PID with these options");
      pid_column = static_cast<size_t>(title - cells.begin());
      shown = cat(line, "\n");
      continue;
    }
    if (cells.size() <= pid_column) continue;
    const auto pid = parse_number<pid_t>(cells[pid_column]);
    if (pid && std::find(pids.begin(), pids.end(), *pid) != pids.end()) shown += cat(line, "\n");
  }
  return shown;
}

}  // namespace

int oci_ps(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  std::string format = "table";
  Arguments arguments;
  arguments.value("-f,--format", format, "FORMAT", "table or json").stop_after(1);
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    std::vector<std::string> given = arguments.words();
    if (given.empty()) return Error(0, "which container? its id is missing");
    const std::string id = given.front();
    given.erase(given.begin());
    // "ps ID --format json" as well, though what follows the id is for ps.
    if (given.size() == 2 && (given[0] == "--format" || given[0] == "-f")) {
      format = given[1];
      given.clear();
    } else if (given.size() == 1 && given[0].starts_with("--format=")) {
      format = given[0].substr(9);
      given.clear();
    }
    TRY(check_format(format));
    const runtime::Container container = TRY(find_container(globals, id));
    const std::vector<pid_t> pids = TRY(runtime::container_processes(container));
    if (format == "table") {
      const std::string table = TRY(table_of(pids, given));
      print(table);
      return 0;
    }
    std::string json;
    for (const pid_t pid : pids) json += cat(json.empty() ? "[" : ",", pid);
    print(json.empty() ? "[]\n" : json + "]\n");
    return 0;
  });
}

}  // namespace moss::cli
