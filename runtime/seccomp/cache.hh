// Compiled filters on disk, one file a policy. Nothing in such a file is believed that was not checked.
#pragma once

#include <linux/filter.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace moss::runtime {

/// All that a compiled filter depends on: the policy, the architecture, libseccomp's version and moss's.
std::string cache_key(std::string_view policy_text);

/// The name of the entry for `key` within the folder.
std::string cache_entry_name(std::string_view key);

/// The program left for exactly this key; nothing where there is none that can be trusted.
std::optional<std::vector<sock_filter>> read_cached(const std::string& dir, const std::string& key);

/// Leaves a program for the next time. What goes wrong is nobody's concern: the cache is then as it was.
void write_cached(const std::string& dir, const std::string& key, std::span<const sock_filter> program);

}  // namespace moss::runtime
