// Programs that keep a user's passwords: docker-credential-NAME, found in PATH. One request on standard input, one JSON
// answer on standard output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/login.hh"

namespace moss::engine {

class CredentialHelper {
 public:
  /// Errors: a name with a slash in it; no such program.
  static Result<CredentialHelper> find(const std::string& name);
  /// "docker-credential-NAME"
  const std::string& name() const { return name_; }

  /// Nothing where it keeps none for the registry. Errors: it failed; the message is its own.
  Result<std::optional<Credentials>> get(const std::string& registry) const;
  Result<Ok> store(const std::string& registry, const Credentials& credentials) const;
  Result<Ok> erase(const std::string& registry) const;
  /// The registries it keeps something for, in its own way of writing them.
  Result<std::vector<std::string>> list() const;

 private:
  CredentialHelper(std::string name, std::string path) : name_(std::move(name)), path_(std::move(path)) {}
  struct Answer {
    bool ok = false;
    std::string text;
  };
  Result<Answer> ask(const char* verb, const std::string& request) const;

  std::string name_;
  std::string path_;
};

}  // namespace moss::engine
