// A cgroup's plan in words, a line a step: `moss debug plan`, and what tests compare.
#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

namespace {

std::string tree_name(const std::string& key) { return key.empty() ? "v2" : key; }

std::string write_line(const CgroupWrite& write) {
  std::string line = cat(write.file, " = ", printable(write.value));
  if (!write.other_file.empty()) line += cat(" (else ", write.other_file, " = ", printable(write.other_value), ')');
  if (write.optional) line += " (if there is such a file)";
  return cat(line, "  # ", write.limit, '\n');
}

}  // namespace

std::string to_string(const CgroupPlan& plan) {
  if (plan.empty()) return "no cgroup\n";
  std::string out;
  if (!plan.record.unit.empty()) {
    out +=
        cat("start ", plan.record.unit, " in ", plan.slice, plan.record.user_bus ? " of the user's systemd\n" : "\n");
    for (const UnitProperty& property : plan.properties) {
      out += cat("  ", property.name, " = ", property.signature, ' ', printable(join(property.values, " ")), '\n');
    }
    if (!plan.subgroup.empty()) out += cat("make the cgroup ", plan.subgroup, " in it\n");
  }
  for (const auto& [key, folder] : plan.record.folders)
    out += cat("make the cgroup ", folder, " (", tree_name(key), ")\n");
  if (!plan.controllers.empty()) {
    out += cat("enable ", join(plan.controllers, " "), " from ", plan.enable_from, " down\n");
  }
  for (const CgroupWrite& write : plan.writes) out += write_line(write);
  if (!plan.device_filter.empty()) {
    out += cat("filter devices, ", plan.device_filter.size(), " instructions",
               plan.record.rootless ? " (if the caller may)\n" : "\n");
  }
  if (plan.owner) out += cat("give it to user ", *plan.owner, '\n');
  out += plan.clone_into ? "start the container's process in it\n" : "add the container's process\n";
  return out;
}

}  // namespace moss::runtime
