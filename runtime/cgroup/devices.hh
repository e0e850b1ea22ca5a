// Which devices a container may open or make: the rules of config.json, made exact. Private to runtime/cgroup.
#pragma once

#include <linux/bpf.h>

#include <optional>
#include <vector>

#include "runtime/cgroup/writes.hh"

namespace moss::runtime {

/// One rule, for one kind of device. Bits as eBPF has them: BPF_DEVCG_ACC_MKNOD | _READ | _WRITE.
struct DeviceMatch {
  bool allow = false;
  std::optional<uint32_t> type;   ///< BPF_DEVCG_DEV_CHAR or _BLOCK; nothing: both
  std::optional<uint32_t> major;  ///< nothing: all of them
  std::optional<uint32_t> minor;
  uint32_t access = 0;
  bool operator==(const DeviceMatch&) const = default;

  bool is_total() const { return !type && !major && !minor && access == kAllAccess; }
  static constexpr uint32_t kAllAccess = BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE;
};

/// The rules in their order, the last that matches decides; before them stands "nothing is allowed", after them what
/// every container gets: the spec's default devices, terminals, and making nodes (opening them is another matter).
/// Errors: a type or an access that there is not, a number that no device has.
Result<std::vector<DeviceMatch>> device_matches(const std::vector<oci::DeviceRule>& rules);

/// The same as writes to devices.allow and devices.deny. Errors: a rule that cgroup v1 cannot express.
Result<Ok> add_device_writes(Writes& out, const std::vector<oci::DeviceRule>& rules);

/// Loads a filter and attaches it to a v2 folder, in place of the one moss attached before.
/// `may_skip`: nothing happens where the caller may not load one (EPERM), as root of a user namespace.
Result<Ok> attach_device_filter(int folder, const std::vector<bpf_insn>& program, bool may_skip);

}  // namespace moss::runtime
