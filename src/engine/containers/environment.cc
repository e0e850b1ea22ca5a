// Environment variables, from the image, the options and the caller.
#include "src/engine/containers/environment.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "moss/base/text.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxEnvFileBytes = 4u << 20;

// The caller's own word, so unlike an image's file it may be a pipe: --env-file <(secrets).
Result<std::string> read_variables(const std::string& path) {
  const Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_NOCTTY));
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read ", printable(path));
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMaxEnvFileBytes) return Error(EFBIG, "read ", printable(path));
  }
}

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

Result<Ok> Environment::add_from_caller(std::string_view text) {
  const auto [name, value] = cut(text, '=');
  if (name.empty()) return Error(0, "variable \"", printable(text), "\" has no name; expected NAME=VALUE or NAME");
  if (value) {
    set(name, *value);
    return Ok{};
  }
  if (name.ends_with('*')) {
    const std::string_view prefix = name.substr(0, name.size() - 1);
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const auto [host_name, host_value] = cut(*variable, '=');
      if (host_name.starts_with(prefix) && host_value) set(host_name, *host_value);
    }
    return Ok{};
  }
  if (const char* host_value = std::getenv(std::string(name).c_str())) set(name, host_value);
  return Ok{};
}

Result<Ok> Environment::add_file(const std::string& path) {
  const std::string text = TRY(read_variables(path).context("--env-file"));
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.empty() && line.front() != '#') TRY(add_from_caller(line).context("--env-file ", printable(path)));
  }
  return Ok{};
}

}  // namespace moss::engine
