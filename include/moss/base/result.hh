// Errors are values.
//
// Every function that can fail returns Result<T>. The error keeps the errno and says, in a user's words and lower
// case, what moss was doing; each caller that knows more puts its part in front with .context(). Only src/cli prints.
//
//   Result<Fd> open_config(const std::string& bundle) {
//     const std::string text = TRY(sys::read_file(bundle + "/config.json", kMaxConfigBytes));
//     ...
//   }
//   TRY(mount_proc().context("start ", name));
//
// Absence is not an error (std::optional); a bug in moss is an assert.
#pragma once

#include <cerrno>
#include <concepts>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "moss/base/text.hh"

namespace moss {

/// What went wrong. `code` is an errno value, or 0 where no system call is to blame.
class Error {
 public:
  /// `message` says what moss was doing, e.g. "open /etc/subuid"; errno's own text is added by to_string().
  template <typename... Parts>
  explicit Error(int code, const Parts&... message) : code_(code), message_(cat(message...)) {}

  int code() const { return code_; }
  /// The message without errno's text.
  const std::string& message() const { return message_; }
  /// "open /etc/subuid: Permission denied"
  std::string to_string() const;

  /// The exit code moss should end with, where the cause decides it (126, 127); empty means 125.
  std::optional<int> exit_code() const { return exit_code_; }
  Error with_exit_code(int exit_code) && {
    exit_code_ = exit_code;
    return std::move(*this);
  }

  /// Puts "what moss was doing: " in front.
  template <typename... Parts>
  void add_context(const Parts&... parts) {
    message_ = cat(parts..., ": ", message_);
  }

 private:
  int code_;
  std::string message_;
  std::optional<int> exit_code_;
};

/// An Error from the current errno. Call it before anything that may change errno.
template <typename... Parts>
Error sys_error(const Parts&... parts) {
  const int code = errno;
  return Error(code, parts...);
}

/// The value of a function that has nothing to return but success.
struct Ok {};

template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(Error error) : expected_(tl::unexpect, std::move(error)) {}  // NOLINT(google-explicit-constructor)
  template <typename U>
    requires std::convertible_to<U&&, T>
  Result(U&& value) : expected_(std::forward<U>(value)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return expected_.has_value(); }
  explicit operator bool() const { return ok(); }

  T& value() & { return *expected_; }
  const T& value() const& { return *expected_; }
  T&& value() && { return *std::move(expected_); }
  T* operator->() { return &*expected_; }
  const T* operator->() const { return &*expected_; }
  T& operator*() & { return *expected_; }
  const T& operator*() const& { return *expected_; }
  T&& operator*() && { return *std::move(expected_); }

  Error& error() & { return expected_.error(); }
  const Error& error() const& { return expected_.error(); }
  Error&& error() && { return std::move(expected_).error(); }

  /// Adds "parts: " to the error, if there is one.
  template <typename... Parts>
  Result context(const Parts&... parts) && {
    if (!ok()) expected_.error().add_context(parts...);
    return std::move(*this);
  }

 private:
  tl::expected<T, Error> expected_;
};

}  // namespace moss

/// The value of a Result, or return its error from the calling function.
#define TRY(expression)                                         \
  __extension__({                                               \
    auto try_result = (expression);                             \
    if (!try_result.ok()) return std::move(try_result).error(); \
    std::move(try_result).value();                              \
  })
