// How an image gets into the store, wherever it comes from. All or nothing:
//
//   begin      the unpacking process, a staging folder, a shared hold on blobs/
//   layers     each blob into staging, verified, and unpacked beside it
//   publish    one sync, then renames: layers become visible to everybody
//   commit     the rest of that, manifest, config and the index's new entry: the image exists. A new image is synced
//              afterwards, in the background (unsynced.hh)
//
// Whatever ends it earlier leaves staging/ to this value's end or, if that was a SIGKILL, to the next command.
#pragma once

#include <string>
#include <vector>

#include "layout.hh"
#include "locks.hh"
#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/digest.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"
#include "unpack_worker.hh"

namespace moss::engine {

class Ingest {
 public:
  /// The caller must have no threads, and may start some afterwards.
  static Result<Ingest> begin(const std::string& store, const IdMap& map, const UnpackOptions& options);
  Ingest(Ingest&&) = default;
  ~Ingest();

  /// Layers will come: gets ready to unpack them while the caller waits for something else.
  Result<Ok> prepare() { return worker_->prepare(); }

  const std::string& store() const { return store_; }
  int staging() const { return staging_->dir(); }
  std::string staging_path() const { return staging_->path(); }

  bool has_blob(const oci::Descriptor& blob) const;
  bool has_layer(const std::string& diff_id) const;

  /// Tells the layers of this ingest apart, those of a second try too.
  size_t next_index() { return next_index_++; }
  /// A new file in staging, open for reading and writing.
  Result<Fd> create_file(const std::string& name);
  /// Starts to unpack `input`. `index` is a next_index().
  Result<UnpackJob> unpack(size_t index, int input);
  /// Takes over what is verified: the blob's file in staging (empty where the store has it) and the unpacked layer.
  /// `lock` is let go when both are visible.
  /// Errors: the layer is not the one the config promises.
  Result<Ok> take_layer(size_t index, const ImageLayer& layer, std::string blob_file,
                        const std::optional<UnpackedLayer>& unpacked, std::optional<NameLock> lock);
  /// Syncs what was taken so far and makes it visible.
  Result<Ok> publish();
  /// Publishes the rest and names the image; an image without names is kept by its id. Gives it as the store has it.
  Result<Image> commit(const ResolvedImage& image, const std::vector<std::string>& names);
  /// Ends without an image. Verified layers that are visible already stay for the next try where `keep`.
  void abandon(bool keep);

 private:
  struct Taken {
    size_t index;
    ImageLayer layer;
    std::string blob_file;
    std::string size_file;  ///< empty where the store has it
    std::optional<UnpackedLayer> unpacked;
    std::optional<NameLock> lock;
  };

  Ingest(std::string store, IdMap map, UnpackWorker worker)
      : store_(std::move(store)), map_(std::move(map)), worker_(std::make_unique<UnpackWorker>(std::move(worker))) {}
  TreeRemover remover() const;
  Result<bool> adds_to_others() const;
  Result<Ok> show_taken();
  Result<Ok> write_blob(const std::string& digest, std::string_view text, sys::Sync sync);

  std::string store_;
  IdMap map_;
  std::unique_ptr<UnpackWorker> worker_;
  Fd hold_;
  std::optional<Staging> staging_;
  std::vector<Taken> taken_;
  size_t next_index_ = 0;
  bool collect_ = true;
};

/// Makes `folder`/fs in `staging`, for one layer of this map, and opens the inner one.
Result<Fd> make_layer_folder(int staging, const std::string& folder, const IdMap& map, const std::string& store);

/// Copies `from` (at its beginning) into the new staging file `name` and computes its digest.
/// Errors: more than `max_bytes`.
struct Copied {
  Fd file;
  std::string digest;
  int64_t bytes = 0;
  std::string start = {};  ///< the first bytes: what kind of file it is
};
Result<Copied> copy_to_staging(Ingest& ingest, int from, const std::string& name, int64_t max_bytes,
                               const std::string& algorithm);

/// Tells what could not be kept of a layer.
void tell_warnings(const ProgressCallback& progress, const UnpackedLayer& layer);

/// Waits for a job's end.
Result<UnpackedLayer> wait_for(UnpackJob& job);

}  // namespace moss::engine
