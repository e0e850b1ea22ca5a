// A folder of a test's own, and the small questions tests ask about files.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <string>

#include "moss/sys/file.hh"

namespace moss {

class TemporaryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<sys::TemporaryDir> made = sys::TemporaryDir::create(parent(), "moss-test-");
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    dir_.emplace(std::move(made).value());
  }

  std::string path(const std::string& name) const { return dir_->path() + "/" + name; }
  const std::string& root() const { return dir_->path(); }

  static void make_dir(const std::string& path) { ASSERT_TRUE(sys::make_dirs(path).ok()) << path; }
  static void write(const std::string& path, std::string_view text, mode_t mode = 0644) {
    const Result<Ok> made = sys::replace_file(path, text, mode);
    ASSERT_TRUE(made.ok()) << made.error().to_string();
  }
  static std::string read(const std::string& path) {
    Result<std::string> text = sys::read_file(path, 1u << 20);
    return text.ok() ? *text : "error: " + text.error().to_string();
  }
  static mode_t mode_of(const std::string& path) {
    struct stat status;
    return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }

 private:
  static std::string parent() {
    const char* set = ::getenv("TMPDIR");
    return set != nullptr && *set == '/' ? set : "/tmp";
  }
  std::optional<sys::TemporaryDir> dir_;
};

/// The error's whole text, or that there was none.
template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().to_string();
}

}  // namespace moss
