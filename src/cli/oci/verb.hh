// What the OCI runtime's verbs share: the options before the verb, and how an outcome is told.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/runtime/container.hh"
#include "src/cli/oci/arguments.hh"

namespace moss::cli {

/// What stands before the verb (and, for those that engines put anywhere, after it).
struct OciGlobals {
  std::string called_as;  ///< "moss oci", "moss-oci", "crun", "runc"
  std::string root;
  std::string log;
  std::string log_format = "text";
  std::string log_level;
  std::string cgroup_manager;
  std::string rootless;  ///< "true", "false", "auto" or empty
  bool systemd_cgroup = false;
  bool debug = false;

  /// Where containers are kept.
  Result<std::string> state_root() const;
  Result<runtime::CgroupManager> manager() const;
  /// For what is worth knowing but is not the outcome. It goes to the log, never to stderr: clients read that.
  runtime::Note warnings() const;
  /// With --debug, what is being done: in the log, or without one on stderr, as runc tells it.
  void tell_debug(const std::string& line) const;
};

/// Tells of a failure: one line on stderr and, with --log, one line there. Gives the exit code: 126 or 127 where the
/// cause decides it, else `otherwise`.
int oci_fail(const OciGlobals& globals, const Error& error, int otherwise = 1);

using Words = std::vector<std::string_view>;

struct OciVerb {
  const char* name;
  const char* usage;  ///< what follows the name
  const char* summary;
  int (*run)(const OciGlobals& globals, const OciVerb& verb, const Words& words);
};

/// Parses, answers --help, complains; then runs `body`, whose value is the exit code.
int with_arguments(const OciGlobals& globals, const OciVerb& verb, Arguments& arguments, const Words& words,
                   const std::function<Result<int>()>& body, int failure_code = 1);

/// The one word that must be there: the container's id.
Result<std::string> only_id(const Arguments& arguments);
/// The container of that name.
Result<runtime::Container> find_container(const OciGlobals& globals, const std::string& id);
/// Both.
Result<runtime::Container> only_container(const OciGlobals& globals, const Arguments& arguments);

/// runtime::hold_preserved(), with a warning of those that are not open.
Result<Ok> hold_preserved(const OciGlobals& globals, uint32_t preserve);

int oci_create(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_run(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_start(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_state(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_kill(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_delete(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_exec(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_list(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_ps(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_pause(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_resume(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_update(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_events(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_spec(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_features(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_mounts(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_checkpoint(const OciGlobals& globals, const OciVerb& verb, const Words& words);
int oci_restore(const OciGlobals& globals, const OciVerb& verb, const Words& words);

}  // namespace moss::cli
