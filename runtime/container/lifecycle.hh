// A container's state in the words of the runtime-spec, who hears of it after its process is there, and the filter that
// its processes have.
#pragma once

#include "moss/oci/state.hh"
#include "moss/runtime/container.hh"
#include "moss/runtime/plan.hh"

namespace moss::runtime {

/// What a hook reads.
std::string hook_state(const oci::ContainerRecord& record, const char* status, int64_t pid);

/// Puts the filter of the container's policy, where it has one, into a plan. Filters are kept in `root`.
Result<Ok> add_filter(const oci::Config& config, const std::string& root, PlanOptions& options);

/// Hands the listener of the container's filter to the agent that its policy names.
Result<Ok> hand_on_listener(const oci::Seccomp& seccomp, const oci::ContainerRecord& record, const char* status,
                            pid_t pid, int listener);

/// A failing hook stops the container: runtime.md "Lifecycle".
Result<Ok> run_poststart(const Container& container);

/// What goes wrong with one is told and does not keep the others from running.
void run_poststop(const oci::Hooks& hooks, const oci::ContainerRecord& record, const Note& note);

}  // namespace moss::runtime
