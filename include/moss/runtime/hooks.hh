// Hooks that the runtime itself runs, in its own namespaces: prestart, createRuntime, poststart, poststop. Those of the
// container's namespaces are steps of the plan (RunHook).
#pragma once

#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/oci/config.hh"

namespace moss::runtime {

/// Runs one hook with `state` (JSON) on its standard input and waits for it; after `timeout` seconds it is killed.
/// Errors name the hook by `kind` and path: it is not there, ended with another status than 0, took too long. They
/// include the first line of what it wrote to stderr.
Result<Ok> run_hook(const char* kind, const oci::Hook& hook, const std::string& state, const std::string& bundle);

/// All of them in order, until one fails.
Result<Ok> run_hooks(const char* kind, const std::vector<oci::Hook>& hooks, const std::string& state,
                     const std::string& bundle);

}  // namespace moss::runtime
