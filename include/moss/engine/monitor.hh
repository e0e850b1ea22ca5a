// The entry of a detached container's monitor.
#pragma once

namespace moss::engine {

/// The first argument that makes a moss a monitor.
inline constexpr const char* kMonitorArgument = "--monitor";
/// Looks after one container until its end. The arguments are become_monitor()'s; nobody else calls it.
int monitor_main(int argc, char** argv);

}  // namespace moss::engine
