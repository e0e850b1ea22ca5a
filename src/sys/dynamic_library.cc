// dlopen(3), with an error that says what to install.
#include "moss/sys/dynamic_library.hh"

#include <dlfcn.h>

namespace moss::sys {

Result<DynamicLibrary> DynamicLibrary::open(const char* soname, std::string_view package) {
  void* handle = ::dlopen(soname, RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) return DynamicLibrary(handle, soname);
  const char* reason = ::dlerror();
  return Error(0, "load ", soname, ": ", reason != nullptr ? reason : "unknown reason",
               "; install it (Debian: apt install ", package, ")");
}

Result<void*> DynamicLibrary::address(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) return Error(0, "load ", soname_, ": it has no ", name, "; another version is needed");
  return found;
}

}  // namespace moss::sys
