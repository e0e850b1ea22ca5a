// User ids: who the caller is, which subordinate ids they own, and how a user namespace gets its mapping.
// See user_namespaces(7), subuid(5), newuidmap(1).
#pragma once

#include <sys/types.h>

#include <array>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/sys/child.hh"

namespace moss::sys {

/// Ranges granted to a user by /etc/subuid and /etc/subgid (`inside` is 0 and means nothing).
struct SubordinateIds {
  std::vector<IdRange> uids;
  std::vector<IdRange> gids;
  bool empty() const { return uids.empty() || gids.empty(); }
};

/// Reads /etc/subuid and /etc/subgid for a user, by name or number. A missing file grants nothing.
Result<SubordinateIds> read_subordinate_ids(const std::string& user_name, uid_t uid);
/// The lines of one such file that name the user. Pure.
std::vector<IdRange> parse_subordinate_ids(std::string_view text, const std::string& user_name, uid_t uid);

/// Root inside is `user` outside; every subordinate id follows from 1 up, without gaps. Pure.
std::vector<IdRange> id_ranges(uint32_t user, std::span<const IdRange> grants);

/// The user's name by getpwuid(3); the number where there is none.
std::string user_name(uid_t uid);

/// Gives a process in a fresh user namespace its mapping. Started early and finished late, so that the caller works
/// while the set-user-id helpers do.
class IdMapping {
 public:
  /// Begins to map the user namespace of `pid`. A single-id map is written at once, with setgroups denied. A caller
  /// with CAP_SETUID over the parent namespace writes any map itself; everybody else starts newuidmap and newgidmap,
  /// both at once.
  /// Errors: no newuidmap on this machine.
  static Result<IdMapping> start(pid_t pid, const IdMap& map);
  /// Waits for both helpers. Error: what the helper complained of.
  Result<Ok> finish();

 private:
  struct Helper {
    std::string name;
    Child child;
    Fd complaint;  ///< reading end of its stderr
  };
  std::vector<Helper> helpers_;
};

/// A child process that becomes root of a new user namespace (and mount namespace, so that it may mount) once its ids
/// are mapped. Used for work on files with mapped owners: unpacking layers, removing them.
class NamespaceChild {
 public:
  /// The child is born here, so the caller must have no threads; it may have some by the time of the rest. It runs
  /// `meanwhile`, still without ids, while they are being mapped, and then `body`, which gives its exit code.
  /// Errors: user namespaces are closed.
  static Result<NamespaceChild> start(
      const IdMap& map, const std::function<int()>& body, const std::function<void()>& meanwhile = [] {});
  /// Starts the mapping. Errors: as IdMapping::start. Once it has begun a second call does nothing.
  Result<Ok> begin_mapping();
  /// Waits for the mapping (begins it if need be) and lets the child go on. A second call does nothing.
  Result<Ok> run();
  bool runs() const { return !go_; }
  Child take() && { return std::move(child_); }

 private:
  NamespaceChild(IdMap map, Child child, Fd go) : map_(std::move(map)), child_(std::move(child)), go_(std::move(go)) {}
  IdMap map_;
  Child child_;
  Fd go_;  ///< a byte for each step; gone when it runs
  std::optional<IdMapping> mapping_;
};

/// Runs `body` in a NamespaceChild; gives its exit code. The caller must have no threads.
/// Errors: user namespaces are closed; no newuidmap; killed by a signal.
Result<int> run_in_user_namespace(const IdMap& map, const std::function<int()>& body);
/// The same, not waited for.
Result<Child> start_in_user_namespace(const IdMap& map, const std::function<int()>& body);

}  // namespace moss::sys
