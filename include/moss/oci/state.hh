// What is told of a container, and what is remembered of one: the runtime-spec's "State" (runtime.md), which hooks read
// and `state` prints, and moss's own record, one file a container. Both are JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/cgroup.hh"
#include "moss/oci/config.hh"

namespace moss::oci {

/// The runtime-spec that moss keeps to.
inline constexpr const char* kSpecVersion = "1.3.0";

/// runtime.md "State". Empty and zero members beyond those that the spec requires are left out.
struct State {
  std::string oci_version = kSpecVersion;
  std::string id;
  std::string status;  ///< "creating", "created", "running", "stopped"; moss, as runc and crun, also has "paused"
  int64_t pid = 0;
  std::string bundle;  ///< absolute
  std::string rootfs;  ///< absolute; not the spec's, but runc and crun tell it
  std::string created;
  std::string owner;
  Annotations annotations;
  bool operator==(const State&) const = default;
};

/// For people, as `state` prints it.
std::string encode_state(const State& state);
/// One line, as a hook reads it.
std::string encode_hook_state(const State& state);
/// `list --format json`.
std::string encode_states(const std::vector<State>& states);
/// Errors begin with "state:".
Result<State> decode_state(std::string_view json);

/// The form of record that this moss writes and reads. Another one is an error, not a guess.
inline constexpr uint32_t kRecordVersion = 1;

/// What moss remembers of a container, in `state.json` of its folder. Written before the container's process exists and
/// once more when it waits for its start (or runs); what changes afterwards, the kernel tells.
struct ContainerRecord {
  uint32_t version = kRecordVersion;
  std::string id;
  std::string bundle;
  std::string rootfs;
  std::string created;  ///< RFC 3339
  uint32_t owner = 0;   ///< user id of the creator
  Annotations annotations;

  int64_t pid = 0;                 ///< process 1, as the creator's pid namespace counts it; 0 while it is being created
  uint64_t start_time = 0;         ///< field 22 of /proc/PID/stat
  uint64_t pidfd_inode = 0;        ///< unique to the process on Linux 6.9 and later; else 0
  std::string boot_id;             ///< the boot these numbers belong to
  bool own_pid_namespace = false;  ///< everybody in it dies with process 1
  std::vector<std::string> resctrl;  ///< groups that were made for it, in the order in which they are removed
  CgroupRecord cgroup;               ///< empty where there is none

  bool has_poststart = false;  ///< hooks, so that config.json need not be read to learn that there are none
  bool has_poststop = false;

  /// The steps that `start` brings about, in the words of their errors, and the number of the first one: the plan
  /// itself ended with its maker.
  std::vector<std::string> steps;
  uint32_t first_step = 0;
  std::string command;  ///< what the last of them executes
  bool operator==(const ContainerRecord&) const = default;
};

/// Errors: not JSON, cut off, a property of the wrong kind, a version other than kRecordVersion.
Result<ContainerRecord> decode_record(std::string_view json);
std::string encode_record(const ContainerRecord& record);

}  // namespace moss::oci
