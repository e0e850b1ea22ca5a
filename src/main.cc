// One binary, several names: see src/cli.
#include <unistd.h>

#include <cstring>

#include "moss/cli/cli.hh"
#include "moss/engine/monitor.hh"
#include "moss/sys/arguments.hh"

int main(int argc, char** argv) {
  // A detached container's monitor is moss executed anew; it needs none of the command line's machinery.
  if (argc > 1 && std::strcmp(argv[1], moss::engine::kMonitorArgument) == 0)
    return moss::engine::monitor_main(argc, argv);
  moss::sys::remember_arguments(argc, argv);
  const int code = moss::cli::main(argc, argv);
#ifdef __SANITIZE_ADDRESS__
  return code;  // leaks are looked for at the end
#else
  // Everything was written by write(2), and no static object has anything to put away: destructors would only be paged
  // in for nothing.
  ::_exit(code);
#endif
}
