// What the tests of trust look at.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "moss/base/result.hh"

namespace moss::test {

template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().to_string();
}

}  // namespace moss::test
