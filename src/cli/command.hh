// What a command is made of, and what all commands print with. Only this layer prints.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "src/cli/text.hh"

namespace CLI {
class App;
}

namespace moss::cli {

inline constexpr int kEngineFailure = 125;
inline constexpr const char* kVersion = MOSS_VERSION;

/// One verb. Only the verb that was typed builds its options: sixty of them at every start would cost more than a
/// container does.
struct Command {
  const char* name;
  const char* arguments;  ///< for the usage line
  const char* summary;
  /// Adds its options to `app` and sets what happens once they are parsed.
  void (*define)(CLI::App& app);
};

/// Verbs of two words: "manifest create", "system df". A group's name alone lists its verbs.
struct CommandGroup {
  const char* name;
  const char* summary;
  std::span<const Command> commands;  ///< without the group's name
  std::span<const Command> also;      ///< verbs of one word that the group has under the same name
};

/// A command of Podman's that moss has not, and what there is instead.
struct MissingCommand {
  const char* name;
  const char* instead;
};

std::span<const MissingCommand> missing_commands();
std::span<const CommandGroup> command_groups();
std::span<const Command> container_commands();
std::span<const Command> image_commands();
std::span<const Command> system_commands();

/// Prints "Error: …" on stderr and gives the exit code.
int fail(const Error& error);
/// A line on stderr that is not the outcome.
void note(const std::string& line);
/// Writes to stdout; a reader that went away ends moss quietly, as SIGPIPE would.
void print(std::string_view text);

/// The same for text whose parts may come from strangers: on a terminal, control bytes are shown as \xNN.
void print_safely(std::string_view text);

/// The exit code of the command that ran. Set by its callback.
int& exit_code();
/// Runs `body` and turns its Result into the exit code.
void finish_with(const std::function<Result<int>()>& body);

/// Columns of text under upper-case titles, as wide as their longest cell and two spaces apart.
class Table {
 public:
  explicit Table(std::vector<std::string> titles) { rows_.push_back(std::move(titles)); }
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// Finds or pulls with a progress display; what `moss run` does with an image that is not here.
engine::RunServices run_services(bool quiet);

}  // namespace moss::cli
