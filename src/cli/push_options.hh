// What push and manifest push have in common.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/push.hh"
#include "src/cli/cli11.hh"
#include "src/cli/registry_options.hh"

namespace moss::cli {

/// As typed.
struct PushWords {
  engine::RegistryAccess access;
  std::string format;
  std::string compression;
  std::optional<int> level;
  std::optional<bool> force;
  std::string digest_file;
  RetryWords retry;
  bool remove_signatures = false;
  bool quiet = false;
};

void add_push_options(CLI::App& app, PushWords& words);
/// Errors: an option's value, in a user's words.
Result<engine::PushOptions> push_options(const PushWords& words);
/// --digestfile.
Result<Ok> write_digest(const PushWords& words, const std::string& digest);

/// An option of Podman's that moss has not, and what to do instead.
struct UnsupportedOption {
  std::string_view name;
  const char* instead;
};
inline constexpr const char* kSignsNothing = "moss signs nothing; sign what was pushed with cosign or skopeo";
/// Among the words CLI11 did not know. Errors: one is there.
Result<Ok> refuse_unsupported(const std::vector<std::string>& typed, std::span<const UnsupportedOption> options);
/// The rest of those.
Result<Ok> no_extra_words(const CLI::App& app);

}  // namespace moss::cli
