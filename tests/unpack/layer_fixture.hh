// Unpacks a layer as root of a user namespace, with a victim beside the destination that must never change.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "moss/base/id_range.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"
#include "tar_writer.hh"

namespace moss::test {

/// What the process in the namespace saw.
struct Outcome {
  std::string error;  ///< empty where the layer was accepted
  /// One line a name, sorted: "755 a/", "644 a/f: text", "a/l -> target", "fifo a/p", "whiteout a/w", each followed by
  /// " opaque" or the owner where they are not the usual ones.
  std::string tree;
  std::string warnings;
  std::string diff_id;
  uint64_t entries = 0;
  bool opaque_root = false;
};

class LayerTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// The caller alone is root inside.
  static IdMap single_id();
  /// With 65,536 subordinate ids; nothing where the machine grants none.
  static std::optional<IdMap> many_ids();

  /// Unpacks into a fresh folder. The test fails where the victim changes or it takes more than 20 seconds.
  Outcome unpack(const std::string& layer, engine::UnpackOptions options = {.single_id = true});
  Outcome unpack_with(const IdMap& map, const std::string& layer, engine::UnpackOptions options);
  /// In the namespace of the last unpack_with(), or of a single id.
  int run_inside(const std::function<int()>& body);

  const std::string& base() const { return base_; }
  /// The last layer's folder.
  const std::string& destination() const { return destination_; }
  std::string victim() const { return base_ + "/victim"; }

 private:
  std::string base_;
  std::string destination_;
  IdMap map_;
  int layers_ = 0;
};

/// The tree as Outcome has it.
std::string describe_tree(const std::string& root);

}  // namespace moss::test
