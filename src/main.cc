// One binary, several names: see src/cli.
#include <cstring>

#include "moss/cli/cli.hh"
#include "moss/engine/monitor.hh"
#include "moss/sys/arguments.hh"

int main(int argc, char** argv) {
  // A detached container's monitor is moss executed anew; it needs none of the command line's machinery.
  if (argc > 1 && std::strcmp(argv[1], moss::engine::kMonitorArgument) == 0)
    return moss::engine::monitor_main(argc, argv);
  moss::sys::remember_arguments(argc, argv);
  return moss::cli::main(argc, argv);
}
