// What the tests of oci/ share.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "moss/base/result.hh"

namespace moss::oci {

/// The value, or a failed test that shows the error.
template <typename T>
T value_of(Result<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.error().to_string();
    return *Result<T>(T{});
  }
  return std::move(result).value();
}

/// The error's text, or "no error".
template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().to_string();
}

inline const std::string kDigestA = "sha256:" + std::string(64, 'a');
inline const std::string kDigestB = "sha256:" + std::string(64, 'b');

}  // namespace moss::oci
