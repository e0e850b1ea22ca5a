// How an image gets into the store. See the header.
#include "ingest.hh"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/additional_stores.hh"
#include "unsynced.hh"

namespace moss::engine {

namespace {

std::string layer_folder(size_t index) { return cat("layer-", index); }

// The one id outside that is root inside.
uint32_t outside_root(const std::vector<IdRange>& ranges) {
  for (const IdRange& range : ranges) {
    if (range.inside == 0) return range.outside;
  }
  return 0;
}

}  // namespace

Result<Ingest> Ingest::begin(const std::string& store, const IdMap& map, const UnpackOptions& options) {
  TRY(make_store(store));
  UnpackOptions unpack_options = options;
  unpack_options.single_id = map.is_single();
  Ingest ingest(store, map, TRY(UnpackWorker::start(map, unpack_options).context("start unpacking")));
  TRY(reclaim(store, ingest.remover()));
  TRY(settle_unsynced(store, ingest.remover()));
  wait_for_removals(store);
  ingest.hold_ = TRY(hold_folder(store + "/blobs", Hold::shared));
  Result<Staging> staging = Staging::create(store, ingest.remover());
  if (!staging.ok()) return explain(staging.error(), store);
  ingest.staging_.emplace(std::move(staging).value());
  return ingest;
}

Ingest::~Ingest() {
  if (!worker_) return;
  // In this order: nobody writes, nothing is left, nobody is kept from collecting.
  (void)worker_->stop_jobs();
  taken_.clear();
  staging_.reset();
  hold_.reset();
  if (collect_) (void)collect_garbage(store_, remover());
}

TreeRemover Ingest::remover() const {
  UnpackWorker* worker = worker_.get();
  return [worker](const std::string& parent, const std::string& name) {
    // Real root removes what belongs to anybody; a namespace of its subordinate ids could not. Others remove what is
    // their own, which may be all: only the rest is worth a process with other ids.
    Result<Ok> removed = sys::remove_tree(cat(parent, "/", name));
    if (::geteuid() == 0 || removed.ok() || (removed.error().code() != EACCES && removed.error().code() != EPERM)) {
      return removed;
    }
    return worker->remove(parent, name);
  };
}

bool Ingest::has_blob(const oci::Descriptor& blob) const {
  const Result<oci::Digest> digest = oci::Digest::parse(blob.digest);
  struct stat status;
  return digest.ok() && ::stat(blob_path(store_, *digest).c_str(), &status) == 0 && status.st_size == blob.size;
}

bool Ingest::has_layer(const std::string& diff_id) const {
  return find_layer(store_, diff_id, map_key(map_)) != Unpacked::no;
}

Result<Fd> Ingest::create_file(const std::string& name) {
  Result<Fd> file = sys::open_at(staging(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  if (!file.ok()) return explain(file.error(), store_);
  return file;
}

Result<Fd> make_layer_folder(int staging, const std::string& folder, const IdMap& map, const std::string& store) {
  if (::mkdirat(staging, folder.c_str(), 0700) != 0) return explain(sys_error("make a folder for a layer"), store);
  // By its descriptor: a symlink that somebody put in its place meanwhile is not followed.
  const Fd outer = TRY(sys::open_at(staging, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::mkdirat(outer.get(), "fs", 0755) != 0) return explain(sys_error("make a folder for a layer"), store);
  Fd destination = TRY(sys::open_at(outer.get(), "fs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (::geteuid() == 0 && ::fchown(destination.get(), outside_root(map.uids), outside_root(map.gids)) != 0) {
    return sys_error("give the layer's folder to the container's root");
  }
  return destination;
}

Result<UnpackJob> Ingest::unpack(size_t index, int input) {
  const Fd destination = TRY(make_layer_folder(staging(), layer_folder(index), map_, store_));
  return worker_->unpack(input, destination.get());
}

Result<Ok> Ingest::take_layer(size_t index, const ImageLayer& layer, std::string blob_file,
                              const std::optional<UnpackedLayer>& unpacked, std::optional<NameLock> lock) {
  if (unpacked && unpacked->diff_id != layer.diff_id) {
    return Error(0, "layer ", layer.blob.digest, " unpacks to ", unpacked->diff_id, " but the config says ",
                 layer.diff_id, "; refused");
  }
  std::string size_file;
  if (unpacked) {
    // One that is there and right is on the disk, perhaps, and its successor would not be.
    const std::string size = std::to_string(unpacked->bytes);
    const Result<std::string> known = sys::read_file(layer_size_path(store_, layer.diff_id), 64);
    if (!known.ok() || *known != size) {
      size_file = cat("size-", index);
      const Fd file = TRY(create_file(size_file));
      if (Result<Ok> written = sys::write_all(file.get(), size, size_file); !written.ok()) {
        return explain(written.error(), store_);
      }
    }
  }
  taken_.push_back({index, layer, std::move(blob_file), std::move(size_file), unpacked, std::move(lock)});
  return Ok{};
}

Result<Ok> Ingest::publish() {
  if (taken_.empty()) return Ok{};
  if (Result<Ok> synced = sync_filesystem(staging_path()); !synced.ok()) return explain(synced.error(), store_);
  return show_taken();
}

// Whether what was taken becomes a part of images that are there already: of a layer that was unpacked before, for
// other ids, or whose blob or size was damaged; or of one that an additional store names. Such an image is not dropped
// when the power goes, so nothing of it may be lost.
Result<bool> Ingest::adds_to_others() const {
  for (const Taken& taken : taken_) {
    const bool has_size = sys::exists(layer_size_path(store_, taken.layer.diff_id));
    if (has_size && (!taken.size_file.empty() || (taken.unpacked && !has_layer(taken.layer.diff_id)))) return true;
    const oci::Digest digest = TRY(oci::Digest::parse(taken.layer.blob.digest));
    if (!taken.blob_file.empty() && sys::exists(blob_path(store_, digest))) return true;
  }
  const Result<std::vector<std::string>> others = additional_stores();
  return others.ok() && !others->empty();
}

Result<Ok> Ingest::show_taken() {
  for (Taken& taken : taken_) {
    const std::string& diff_id = taken.layer.diff_id;
    if (taken.unpacked) {
      const std::string place =
          layer_path(store_, diff_id, map_key(map_)) + (taken.unpacked->opaque_root ? ".opaque" : "");
      if (!taken.size_file.empty() &&
          ::renameat(staging(), taken.size_file.c_str(), AT_FDCWD, layer_size_path(store_, diff_id).c_str()) != 0) {
        return explain(sys_error("rename ", taken.size_file), store_);
      }
      // Another moss may have been faster with the same layer: theirs is as good.
      if (::renameat(staging(), layer_folder(taken.index).c_str(), AT_FDCWD, place.c_str()) != 0 &&
          errno != ENOTEMPTY && errno != EEXIST) {
        return explain(sys_error("rename a layer to ", place), store_);
      }
    }
    // The blob after its layer: a blob that is there tells others that its layer is, too.
    if (!taken.blob_file.empty()) {
      const oci::Digest digest = TRY(oci::Digest::parse(taken.layer.blob.digest));
      const std::string place = blob_path(store_, digest);
      TRY(sys::make_dirs(place.substr(0, place.rfind('/')), 0700));
      if (::renameat(staging(), taken.blob_file.c_str(), AT_FDCWD, place.c_str()) != 0) {
        return explain(sys_error("rename a blob to ", place), store_);
      }
    }
  }
  // Lets go of the locks.
  taken_.clear();
  return Ok{};
}

Result<Ok> Ingest::write_blob(const std::string& digest, std::string_view text, sys::Sync sync) {
  const oci::Digest parsed = TRY(oci::Digest::parse(digest));
  const std::string place = blob_path(store_, parsed);
  if (sys::exists(place)) return Ok{};
  TRY(sys::make_dirs(place.substr(0, place.rfind('/')), 0700));
  const std::string name = cat("document-", parsed.hex());
  const Fd file = TRY(create_file(name));
  if (Result<Ok> written = sys::write_all(file.get(), text, place); !written.ok())
    return explain(written.error(), store_);
  if (sync == sys::Sync::yes && ::fsync(file.get()) != 0) return explain(sys_error("sync ", place), store_);
  if (::renameat(staging(), name.c_str(), AT_FDCWD, place.c_str()) != 0)
    return explain(sys_error("rename ", place), store_);
  return Ok{};
}

Result<Image> Ingest::commit(const ResolvedImage& image, const std::vector<std::string>& names) {
  const oci::Index before = TRY(read_index(store_));
  const bool known = std::any_of(before.manifests.begin(), before.manifests.end(),
                                 [&](const oci::Descriptor& other) { return other.digest == image.descriptor.digest; });
  std::optional<UnsyncedNote> note;
  if (known) {
    TRY(publish());
  } else {
    const bool is_shared = TRY(adds_to_others());
    note.emplace(TRY(UnsyncedNote::write(store_, image.descriptor.digest)));
    TRY(is_shared ? publish() : show_taken());
  }
  const sys::Sync sync = known ? sys::Sync::yes : sys::Sync::no;
  TRY(write_blob(image.manifest.config.digest, image.config_text, sync));
  TRY(write_blob(image.descriptor.digest, image.manifest_text, sync));
  if (known) {
    // The names made by renames so far, before the index that relies on them.
    TRY(sync_folder(store_ + "/layers"));
    for (const std::string& algorithm : TRY(sys::list_dir(store_ + "/blobs"))) {
      TRY(sync_folder(cat(store_, "/blobs/", algorithm)));
    }
  }
  oci::Descriptor entry;
  entry.media_type = image.descriptor.media_type;
  entry.digest = image.descriptor.digest;
  entry.size = image.descriptor.size;
  entry.platform = oci::Platform{.architecture = image.config.platform.architecture,
                                 .os = image.config.platform.os,
                                 .variant = image.config.platform.variant};
  if (!image.list_digests.empty()) entry.annotations[std::string(kListDigest)] = image.list_digests.front();
  const Result<Ok> edited = edit_index(store_, [&](oci::Index& index) -> Result<Ok> {
    if (names.empty()) set_name(index, entry, "");
    for (const std::string& name : names) set_name(index, entry, name);
    return Ok{};
  });
  if (!edited.ok()) {
    // It is renamed before its folder is synced: only that may have failed.
    if (note) note->leave();
    return edited.error();
  }
  if (note) note->sync_in_background();
  const ImageStore store(store_);
  const std::optional<Image> found = TRY(store.find(names.empty() ? image.manifest.config.digest : names.front()));
  if (!found) return Error(0, "the image was removed by another moss just now; try again");
  return *found;
}

void Ingest::abandon(bool keep) { collect_ = !keep; }

Result<Copied> copy_to_staging(Ingest& ingest, int from, const std::string& name, int64_t max_bytes,
                               const std::string& algorithm) {
  Copied copied;
  copied.file = TRY(ingest.create_file(name));
  Digester digester = TRY(Digester::create(algorithm));
  std::vector<char> buffer(1u << 20);
  while (true) {
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read a blob");
    if (got == 0) break;
    copied.bytes += got;
    if (copied.bytes > max_bytes)
      return Error(0, "larger than the ", max_bytes, " bytes it was promised with; refused");
    const std::string_view piece(buffer.data(), static_cast<size_t>(got));
    digester.update(piece);
    if (Result<Ok> written = sys::write_all(copied.file.get(), piece, name); !written.ok()) {
      return explain(written.error(), ingest.store());
    }
  }
  copied.digest = digester.finish();
  return copied;
}

void tell_warnings(const ProgressCallback& progress, const UnpackedLayer& layer) {
  if (!progress) return;
  for (const std::string& warning : layer.warnings) {
    progress({.phase = Progress::Phase::warning, .name = warning, .digest = layer.diff_id});
  }
}

Result<UnpackedLayer> wait_for(UnpackJob& job) {
  while (true) {
    pollfd wait{.fd = job.fd(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, -1) < 0 && errno != EINTR) return sys_error("wait for the process that unpacks");
    std::optional<UnpackedLayer> layer = TRY(job.read());
    if (layer) return *std::move(layer);
  }
}

}  // namespace moss::engine
