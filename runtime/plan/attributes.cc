// Names of the spec and their numbers, each table in the spec's order.
// Spec: config.md "Scheduler", "IOPriority", "POSIX process"; config-linux.md "Memory policy", "Personality".
#include "runtime/plan/attributes.hh"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <string>

#include "moss/base/named.hh"

namespace moss::runtime {

namespace {

// sched.h hides most of these from C++; the numbers are those of linux/sched.h.
constexpr uint32_t kOther = 0;
constexpr uint32_t kFifo = 1;
constexpr uint32_t kRoundRobin = 2;
constexpr uint32_t kBatch = 3;
constexpr uint32_t kDeadline = 6;
constexpr Named<uint32_t> kPolicies[] = {{"SCHED_OTHER", kOther},      {"SCHED_FIFO", kFifo}, {"SCHED_RR", kRoundRobin},
                                         {"SCHED_BATCH", kBatch},      {"SCHED_ISO", 4},      {"SCHED_IDLE", 5},
                                         {"SCHED_DEADLINE", kDeadline}};

constexpr Named<uint64_t> kSchedulerFlags[] = {
    {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},     {"SCHED_FLAG_DL_OVERRUN", 0x04},
    {"SCHED_FLAG_KEEP_POLICY", 0x08},    {"SCHED_FLAG_KEEP_PARAMS", 0x10}, {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
    {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
};

// linux/ioprio.h: the class is shifted by 13.
constexpr Named<int> kIoClasses[] = {{"IOPRIO_CLASS_RT", 1}, {"IOPRIO_CLASS_BE", 2}, {"IOPRIO_CLASS_IDLE", 3}};

// linux/mempolicy.h
constexpr Named<int> kMemoryModes[] = {
    {"MPOL_DEFAULT", 0},   {"MPOL_BIND", 2},           {"MPOL_INTERLEAVE", 3}, {"MPOL_WEIGHTED_INTERLEAVE", 6},
    {"MPOL_PREFERRED", 1}, {"MPOL_PREFERRED_MANY", 5}, {"MPOL_LOCAL", 4},
};
constexpr Named<int> kMemoryFlags[] = {
    {"MPOL_F_NUMA_BALANCING", 1 << 13}, {"MPOL_F_RELATIVE_NODES", 1 << 14}, {"MPOL_F_STATIC_NODES", 1 << 15}};

// sys/personality.h
constexpr Named<unsigned long> kDomains[] = {{"LINUX", 0x0000}, {"LINUX32", 0x0008}};

constexpr Named<int> kResources[] = {
    {"RLIMIT_AS", RLIMIT_AS},           {"RLIMIT_CORE", RLIMIT_CORE},         {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},       {"RLIMIT_FSIZE", RLIMIT_FSIZE},       {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},   {"RLIMIT_NPROC", RLIMIT_NPROC},       {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},   {"RLIMIT_RTTIME", RLIMIT_RTTIME},     {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
};

constexpr Named<unsigned long> kPropagations[] = {
    {"shared", MS_SHARED},  {"slave", MS_SLAVE},  {"private", MS_PRIVATE},  {"unbindable", MS_UNBINDABLE},
    {"rshared", MS_SHARED}, {"rslave", MS_SLAVE}, {"rprivate", MS_PRIVATE}, {"runbindable", MS_UNBINDABLE},
};

constexpr uint32_t kMaxListed = 8191;

}  // namespace

Result<SetScheduler> scheduler_step(const oci::Scheduler& scheduler) {
  const auto policy = find_named(kPolicies, scheduler.policy);
  if (!policy) return Error(0, "unknown policy ", printable(scheduler.policy));
  SetScheduler step{};
  step.policy = *policy;
  for (const std::string& name : scheduler.flags) {
    const auto flag = find_named(kSchedulerFlags, name);
    if (!flag) return Error(0, "unknown flag ", printable(name));
    step.flags |= *flag;
  }
  if (scheduler.nice < -20 || scheduler.nice > 19) return Error(0, "nice is not within -20..19");
  if (scheduler.priority != 0 && *policy != kFifo && *policy != kRoundRobin) {
    return Error(0, "priority is for SCHED_FIFO and SCHED_RR only");
  }
  if (scheduler.priority < 0 || scheduler.priority > 99) return Error(0, "priority is not within 0..99");
  if ((scheduler.runtime != 0 || scheduler.deadline != 0 || scheduler.period != 0) && *policy != kDeadline) {
    return Error(0, "runtime, deadline and period are for SCHED_DEADLINE only");
  }
  step.nice = scheduler.nice;
  step.priority = static_cast<uint32_t>(scheduler.priority);
  step.runtime_ns = scheduler.runtime;
  step.deadline_ns = scheduler.deadline;
  step.period_ns = scheduler.period;
  return step;
}

Result<SetIoPriority> io_priority_step(const oci::IoPriority& priority) {
  const auto io_class = find_named(kIoClasses, priority.io_class);
  if (!io_class) return Error(0, "unknown class ", printable(priority.io_class));
  if (priority.priority < 0 || priority.priority > 7) return Error(0, "priority is not within 0..7");
  return SetIoPriority{(*io_class << 13) | priority.priority};
}

Result<std::pair<int, std::vector<uint32_t>>> memory_policy_of(const oci::MemoryPolicy& policy) {
  const auto found = find_named(kMemoryModes, policy.mode);
  if (!found) return Error(0, "unknown mode ", printable(policy.mode));
  int mode = *found;
  for (const std::string& name : policy.flags) {
    const auto flag = find_named(kMemoryFlags, name);
    if (!flag) return Error(0, "unknown flag ", printable(name));
    mode |= *flag;
  }
  std::vector<uint32_t> nodes;
  if (!policy.nodes.empty()) nodes = TRY(parse_number_list(policy.nodes).context("nodes"));
  return std::pair(mode, std::move(nodes));
}

Result<unsigned long> persona_of(const oci::Personality& personality) {
  const auto domain = find_named(kDomains, personality.domain);
  if (!domain) return Error(0, "unknown domain ", printable(personality.domain));
  // runtime-spec: "Currently no flag values are supported."
  if (!personality.flags.empty()) return Error(0, "unknown flag ", printable(personality.flags.front()));
  return *domain;
}

Result<std::vector<uint32_t>> parse_number_list(std::string_view text) {
  std::vector<uint32_t> numbers;
  for (const std::string_view part : split(text, ',')) {
    const auto [first_text, last_text] = cut(trim(part), '-');
    const auto first = parse_number<uint32_t>(first_text);
    const auto last = last_text ? parse_number<uint32_t>(*last_text) : first;
    if (!first || !last || *last < *first || *last > kMaxListed) {
      return Error(0, "no list such as 0-3,7: ", printable(text));
    }
    for (uint32_t number = *first; number <= *last; ++number) numbers.push_back(number);
  }
  if (numbers.empty()) return Error(0, "an empty list");
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::optional<int> resource_number(std::string_view name) { return find_named(kResources, name); }

std::optional<unsigned long> propagation_type(std::string_view name) { return find_named(kPropagations, name); }

}  // namespace moss::runtime
