// Environment variables, from the image, the options and the caller.
#include "src/engine/containers/environment.hh"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "moss/base/text.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxEnvFileBytes = 4u << 20;

}  // namespace

void Environment::set(std::string_view name, std::string_view value) {
  const std::string prefix = cat(name, "=");
  std::erase_if(variables_, [&](const std::string& variable) { return variable.starts_with(prefix); });
  variables_.push_back(cat(prefix, value));
}

bool Environment::has(std::string_view name) const {
  const std::string prefix = cat(name, "=");
  return std::any_of(variables_.begin(), variables_.end(),
                     [&](const std::string& variable) { return variable.starts_with(prefix); });
}

void Environment::add_from_caller(std::string_view text) {
  const auto [name, value] = cut(text, '=');
  if (name.empty()) return;
  if (value) return set(name, *value);
  if (name.ends_with('*')) {
    const std::string_view prefix = name.substr(0, name.size() - 1);
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const auto [host_name, host_value] = cut(*variable, '=');
      if (host_name.starts_with(prefix) && host_value) set(host_name, *host_value);
    }
    return;
  }
  if (const char* host_value = std::getenv(std::string(name).c_str())) set(name, host_value);
}

Result<Ok> Environment::add_file(const std::string& path) {
  const std::string text = TRY(sys::read_file(path, kMaxEnvFileBytes).context("--env-file"));
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.empty() && line.front() != '#') add_from_caller(line);
  }
  return Ok{};
}

}  // namespace moss::engine
