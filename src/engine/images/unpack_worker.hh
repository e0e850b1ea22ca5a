// The process that unpacks.
//
// Layers are unpacked inside the container's user namespace, by a process that is started before this one loads libcurl
// (whose resolver uses threads, and a fork beside threads may hang) and that holds nothing but its socket: no
// credentials, no other layer's input. It forks one child for each layer.
#pragma once

#include <optional>
#include <string>

#include "moss/base/fd.hh"
#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/ids.hh"

namespace moss::engine {

/// One layer on its way; its child writes one reply and closes the pipe.
class UnpackJob {
 public:
  /// Readable when there is something to read(). -1 once the job is done.
  int fd() const { return reply_.get(); }
  /// Takes what is there. The layer once the child is done, nothing while it is not; the child's error.
  Result<std::optional<UnpackedLayer>> read();

 private:
  friend class UnpackWorker;
  explicit UnpackJob(Fd reply) : reply_(std::move(reply)) {}
  Fd reply_;
  std::string text_;
};

class UnpackWorker {
 public:
  /// Makes the process, which waits until it is asked for something. The caller must have no threads, and may start
  /// some afterwards. Errors: as sys::NamespaceChild.
  static Result<UnpackWorker> start(const IdMap& map, const UnpackOptions& options);
  /// Layers will come: the process gets its ids and loads its libraries while the caller does something else.
  Result<Ok> prepare() { return child_.begin_mapping(); }

  /// Unpacks the layer `input` (a file at its beginning, a pipe, or a RingWriter's reader) into the folder
  /// `destination`.
  Result<UnpackJob> unpack(int input, int destination);
  /// Ends every job that still runs and waits for it, so that nothing is written after. Nothing where none began.
  Result<Ok> stop_jobs();
  /// Removes a tree that holds files of mapped owners.
  Result<Ok> remove(const std::string& parent, const std::string& name);

 private:
  UnpackWorker(Fd socket, sys::NamespaceChild child) : socket_(std::move(socket)), child_(std::move(child)) {}
  Result<Fd> ask(char request, std::string_view text, std::initializer_list<int> descriptors);
  Fd socket_;
  sys::NamespaceChild child_;
};

}  // namespace moss::engine
