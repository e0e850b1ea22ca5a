// Descriptors over sockets: unix(7), SCM_RIGHTS.
#pragma once

#include <sys/types.h>

#include <cstddef>

namespace moss::sys {

/// sendmsg(2) of `size` bytes, with a descriptor. A system call and the stack, so that a child of a launch may use it;
/// tried again where a signal came. The bytes that went, or -1 with errno.
ssize_t send_with_descriptor(int socket, const void* data, size_t size, int descriptor);

}  // namespace moss::sys
