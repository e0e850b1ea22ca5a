// argv lies where the kernel put it, the words one behind the other; /proc/PID/cmdline shows that memory.
#include "moss/sys/arguments.hh"

#include <string.h>
#include <sys/prctl.h>

#include <cstddef>

namespace moss::sys {

namespace {

struct {
  char* start = nullptr;
  size_t length = 0;
} words;

}  // namespace

void remember_arguments(int argc, char** argv) {
  if (argc < 1) return;
  char* const last = argv[argc - 1];
  words = {argv[0], static_cast<size_t>(last - argv[0]) + ::strlen(last)};
}

void forget_arguments(const char* name) {
  ::prctl(PR_SET_NAME, name, 0, 0, 0);
  for (size_t i = 0; i < words.length; ++i) {
    words.start[i] = *name;
    if (*name != '\0') ++name;
  }
}

}  // namespace moss::sys
