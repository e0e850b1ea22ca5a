// pipe(2) with ends that are owned.
#pragma once

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::sys {

struct Pipe {
  Fd reading;
  Fd writing;
};
/// Both ends close on execve.
Result<Pipe> make_pipe();

}  // namespace moss::sys
