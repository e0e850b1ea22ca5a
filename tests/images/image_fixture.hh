// A store in a folder of its own, and small images to fill it with.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/engine/archives.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/oci/image.hh"
#include "tests/unpack/tar_writer.hh"

namespace moss::test {

/// Prints the error where there is one.
template <typename T>
testing::AssertionResult succeeded(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().to_string();
}

template <typename T>
std::string error_of(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().to_string();
}

/// An OCI layout under construction; every part may be made wrong before it is written.
class LayoutWriter {
 public:
  explicit LayoutWriter(std::string path);
  const std::string& path() const { return path_; }

  /// Writes a blob and describes it.
  oci::Descriptor blob(const std::string& media_type, const std::string& content);
  /// An image of the layers (tars, stored plain); `edit` may spoil its parts before they are written.
  struct Parts {
    oci::ImageConfig config;
    oci::Manifest manifest;
  };
  oci::Descriptor image(const std::vector<std::string>& layers, const std::function<void(Parts&)>& edit = {});
  /// A list with an image of Linux for each architecture, whose file /f holds its name.
  oci::Descriptor list(const std::vector<std::string>& architectures);
  /// Adds an entry to index.json.
  void add(oci::Descriptor entry, const std::string& name);
  void write_index();

 private:
  std::string path_;
  oci::Index index_;
};

class ImageTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// The caller alone is root inside: what works on every machine.
  static IdMap single_id();

  /// A layer with one file.
  static std::string layer(const std::string& file, const std::string& content);
  /// A fresh OCI layout with one image called `name`, of one layer with the file /f.
  std::string simple_layout(const std::string& name, const std::string& content);

  using Image = engine::Image;
  Result<std::vector<Image>> load(const std::string& source);
  /// Waits until what was added is on the disk. False after ten seconds.
  bool is_settled() const;
  /// Every file of the settled store but unpacked content, sorted; "<hex>" parts cut to 6 digits.
  std::vector<std::string> store_files() const;

  const std::string& base() const { return base_; }
  engine::ImageStore& store() { return *store_; }

 private:
  std::string base_;
  std::optional<engine::ImageStore> store_;
};

/// What a store that was made and emptied again holds.
inline const std::vector<std::string> kEmptyStore{"index.json", "oci-layout"};

}  // namespace moss::test
