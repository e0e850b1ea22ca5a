// Running a bundle that somebody else wrote.
#pragma once

#include <string>

#include "moss/engine/container.hh"

namespace moss::engine {

/// Runs the bundle (a folder with config.json) in the foreground and gives its exit code. Keeps no record of it: the
/// container is gone when this returns. Errors: what is wrong with config.json, by JSON path; the failed step.
Result<int> run_bundle(const std::string& bundle, const std::string& id, const Notice& notice);

}  // namespace moss::engine
