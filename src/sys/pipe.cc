// Pipes.
#include "moss/sys/pipe.hh"

#include <fcntl.h>
#include <unistd.h>

namespace moss::sys {

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return sys_error("make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace moss::sys
