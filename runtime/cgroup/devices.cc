// Device rules.
//
// The last rule that matches decides, for each kind of access by itself: "allow r" and then "allow w" allow to open a
// device for both, and "allow rwm" and then "deny w" leaves reading. Cgroup v2 runs an eBPF program that does exactly
// this; cgroup v1 keeps a default and a list of exceptions, which can say less, and what it cannot say is refused.
// Spec: config-linux.md "Allowed Device list", "Default Devices".
#include "runtime/cgroup/devices.hh"

namespace moss::runtime {

namespace {

constexpr uint32_t kChar = BPF_DEVCG_DEV_CHAR;
constexpr uint32_t kBlock = BPF_DEVCG_DEV_BLOCK;
constexpr uint32_t kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr uint32_t kAll = DeviceMatch::kAllAccess;

// What every container gets. See the kernel's Documentation/admin-guide/devices.txt.
const DeviceMatch kDefaults[] = {
    {.allow = true, .type = kChar, .major = {}, .minor = {}, .access = kMknod},
    {.allow = true, .type = kBlock, .major = {}, .minor = {}, .access = kMknod},
    {.allow = true, .type = kChar, .major = 1, .minor = 3, .access = kAll},    // null
    {.allow = true, .type = kChar, .major = 1, .minor = 5, .access = kAll},    // zero
    {.allow = true, .type = kChar, .major = 1, .minor = 7, .access = kAll},    // full
    {.allow = true, .type = kChar, .major = 1, .minor = 8, .access = kAll},    // random
    {.allow = true, .type = kChar, .major = 1, .minor = 9, .access = kAll},    // urandom
    {.allow = true, .type = kChar, .major = 5, .minor = 0, .access = kAll},    // tty
    {.allow = true, .type = kChar, .major = 5, .minor = 2, .access = kAll},    // ptmx
    {.allow = true, .type = kChar, .major = 136, .minor = {}, .access = kAll}  // pts/N, console among them
};

Result<std::optional<uint32_t>> device_number(const char* name, const std::optional<int64_t>& number, uint32_t max) {
  // -1 was "all" in older configs.
  if (!number || *number == -1) return std::optional<uint32_t>();
  if (*number < 0 || *number > max) return Error(0, "devices: ", name, " ", *number, " is not in 0..", max);
  return std::optional(static_cast<uint32_t>(*number));
}

Result<uint32_t> access_bits(const std::string& access) {
  if (access.empty()) return kAll;
  uint32_t bits = 0;
  for (const char c : access) {
    if (c == 'r') {
      bits |= BPF_DEVCG_ACC_READ;
    } else if (c == 'w') {
      bits |= BPF_DEVCG_ACC_WRITE;
    } else if (c == 'm') {
      bits |= kMknod;
    } else {
      return Error(0, "devices: access \"", printable(access), "\" has more than r, w and m");
    }
  }
  return bits;
}

Result<DeviceMatch> device_match(const oci::DeviceRule& rule) {
  DeviceMatch match{.allow = rule.allow, .type = {}, .major = {}, .minor = {}, .access = TRY(access_bits(rule.access))};
  if (rule.type == "c" || rule.type == "u") {
    match.type = kChar;
  } else if (rule.type == "b") {
    match.type = kBlock;
  } else if (!rule.type.empty() && rule.type != "a") {
    return Error(0, "devices: type \"", printable(rule.type), "\" is not a, b or c");
  }
  match.major = TRY(device_number("major", rule.major, 0xfff));
  match.minor = TRY(device_number("minor", rule.minor, 0xfffff));
  return match;
}

// ---- eBPF: r1 the context; r2 type, r3 the accesses nobody has decided about yet, r4 major, r5 minor ----

bpf_insn load(uint8_t to, size_t offset) {
  return {.code = BPF_LDX | BPF_W | BPF_MEM, .dst_reg = to, .src_reg = BPF_REG_1, .off = static_cast<int16_t>(offset)};
}
bpf_insn move(uint8_t to, uint8_t from) { return {.code = BPF_ALU | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from}; }
bpf_insn set(uint8_t to, uint32_t value) {
  return {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = to, .imm = static_cast<int32_t>(value)};
}
bpf_insn compute(uint8_t operation, uint8_t to, uint32_t value) {
  return {.code = static_cast<uint8_t>(BPF_ALU | operation | BPF_K), .dst_reg = to, .imm = static_cast<int32_t>(value)};
}
bpf_insn jump(uint8_t condition, uint8_t of, uint32_t value, size_t over) {
  return {.code = static_cast<uint8_t>(BPF_JMP | condition | BPF_K),
          .dst_reg = of,
          .off = static_cast<int16_t>(over),
          .imm = static_cast<int32_t>(value)};
}
bpf_insn leave() { return {.code = BPF_JMP | BPF_EXIT}; }

// One rule: decides about the accesses it names, if the device is one of its own, and else is passed over.
std::vector<bpf_insn> rule_code(const DeviceMatch& match) {
  std::vector<bpf_insn> verdict;
  if (!match.allow) {
    // One undecided access that is denied denies the whole open.
    if (match.access == kAll) {
      verdict = {set(BPF_REG_0, 0), leave()};
    } else {
      verdict = {move(BPF_REG_1, BPF_REG_3), compute(BPF_AND, BPF_REG_1, match.access), jump(BPF_JEQ, BPF_REG_1, 0, 2),
                 set(BPF_REG_0, 0), leave()};
    }
  } else if (match.access == kAll) {
    verdict = {set(BPF_REG_0, 1), leave()};
  } else {
    verdict = {compute(BPF_AND, BPF_REG_3, kAll & ~match.access), jump(BPF_JNE, BPF_REG_3, 0, 2), set(BPF_REG_0, 1),
               leave()};
  }
  std::vector<std::pair<uint8_t, uint32_t>> conditions;
  if (match.type) conditions.emplace_back(BPF_REG_2, *match.type);
  if (match.major) conditions.emplace_back(BPF_REG_4, *match.major);
  if (match.minor) conditions.emplace_back(BPF_REG_5, *match.minor);
  std::vector<bpf_insn> code;
  for (size_t i = 0; i < conditions.size(); ++i) {
    const size_t rest = conditions.size() - i - 1 + verdict.size();
    code.push_back(jump(BPF_JNE, conditions[i].first, conditions[i].second, rest));
  }
  code.insert(code.end(), verdict.begin(), verdict.end());
  return code;
}

// ---- v1 ----

std::string access_text(uint32_t access) {
  std::string text;
  if ((access & BPF_DEVCG_ACC_READ) != 0) text += 'r';
  if ((access & BPF_DEVCG_ACC_WRITE) != 0) text += 'w';
  if ((access & kMknod) != 0) text += 'm';
  return text;
}

std::string number_text(const std::optional<uint32_t>& number) { return number ? cat(*number) : "*"; }

std::string rule_text(uint32_t type, const DeviceMatch& match) {
  return cat(type == kChar ? 'c' : 'b', ' ', number_text(match.major), ':', number_text(match.minor), ' ',
             access_text(match.access));
}

bool overlap(const std::optional<uint32_t>& a, const std::optional<uint32_t>& b) { return !a || !b || *a == *b; }

bool overlap(const DeviceMatch& a, const DeviceMatch& b) {
  return overlap(a.type, b.type) && overlap(a.major, b.major) && overlap(a.minor, b.minor) &&
         (a.access & b.access) != 0;
}

bool same_devices(const DeviceMatch& a, const DeviceMatch& b) {
  return a.type == b.type && a.major == b.major && a.minor == b.minor;
}

}  // namespace

Result<std::vector<DeviceMatch>> device_matches(const std::vector<oci::DeviceRule>& rules) {
  std::vector<DeviceMatch> matches = {{.allow = false, .type = {}, .major = {}, .minor = {}, .access = kAll}};
  for (const oci::DeviceRule& rule : rules) {
    const DeviceMatch match = TRY(device_match(rule));
    // What came before a rule about everything no longer matters.
    if (match.is_total()) matches.clear();
    matches.push_back(match);
  }
  // After "everything is allowed" there is nothing to add.
  if (!matches.back().is_total() || !matches.back().allow) {
    matches.insert(matches.end(), std::begin(kDefaults), std::end(kDefaults));
  }
  return matches;
}

Result<std::vector<bpf_insn>> device_filter(const std::vector<oci::DeviceRule>& rules) {
  const std::vector<DeviceMatch> matches = TRY(device_matches(rules));
  if (matches.size() == 1 && matches[0].is_total() && matches[0].allow) return std::vector<bpf_insn>();
  std::vector<bpf_insn> program = {
      load(BPF_REG_2, offsetof(bpf_cgroup_dev_ctx, access_type)),
      move(BPF_REG_3, BPF_REG_2),
      compute(BPF_AND, BPF_REG_2, 0xffff),
      compute(BPF_RSH, BPF_REG_3, 16),
      load(BPF_REG_4, offsetof(bpf_cgroup_dev_ctx, major)),
      load(BPF_REG_5, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (size_t i = matches.size(); i-- > 0;) {
    const std::vector<bpf_insn> code = rule_code(matches[i]);
    program.insert(program.end(), code.begin(), code.end());
  }
  return program;
}

Result<Ok> add_device_writes(Writes& out, const std::vector<oci::DeviceRule>& rules) {
  const std::vector<DeviceMatch> matches = TRY(device_matches(rules));
  for (size_t i = 0; i < matches.size(); ++i) {
    const DeviceMatch& match = matches[i];
    const char* const file = match.allow ? "devices.allow" : "devices.deny";
    if (match.is_total()) {
      // Without a devices tree everything is allowed as it is.
      out.add("devices", "devices", file, "a").optional = match.allow && matches.size() == 1;
      continue;
    }
    // The list of exceptions to "nothing" takes an exception back only as it was given.
    const bool all_by_default = matches[0].allow;
    for (size_t j = 1; j < i && !match.allow && !all_by_default; ++j) {
      if (matches[j].allow && overlap(matches[j], match) && !same_devices(matches[j], match)) {
        return Error(0, "devices: cgroup v1 cannot deny ", rule_text(match.type.value_or(kChar), match),
                     " out of what an earlier rule allows, ", rule_text(matches[j].type.value_or(kChar), matches[j]));
      }
    }
    for (const uint32_t type : {kChar, kBlock}) {
      if (!match.type || *match.type == type) out.add("devices", "devices", file, rule_text(type, match));
    }
  }
  return Ok{};
}

}  // namespace moss::runtime
