// A layer's bytes without its files: for what goes out in another compression.
#include "layer_stream.hh"
#include "moss/engine/unpack.hh"

namespace moss::engine {

Result<LayerContent> read_layer(int input_fd, const UnpackOptions& options,
                                const std::function<Result<Ok>(std::string_view)>& sink) {
  const std::unique_ptr<LayerStream> stream = TRY(LayerStream::open(input_fd, options));
  while (true) {
    const std::span<const uint8_t> piece = TRY(stream->next());
    if (piece.empty()) break;
    TRY(sink({reinterpret_cast<const char*>(piece.data()), piece.size()}));
  }
  return LayerContent{stream->diff_id(), stream->bytes()};
}

}  // namespace moss::engine
