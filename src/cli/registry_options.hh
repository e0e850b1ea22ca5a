// What the verbs that talk to a registry have in common.
#pragma once

#include <string>

#include "moss/base/result.hh"
#include "moss/engine/registry_access.hh"
#include "src/cli/cli11.hh"

namespace moss::cli {

/// --cert-dir and --tls-verify.
void add_tls_options(CLI::App& app, engine::RegistryAccess& access);
/// The same, --authfile and --creds.
void add_registry_options(CLI::App& app, engine::RegistryAccess& access);

/// As typed.
struct RetryWords {
  int retries = 3;
  std::string delay;
};
/// --retry and --retry-delay.
void add_retry_options(CLI::App& app, RetryWords& words);
/// Into the members of PullOptions or PushOptions. Errors: a value that is none.
Result<Ok> read_retries(const RetryWords& words, int& retries, int& retry_delay_ms);

}  // namespace moss::cli
