// Talking to credential helpers. See the header.
#include "credential_helper.hh"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxAnswerBytes = 1u << 20;
// Written before anything is read, so it must fit into a pipe.
constexpr size_t kMaxRequestBytes = 32u << 10;

// What helpers are asked by: Docker's hub is a URL to them.
std::string helper_key(const std::string& registry) {
  return registry == "docker.io" ? "https://index.docker.io/v1/" : registry;
}

std::optional<std::string> find_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const std::string_view folder : split(path != nullptr ? path : "/usr/bin:/bin", ':')) {
    // An empty part is the current folder: not for what is told passwords.
    if (!folder.starts_with('/')) continue;
    std::string file = cat(folder, "/", program);
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return std::nullopt;
}

}  // namespace

Result<CredentialHelper> CredentialHelper::find(const std::string& name) {
  const bool clean = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  if (!clean) return Error(0, "credential helper \"", printable(name), "\": expected a name of letters and digits");
  const std::string program = "docker-credential-" + name;
  std::optional<std::string> path = find_in_path(program);
  if (!path) {
    return Error(0, "credential helper ", program,
                 " is not in your PATH; install it, or take it out of the file that names it");
  }
  return CredentialHelper(program, std::move(*path));
}

Result<CredentialHelper::Answer> CredentialHelper::ask(const char* verb, const std::string& request) const {
  if (request.size() > kMaxRequestBytes) return Error(E2BIG, name_, " ", verb);
  sys::Pipe input = TRY(sys::make_pipe());
  sys::Pipe output = TRY(sys::make_pipe());
  sys::Child child = TRY(sys::spawn(
      {path_, verb}, {.stdin_fd = input.reading.get(), .stdout_fd = output.writing.get(), .stderr_fd = STDERR_FILENO}));
  input.reading.reset();
  output.writing.reset();
  // One that does not read its input is told by its exit code, and not by a signal to us.
  const auto before = ::signal(SIGPIPE, SIG_IGN);
  const Result<Ok> written = sys::write_all(input.writing.get(), request, name_);
  ::signal(SIGPIPE, before);
  input.writing.reset();
  std::string text = TRY(sys::read_stream(output.reading.get(), name_, kMaxAnswerBytes));
  const sys::Exit exit = TRY(child.wait());
  if (exit.ok() && !written.ok()) return written.error();
  return Answer{exit.ok(), std::string(trim(text))};
}

Result<std::optional<Credentials>> CredentialHelper::get(const std::string& registry) const {
  const Answer answer = TRY(ask("get", helper_key(registry)));
  if (!answer.ok) {
    // The protocol's word for "there is none".
    if (answer.text.find("credentials not found") != std::string::npos) return std::optional<Credentials>();
    return Error(0, name_, " get ", registry, ": ", excerpt(answer.text.empty() ? "failed" : answer.text, 200));
  }
  const auto document = nlohmann::json::parse(answer.text, nullptr, false);
  const auto member = [&](const char* name) -> std::string {
    if (!document.is_object()) return "";
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : "";
  };
  Credentials credentials{member("Username"), member("Secret")};
  if (credentials.user.empty() && credentials.secret.empty()) {
    return Error(0, name_, " get ", registry, ": expected JSON with Username and Secret");
  }
  return std::optional(std::move(credentials));
}

Result<Ok> CredentialHelper::store(const std::string& registry, const Credentials& credentials) const {
  const nlohmann::json request = {
      {"ServerURL", helper_key(registry)}, {"Username", credentials.user}, {"Secret", credentials.secret}};
  const Answer answer = TRY(ask("store", request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  if (!answer.ok) return Error(0, name_, " store ", registry, ": ", excerpt(answer.text, 200));
  return Ok{};
}

Result<Ok> CredentialHelper::erase(const std::string& registry) const {
  const Answer answer = TRY(ask("erase", helper_key(registry)));
  if (!answer.ok) return Error(0, name_, " erase ", registry, ": ", excerpt(answer.text, 200));
  return Ok{};
}

Result<std::vector<std::string>> CredentialHelper::list() const {
  const Answer answer = TRY(ask("list", ""));
  const auto document = nlohmann::json::parse(answer.text, nullptr, false);
  if (!answer.ok || !document.is_object()) return Error(0, name_, " list: ", excerpt(answer.text, 200));
  std::vector<std::string> registries;
  for (const auto& [registry, user] : document.items()) registries.push_back(registry);
  return registries;
}

}  // namespace moss::engine
