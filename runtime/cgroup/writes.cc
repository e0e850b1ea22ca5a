// What both versions of cgroups say alike, and what neither can.
#include "runtime/cgroup/writes.hh"

#include <algorithm>

namespace moss::runtime {

bool is_page_size(std::string_view text) {
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == 0 || digits == std::string_view::npos) return false;
  const std::string_view unit = text.substr(digits);
  return unit == "KB" || unit == "MB" || unit == "GB";
}

bool is_cpu_list(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789-,") == std::string_view::npos;
}

namespace {

bool is_word(std::string_view text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == '\x7f'; });
}

Result<Ok> check_memory(const oci::MemoryLimits& memory) {
  for (const auto& [name, value] : {std::pair("limit", memory.limit), std::pair("reservation", memory.reservation),
                                    std::pair("swap", memory.swap)}) {
    if (value.value_or(0) < -1) return Error(0, "memory.", name, ": ", *value, " is neither a size nor -1");
  }
  if (memory.swappiness.value_or(0) > 100) return Error(0, "memory.swappiness: expected 0..100");
  const int64_t limit = memory.limit.value_or(0);
  const int64_t swap = memory.swap.value_or(0);
  if (swap > 0 && limit > swap) {
    return Error(0, "memory.swap: ", swap, " is memory and swap together, and less than memory.limit, ", limit);
  }
  return Ok{};
}

Result<Ok> check_cpu(const oci::CpuLimits& cpu) {
  if (!cpu.cpus.empty() && !is_cpu_list(cpu.cpus))
    return Error(0, "cpu.cpus: \"", printable(cpu.cpus), "\" is no list");
  if (!cpu.mems.empty() && !is_cpu_list(cpu.mems))
    return Error(0, "cpu.mems: \"", printable(cpu.mems), "\" is no list");
  if (cpu.idle && *cpu.idle != 0 && *cpu.idle != 1) return Error(0, "cpu.idle: expected 0 or 1");
  return Ok{};
}

}  // namespace

Result<Ok> check_resources(const oci::Resources& resources) {
  if (resources.memory) TRY(check_memory(*resources.memory));
  if (resources.cpu) TRY(check_cpu(*resources.cpu));
  if (resources.pids && resources.pids->limit.value_or(0) < -1) {
    return Error(0, "pids.limit: ", *resources.pids->limit, " is neither a number of processes nor -1");
  }
  for (const oci::HugepageLimit& limit : resources.hugepage_limits) {
    if (!is_page_size(limit.page_size)) {
      return Error(0, "hugepageLimits: \"", printable(limit.page_size), "\" is no page size such as 2MB");
    }
  }
  if (resources.network) {
    for (const oci::InterfacePriority& priority : resources.network->priorities) {
      if (!is_word(priority.name))
        return Error(0, "network.priorities: \"", printable(priority.name), "\" is no interface");
    }
  }
  return Ok{};
}

Result<Ok> add_rdma(Writes& out, const oci::Resources& resources) {
  for (const auto& [device, limit] : resources.rdma) {
    if (!is_word(device)) return Error(0, "rdma: \"", printable(device), "\" is no device");
    std::string line = device;
    if (limit.hca_handles) line += cat(" hca_handle=", *limit.hca_handles);
    if (limit.hca_objects) line += cat(" hca_object=", *limit.hca_objects);
    if (line != device) out.add(cat("rdma.", device), "rdma", "rdma.max", line);
  }
  return Ok{};
}

}  // namespace moss::runtime
