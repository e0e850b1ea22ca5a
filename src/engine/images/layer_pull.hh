// The layers of one image, from one registry into the store's staging folder: several at a time, each in one line
// (blob_stream.hh), waited for where another moss has begun the same, gone on with where a connection breaks.
//
// In a line, bytes from libcurl are hashed, written to a file in staging and read by a child that unpacks. So the
// unpacking is done moments after the last byte, and a line that is slower than the network slows the network down:
// nothing piles up in memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "http.hh"
#include "ingest.hh"
#include "moss/base/result.hh"
#include "moss/engine/pull.hh"
#include "moss/oci/image.hh"
#include "registry.hh"

namespace moss::engine {

class LayerPull {
 public:
  /// All that is given by reference must outlive the value. `blobs` are the manifest's layers, checked.
  LayerPull(Ingest& ingest, HttpClient& http, Registry& registry, const PullOptions& options,
            const std::string& repository, const std::vector<oci::Descriptor>& blobs);
  /// Ends what is on its way.
  ~LayerPull();

  /// Asks for the first of what is surely not here. It comes while the caller waits for something else, the config.
  Result<Ok> begin_early();
  /// The layers that are not here yet, into the ingest. `layers` are the same, with what they unpack to.
  /// Errors: the first one's; those that were whole by then are in the ingest.
  Result<Ok> run(const std::vector<ImageLayer>& layers);
  /// Whether only the network failed.
  bool lost_connection() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace moss::engine
