// Where the compressed bytes of a layer come from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "moss/base/result.hh"

namespace moss::engine {

class LayerInput {
 public:
  virtual ~LayerInput() = default;
  /// Adds to the end of `unread`, what is left of the bytes that came before, and may move it; kInputHeadroom bytes in
  /// front of it stay what they were. At the end it adds nothing and says false.
  virtual Result<bool> add_to(std::span<const uint8_t>& unread) = 0;
  /// With more than this unread and no use of it, the layer is damaged: there will not be more at a time.
  static constexpr size_t kEnough = 256u << 10;
};

/// A file, a pipe, or the socket of a RingWriter. Waiting for bytes ends with ECANCELED when `stop_event` is readable.
/// Both are borrowed. Errors: as of RingReader::open.
Result<std::unique_ptr<LayerInput>> open_layer_input(int fd, int stop_event);

}  // namespace moss::engine
