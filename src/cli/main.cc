// From argv to a command.
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "moss/cli/cli.hh"
#include "moss/sys/own_binary.hh"
#include "src/cli/command.hh"
#include "src/cli/oci_command.hh"
#include "src/cli/options.hh"

namespace moss::cli {

int fail(const Error& error) {
  // One line, whatever a message carries: control bytes come from names and files that may not be ours.
  const std::string line = cat("Error: ", printable(error.to_string()), "\n");
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  return error.exit_code().value_or(kEngineFailure);
}

void note(const std::string& line) {
  const std::string text = cat("moss: ", printable(line), "\n");
  (void)!::write(STDERR_FILENO, text.data(), text.size());
}

void print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = ::write(STDOUT_FILENO, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) ::_exit(errno == EPIPE ? 128 + SIGPIPE : kEngineFailure);
    text.remove_prefix(static_cast<size_t>(put));
  }
}

void print_safely(std::string_view text) {
  if (::isatty(STDOUT_FILENO) != 1) return print(text);
  std::string safe;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\t", at), text.size());
    safe += printable(text.substr(at, end - at));
    if (end < text.size()) safe += text[end];
    at = end + 1;
  }
  print(safe);
}

int& exit_code() {
  static int code = 0;
  return code;
}

void finish_with(const std::function<Result<int>()>& body) {
  const Result<int> result = body();
  exit_code() = result.ok() ? *result : fail(result.error());
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

namespace {

const Command* find_command(std::string_view name) {
  for (const auto commands : {container_commands(), image_commands(), system_commands()}) {
    for (const Command& command : commands) {
      if (name == command.name) return &command;
    }
  }
  return nullptr;
}

std::string usage() {
  std::string text =
      "moss runs containers as an ordinary user, without a daemon.\n\n"
      "Usage: moss COMMAND [OPTIONS]\n";
  struct Group {
    const char* title;
    std::span<const Command> commands;
  };
  for (const Group& group : {Group{"Containers", container_commands()}, Group{"Images", image_commands()},
                             Group{"System", system_commands()}}) {
    text += cat("\n", group.title, ":\n");
    for (const Command& command : group.commands) {
      text += cat("  ", command.name, std::string(12 - std::min<size_t>(11, ::strlen(command.name)), ' '),
                  command.summary, "\n");
    }
  }
  if (!command_groups().empty()) text += "\nOf several verbs:\n";
  for (const CommandGroup& group : command_groups()) {
    text +=
        cat("  ", group.name, std::string(12 - std::min<size_t>(11, ::strlen(group.name)), ' '), group.summary, "\n");
  }
  text += "\nmoss COMMAND --help tells more about one.\n";
  return text;
}

std::string usage_of(const CommandGroup& group) {
  std::string text = cat(group.summary, "\n\nUsage: moss ", group.name, " COMMAND [OPTIONS]\n\nCommands:\n");
  std::vector<std::string_view> told;
  for (const auto commands : {group.commands, group.also}) {
    for (const Command& command : commands) {
      if (std::find(told.begin(), told.end(), command.name) != told.end()) continue;
      told.emplace_back(command.name);
      text += cat("  ", command.name, std::string(12 - std::min<size_t>(11, ::strlen(command.name)), ' '),
                  command.summary, "\n");
    }
  }
  return cat(text, "\nmoss ", group.name, " COMMAND --help tells more about one.\n");
}

// The known verb that takes the fewest edits to reach.
std::string nearest_command(std::string_view name) {
  std::string best;
  size_t best_distance = 3;
  for (const auto commands : {container_commands(), image_commands(), system_commands()}) {
    for (const Command& command : commands) {
      const std::string_view other = command.name;
      std::vector<size_t> row(other.size() + 1);
      for (size_t i = 0; i <= other.size(); ++i) row[i] = i;
      for (size_t i = 0; i < name.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < other.size(); ++k) {
          const size_t replaced = diagonal + (name[i] == other[k] ? 0 : 1);
          diagonal = row[k + 1];
          row[k + 1] = std::min({replaced, row[k] + 1, row[k + 1] + 1});
        }
      }
      if (row.back() < best_distance) {
        best_distance = row.back();
        best = other;
      }
    }
  }
  return best;
}

// CLI11's complaints in our words. Its own begin with the option's longest name: "--time: 1 required UINT missing".
std::string complaint(const CLI::App& app, const CLI::ParseError& error) {
  const std::string_view theirs = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> extra = app.remaining();
    if (extra.empty()) return std::string(theirs);
    return cat(extra.front().starts_with('-') ? "unknown option " : "one word too many: ", extra.front());
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr && theirs.find(" missing") != theirs.npos) {
    return cat("option ", cut(theirs, ':').first, " needs a value");
  }
  constexpr std::string_view kNoValue = "Could not convert: ";
  if (theirs.starts_with(kNoValue)) {
    const auto [option, value] = cut(theirs.substr(kNoValue.size()), '=');
    const std::string name(option.substr(0, option.find(' ')));
    const CLI::Option* const known = app.get_option_no_throw(name);
    const bool is_flag = known != nullptr && (known->get_expected_min() == 0 || known->get_type_name() == "BOOLEAN");
    return cat("option ", name, ": expected ", is_flag ? "true or false" : "a number", ", found", value.value_or(""));
  }
  return std::string(theirs);
}

