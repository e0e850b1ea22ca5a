// Libraries that only some commands need, loaded when first used: a dynamic libcurl costs every start 3 ms.
#pragma once

#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::sys {

/// A shared library found by the system's loader and kept until the process ends: libcrypto and libcurl register exit
/// handlers, so they are never unloaded.
///
///   const DynamicLibrary crypto = TRY(DynamicLibrary::open("libcrypto.so.3", "libssl3"));
///   const auto init = TRY(crypto.function<int(void*)>("EVP_DigestInit"));
class DynamicLibrary {
 public:
  /// `soname` as in "libcrypto.so.3"; `package` is what a user should install when it is missing (Debian's name).
  /// Error: not on this machine, or not loadable; the message names both.
  static Result<DynamicLibrary> open(const char* soname, std::string_view package);

  /// A function by name. `Signature` must be the C declaration's: nothing checks it. Error: no such symbol.
  template <typename Signature>
  Result<Signature*> function(const char* name) const {
    return reinterpret_cast<Signature*>(TRY(address(name)));
  }

 private:
  DynamicLibrary(void* handle, std::string soname) : handle_(handle), soname_(std::move(soname)) {}
  Result<void*> address(const char* name) const;

  void* handle_;
  std::string soname_;
};

}  // namespace moss::sys
