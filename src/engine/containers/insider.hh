// A process of a running container that we may look at and join.
#pragma once

#include <sys/types.h>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"

namespace moss::engine {

struct Insider {
  pid_t pid;
  Fd pidfd;
};

/// Process 1; but with --init that one is closed even to us (ForkFromInit), and its first child, the command, it is.
/// Error: it does not run, or is ending.
Result<Insider> find_insider(const Container& container);

}  // namespace moss::engine
