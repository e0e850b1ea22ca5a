// What to tell where the kernel makes no user namespace.
#pragma once

#include "moss/base/result.hh"

namespace moss::sys {

/// The error for this errno of clone(2), with the way to allow it.
Error no_user_namespace(int code);

}  // namespace moss::sys
