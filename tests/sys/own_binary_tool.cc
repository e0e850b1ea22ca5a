// What moss does before it starts a container, and what a container would find then: whether its file can be written.
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "moss/sys/own_binary.hh"

int main(int argc, char** argv) {
  const moss::Result<moss::Ok> done = moss::sys::protect_own_binary(argv);
  if (!done.ok()) {
    ::printf("%s\n", done.error().to_string().c_str());
    return 1;
  }
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int seals = ::fcntl(fd, F_GET_SEALS);
  const bool may_write = ::faccessat(AT_FDCWD, "/proc/self/exe", W_OK, AT_EACCESS) == 0;
  ::printf("%s %d\n", may_write && (seals < 0 || (seals & F_SEAL_WRITE) == 0) ? "writable" : "out of reach", argc);
  return 0;
}
