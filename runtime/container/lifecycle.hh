// A container's state in the words of the runtime-spec, and the hooks that hear of it after its process is there.
#pragma once

#include "moss/oci/state.hh"
#include "moss/runtime/container.hh"

namespace moss::runtime {

/// What a hook reads.
std::string hook_state(const oci::ContainerRecord& record, const char* status, int64_t pid);

/// Hands the listener of the container's filter to the agent that its policy names.
Result<Ok> hand_on_listener(const oci::Seccomp& seccomp, const oci::ContainerRecord& record, const char* status,
                            pid_t pid, int listener);

/// A failing hook stops the container: runtime.md "Lifecycle".
Result<Ok> run_poststart(const Container& container);

/// What goes wrong with one is told and does not keep the others from running.
void run_poststop(const oci::Hooks& hooks, const oci::ContainerRecord& record, const Note& note);

}  // namespace moss::runtime
