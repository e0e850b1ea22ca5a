// A layer's or an archive's bytes as they were before they were compressed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "inflate.hh"
#include "layer_input.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// A LayerInput and the Inflater that its first bytes ask for.
class InflatedInput {
 public:
  /// `what` the bytes are of, for messages: "layer", "archive".
  explicit InflatedInput(std::string_view what) : what_(what) {}

  /// Opens the input, as open_layer_input() does, and reads its first bytes: as many as tell the compression, where
  /// there are so many. They are valid until the next call.
  Result<std::string_view> start(int fd, int stop_event);
  /// Once, after start() and before fill().
  void inflate_with(std::unique_ptr<Inflater> inflater) { inflater_ = std::move(inflater); }

  /// Fills `out`; says how much of it, which is less than all only at the end. Errors: damaged; cut off; as of the two.
  Result<size_t> fill(std::span<uint8_t> out);
  /// Read from the input so far.
  uint64_t compressed_bytes() const { return compressed_bytes_; }

 private:
  Result<Ok> refill();

  std::string_view what_;
  std::unique_ptr<LayerInput> input_;
  std::unique_ptr<Inflater> inflater_;
  std::span<const uint8_t> unread_;
  bool input_ended_ = false;
  uint64_t compressed_bytes_ = 0;
};

}  // namespace moss::engine
