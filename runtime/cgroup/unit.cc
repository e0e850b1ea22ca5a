// A container's transient scope in systemd's words.
#include "runtime/cgroup/unit.hh"

#include <algorithm>

#include "runtime/cgroup/devices.hh"
#include "runtime/cgroup/writes.hh"

namespace moss::runtime {

namespace {

constexpr std::string_view kUnitLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@";

// systemd-escape(1): a byte that no unit name may have becomes \xNN.
std::string escape_unit(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (kUnitLetters.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

bool is_slice(std::string_view text) {
  return text.size() > 6 && text.ends_with(".slice") && text.find_first_not_of(kUnitLetters) == std::string_view::npos;
}

// ---- limits ----

constexpr std::string_view kNoLimit = "18446744073709551615";

std::string number_or_max(std::string_view value) { return std::string(value == "max" ? kNoLimit : value); }

// "0-2,5" as a bitmap, the lowest number in the lowest bit of the first byte.
Result<std::vector<std::string>> bitmap(std::string_view name, std::string_view list) {
  std::vector<unsigned> bytes;
  for (const std::string_view part : split(list, ',')) {
    if (part.empty()) continue;
    const auto [first_text, last_text] = cut(part, '-');
    const auto first = parse_number<unsigned>(first_text);
    const auto last = parse_number<unsigned>(last_text.value_or(first_text));
    if (!first || !last || *first > *last || *last > 8191) {
      return Error(0, name, ": \"", printable(list), "\" is no list such as 0-3,7");
    }
    for (unsigned i = *first; i <= *last; ++i) {
      if (bytes.size() <= i / 8) bytes.resize(i / 8 + 1);
      bytes[i / 8] |= 1u << i % 8;
    }
  }
  std::vector<std::string> texts;
  for (const unsigned byte : bytes) texts.push_back(cat(byte));
  return texts;
}

// systemd counts processor time a second, in steps of 10 ms.
std::string quota_per_second(int64_t quota_us, uint64_t period_us) {
  if (quota_us < 0) return std::string(kNoLimit);
  const uint64_t period = period_us == 0 ? 100'000 : period_us;
  const auto quota = static_cast<uint64_t>(quota_us);
  // More than a century a second is as good as no limit.
  if (quota > UINT64_MAX / 2'000'000) return std::string(kNoLimit);
  const uint64_t us = quota * 1'000'000 / period;
  return cat((us + 9'999) / 10'000 * 10'000);
}

// Files of cgroup v2 whose number is also a property's.
struct Counterpart {
  std::string_view file;
  std::string_view property;
};
constexpr Counterpart kCounterparts[] = {
    {"memory.max", "MemoryMax"},          {"memory.high", "MemoryHigh"}, {"memory.low", "MemoryLow"},
    {"memory.min", "MemoryMin"},          {"pids.max", "TasksMax"},      {"cpu.weight", "CPUWeight"},
    {"memory.swap.max", "MemorySwapMax"},
};
constexpr Counterpart kCounterpartsV1[] = {
    {"memory.limit_in_bytes", "MemoryLimit"},
    {"cpu.shares", "CPUShares"},
    {"pids.max", "TasksMax"},
    {"blkio.weight", "BlockIOWeight"},
};

class Properties {
 public:
  void add(std::string_view name, std::string_view signature, std::vector<std::string> values) {
    list_.push_back({std::string(name), std::string(signature), std::move(values)});
  }
  std::vector<UnitProperty> take() && { return std::move(list_); }

 private:
  std::vector<UnitProperty> list_;
};

// On v1 systemd would open all devices again whenever it reloads.
Result<Ok> add_devices(Properties& out, const std::vector<oci::DeviceRule>& rules) {
  const std::vector<DeviceMatch> matches = TRY(device_matches(rules));
  if (matches.size() == 1 && matches[0].allow) return Ok{};
  std::vector<std::string> allowed;
  for (const DeviceMatch& match : matches) {
    if (!match.allow) continue;
    std::string access;
    if ((match.access & BPF_DEVCG_ACC_READ) != 0) access += 'r';
    if ((match.access & BPF_DEVCG_ACC_WRITE) != 0) access += 'w';
    if ((match.access & BPF_DEVCG_ACC_MKNOD) != 0) access += 'm';
    for (const uint32_t type : {BPF_DEVCG_DEV_CHAR, BPF_DEVCG_DEV_BLOCK}) {
      if (match.type && *match.type != type) continue;
      const std::string_view word = type == BPF_DEVCG_DEV_CHAR ? "char" : "block";
      if (match.major && match.minor) {
        allowed.push_back(cat("/dev/", word, '/', *match.major, ':', *match.minor));
      } else {
        allowed.push_back(cat(word, '-', match.major ? cat(*match.major) : "*"));
      }
      allowed.push_back(access);
    }
  }
  out.add("DevicePolicy", "s", {"strict"});
  out.add("DeviceAllow", "a(ss)", std::move(allowed));
  return Ok{};
}

}  // namespace

Result<ScopeName> scope_name(const std::string& cgroups_path, const std::string& id, bool user_manager) {
  const std::string usual_slice = user_manager ? "user.slice" : "system.slice";
  if (cgroups_path.empty()) return ScopeName{usual_slice, cat("moss-", escape_unit(id), ".scope")};
  const std::vector<std::string_view> parts = split(cgroups_path, ':');
  if (parts.size() != 3 || parts[2].empty()) {
    return Error(0, "linux.cgroupsPath: for systemd it is \"slice:prefix:name\", not \"", printable(cgroups_path), '"');
  }
  const std::string slice = parts[0].empty() ? usual_slice : std::string(parts[0]);
  if (!is_slice(slice)) return Error(0, "linux.cgroupsPath: \"", printable(slice), "\" is no slice of systemd's");
  const std::string prefix = parts[1].empty() ? "" : cat(escape_unit(parts[1]), '-');
  ScopeName name{slice, cat(prefix, escape_unit(parts[2]), ".scope")};
  if (name.unit.size() > 255) return Error(0, "linux.cgroupsPath: the unit's name has more than 255 letters");
  return name;
}

Result<std::vector<UnitProperty>> scope_properties(const oci::Resources& resources, bool v2) {
  Properties out;
  const std::vector<CgroupWrite> writes = TRY(v2 ? cgroup_writes_v2(resources) : cgroup_writes_v1(resources));
  for (const CgroupWrite& write : writes) {
    const auto table = v2 ? std::span<const Counterpart>(kCounterparts) : std::span<const Counterpart>(kCounterpartsV1);
    const auto known =
        std::find_if(table.begin(), table.end(), [&](const Counterpart& c) { return c.file == write.file; });
    if (known == table.end()) continue;
    std::string value = number_or_max(write.value == "-1" ? "max" : write.value);
    // systemd takes nought for "infinity"; the file itself then gets the nought.
    if (known->property == "TasksMax" && value == "0") value = "1";
    out.add(known->property, "t", {std::move(value)});
  }
  if (resources.cpu) {
    const oci::CpuLimits& cpu = *resources.cpu;
    if (cpu.quota.value_or(0) != 0) {
      out.add("CPUQuotaPerSecUSec", "t", {quota_per_second(*cpu.quota, cpu.period.value_or(0))});
    }
    if (cpu.period.value_or(0) != 0) out.add("CPUQuotaPeriodUSec", "t", {cat(*cpu.period)});
    if (v2 && !cpu.cpus.empty()) out.add("AllowedCPUs", "ay", TRY(bitmap("cpu.cpus", cpu.cpus)));
    if (v2 && !cpu.mems.empty()) out.add("AllowedMemoryNodes", "ay", TRY(bitmap("cpu.mems", cpu.mems)));
  }
  if (!v2) TRY(add_devices(out, resources.devices));
  return std::move(out).take();
}

Result<Ok> add_annotated_properties(std::vector<UnitProperty>& properties, const oci::Annotations& annotations) {
  constexpr std::string_view kPrefix = "org.systemd.property.";
  for (const auto& [key, value] : annotations) {
    if (!key.starts_with(kPrefix)) continue;
    const std::string name = key.substr(kPrefix.size());
    const bool is_name = name.size() > 2 && std::all_of(name.begin(), name.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                         });
    if (!is_name) return Error(0, "annotation ", printable(key), ": no property of systemd has that name");
    UnitProperty property = TRY(parse_property(name, value).context("annotation ", key));
    std::erase_if(properties, [&](const UnitProperty& other) { return other.name == property.name; });
    properties.push_back(std::move(property));
  }
  return Ok{};
}

}  // namespace moss::runtime
