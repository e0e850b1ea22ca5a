// The words of a config's "process" that stand for the kernel's numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/config.hh"
#include "moss/runtime/step.hh"

namespace moss::runtime {

// Each is pure; its error is a complaint without the place, which the caller knows.

Result<SetScheduler> scheduler_step(const oci::Scheduler& scheduler);
Result<SetIoPriority> io_priority_step(const oci::IoPriority& priority);
/// Mode with flags, and the nodes.
Result<std::pair<int, std::vector<uint32_t>>> memory_policy_of(const oci::MemoryPolicy& policy);
Result<unsigned long> persona_of(const oci::Personality& personality);
/// "0-3,7": the numbers, at most 8191, in order and once each. See cpuset(7) "List format".
Result<std::vector<uint32_t>> parse_number_list(std::string_view text);
/// "RLIMIT_NOFILE".
std::optional<int> resource_number(std::string_view name);
/// MS_… of "shared", "rslave" and their like (config-linux.md "Rootfs Mount Propagation").
std::optional<unsigned long> propagation_type(std::string_view name);

}  // namespace moss::runtime