// `called` is how the command is called: "moss run", "moss manifest create".
int run_command(const Command& command, const std::string& called, int argc, char** argv) {
  CLI::App app(command.summary, called);
  app.set_help_flag("--help", "print this text");
  set_typed_words(argc, argv);
  command.define(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    // CLI11 knows the options, we know how the rest of the line is meant.
    const std::string help = app.help();
    const size_t options = help.find("Options:");
    print(cat(command.summary, "\n\nUsage: ", called, " ", command.arguments, "\n\n",
              std::string_view(help).substr(std::min(options, help.size()))));
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(Error(0, complaint(app, error), "; see: ", called, " --help"));
  }
  return exit_code();
}

// Nothing where Podman has no such command either.
std::optional<Error> why_missing(std::string_view name) {
  for (const MissingCommand& command : missing_commands()) {
    if (name == command.name) return Error(0, "moss ", name, " is not supported: ", command.instead);
  }
  return std::nullopt;
}

// `argv` begins with the group's name.
int run_group(const CommandGroup& group, int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "--help";
  if (verb == "--help" || verb == "-h" || verb == "help") {
    print(usage_of(group));
    return 0;
  }
  for (const auto commands : {group.commands, group.also}) {
    for (const Command& command : commands) {
      if (verb == command.name) return run_command(command, cat("moss ", group.name, " ", verb), argc - 1, argv + 1);
    }
  }
  if (const std::optional<Error> missing = why_missing(cat(group.name, " ", verb))) return fail(*missing);
  return fail(Error(0, "unknown command ", group.name, " ", verb, "; see: moss ", group.name, " --help"));
}

const CommandGroup* find_group(std::string_view name) {
  for (const CommandGroup& group : command_groups()) {
    if (name == group.name) return &group;
  }
  return nullptr;
}

// Some word of the line is a verb that starts something of a container's. The OCI runtime's verb comes after its own
// options, so all words are looked at; one too many costs half a millisecond.
bool may_start_workload(int argc, char** argv) {
  static constexpr std::string_view kStarters[] = {"run", "create", "start", "restart", "exec"};
  return std::any_of(argv, argv + argc, [](std::string_view word) {
    return std::find(std::begin(kStarters), std::end(kStarters), word) != std::end(kStarters);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (may_start_workload(argc, argv)) {
    if (const Result<Ok> safe = sys::protect_own_binary(argv); !safe.ok()) return fail(safe.error());
  }
  std::string_view called_as = argc > 0 ? argv[0] : "moss";
  called_as = called_as.substr(called_as.find_last_of('/') + 1);
  if (called_as == "moss-oci" || called_as == "crun" || called_as == "runc") return oci_main(called_as, argc, argv);
  if (argc < 2) {
    print(usage());
    return 0;
  }
  const std::string_view verb = argv[1];
  if (verb == "--help" || verb == "-h" || verb == "help") {
    if (argc > 2) {
      if (const Command* command = find_command(argv[2])) {
        char help[] = "--help";
        char* arguments[] = {argv[0], help};
        return run_command(*command, cat("moss ", command->name), 2, arguments);
      }
      if (const CommandGroup* group = find_group(argv[2])) {
        print(usage_of(*group));
        return 0;
      }
    }
    print(usage());
    return 0;
  }
  if (verb == "--version" || verb == "-v") {
    print(cat("moss version ", kVersion, "\n"));
    return 0;
  }
  if (verb == "oci") return oci_main("moss oci", argc - 1, argv + 1);
  if (const CommandGroup* group = find_group(verb)) return run_group(*group, argc - 1, argv + 1);
  const Command* command = find_command(verb);
  if (command == nullptr) {
    if (verb.starts_with('-')) return fail(Error(0, "unknown option ", verb, "; see: moss --help"));
    if (const std::optional<Error> missing = why_missing(verb)) return fail(*missing);
    const std::string nearest = nearest_command(verb);
    return fail(Error(0, "unknown command ", verb, nearest.empty() ? "" : cat("; did you mean ", nearest, "?"),
                      "; see: moss --help"));
  }
  return run_command(*command, cat("moss ", command->name), argc - 1, argv + 1);
}

}  // namespace moss::cli
