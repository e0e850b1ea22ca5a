// Lets a User Mode Linux of before 6.13 run on processors with AMX: LD_PRELOADed into it.
//
// It keeps the vector registers of its guest's threads in areas of a fixed size, as large as processors had when it was
// built, and writes them back with ptrace(2). Where the processor has more, the host refuses to write less than all,
// and the machine stops. What it does not know (AMX's tiles) nobody in the guest uses: so ptrace() writes zeros there.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

typedef long Ptrace(int, ...);

static long write_registers(Ptrace* next, pid_t pid, const struct iovec* asked) {
  static size_t length;               // what the host wants
  static unsigned char bytes[65536];  // the stack is a kernel's, which has no room
  struct iovec all = {bytes, sizeof bytes};
  if (length == 0) {
    if (next(PTRACE_GETREGSET, pid, (void*)NT_X86_XSTATE, &all) != 0) return -1;
    length = all.iov_len;
    memset(bytes, 0, length);
  }
  all.iov_len = length;
  memcpy(bytes, asked->iov_base, asked->iov_len < length ? asked->iov_len : length);
  return next(PTRACE_SETREGSET, pid, (void*)NT_X86_XSTATE, &all);
}

long ptrace(enum __ptrace_request request, ...) {
  static Ptrace* next;
  if (next == NULL) next = (Ptrace*)dlsym(RTLD_NEXT, "ptrace");
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  void* address = va_arg(arguments, void*);
  void* data = va_arg(arguments, void*);
  va_end(arguments);
  if (request == PTRACE_SETREGSET && address == (void*)NT_X86_XSTATE) return write_registers(next, pid, data);
  return next(request, pid, address, data);
}
