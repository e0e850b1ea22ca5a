// Repairing what check.cc found: broken things go, good ones that can be made of what is there come back.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <algorithm>

#include "check.hh"
#include "lists.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"
#include "summaries.hh"
#include "unsynced.hh"

namespace moss::engine {

namespace {

class Repair {
 public:
  Repair(const ImageStore& store, const CheckOptions& options, const Findings& found,
         const std::optional<Staging>& staging)
      : store_(store.path()), options_(options), found_(found), staging_(staging) {}

  Result<size_t> run();

 private:
  template <typename... Parts>
  void say(const Parts&... parts) {
    if (options_.say) options_.say(cat(parts...));
  }

  Result<Ok> rebuild_index();
  Result<Ok> drop_images();
  Result<Ok> move_blobs_away();
  Result<Ok> replace_layers();
  Result<bool> may_go(const std::string& image_id, const std::string& called);
  Result<bool> throw_away(const std::string& path);

  const std::string store_;
  const CheckOptions& options_;
  const Findings& found_;
  const std::optional<Staging>& staging_;
  std::optional<Staging> bin_;
  std::set<std::string> kept_blobs_;  ///< of images that had to stay
  size_t repaired_ = 0;
  size_t next_ = 0;
};

Result<size_t> Repair::run() {
  const TreeRemover remove = remover_for(options_.map);
  {
    // Nobody looks an image up, and nobody adds one.
    TRY(make_store(store_));
    const Fd users = TRY(hold_folder(store_, Hold::alone));
    const Fd adders = TRY(hold_folder(store_ + "/blobs", Hold::alone));
    bin_.emplace(TRY(Staging::create(store_, remove)));
    if (found_.layout_missing) {
      TRY(write_layout(store_));
      ++repaired_;
      say("wrote oci-layout");
    }
    if (found_.index_unreadable) TRY(rebuild_index());
    TRY(drop_images());
    TRY(move_blobs_away());
    TRY(replace_layers());
    // Made anew by whoever lists images; with the sizes that were just mended.
    if (found_.summaries_wrong || !found_.broken_sizes.empty()) {
      const bool gone = TRY(throw_away(std::string(kSummariesFile)));
      if (gone && found_.summaries_wrong) {
        ++repaired_;
        say("removed ", kSummariesFile);
      }
    }
    for (const std::string& path : found_.unnamed) {
      if (!TRY(throw_away(path))) continue;
      ++repaired_;
      say("removed ", path);
    }
  }
  TRY(reclaim(store_, remove));
  TRY(settle_unsynced(store_, remove));
  const Result<Ok> collected = collect_garbage(store_, remove, Patience::wait);
  if (collected.ok() && found_.left_over) say("removed what was left over");
  bin_.reset();
  return repaired_;
}

// False where it is gone already.
Result<bool> Repair::throw_away(const std::string& path) {
  const std::string from = cat(store_, "/", path);
  if (::rename(from.c_str(), cat(bin_->path(), "/", next_++).c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return sys_error("move ", from, " away");
}

Result<bool> Repair::may_go(const std::string& image_id, const std::string& called) {
  if (image_id.empty() || !options_.why_kept) return true;
  const std::string why = TRY(options_.why_kept(image_id));
  if (why.empty()) return true;
  say("kept image ", called, ": ", why);
  return false;
}

// The names are lost; the images are not.
Result<Ok> Repair::rebuild_index() {
  oci::Index index;
  index.media_type = std::string(oci::kOciIndex);
  for (const std::string& algorithm : TRY(sys::list_dir(store_ + "/blobs"))) {
    for (const std::string& hex : TRY(sys::list_dir(cat(store_, "/blobs/", algorithm)))) {
      const Result<oci::Digest> digest = oci::Digest::parse(cat(algorithm, ":", hex));
      struct stat status;
      if (!digest.ok() || ::stat(blob_path(store_, *digest).c_str(), &status) != 0) continue;
      oci::Descriptor entry;
      entry.digest = digest->text();
      entry.size = status.st_size;
      if (entry.size > static_cast<int64_t>(kMaxManifestBytes)) continue;
      const Result<std::string> fault = blob_fault(store_, entry, false);
      const Result<Image> image = read_image(store_, entry);
      if (!fault.ok() || !fault->empty() || !image.ok()) continue;
      entry.media_type =
          image->manifest.media_type.empty() ? std::string(oci::kOciManifest) : image->manifest.media_type;
      entry.platform = oci::Platform{.architecture = image->config.platform.architecture,
                                     .os = image->config.platform.os,
                                     .variant = image->config.platform.variant};
      say("found image ", image->id.substr(0, 12), " again, without its names (moss tag gives it one)");
      index.manifests.push_back(std::move(entry));
    }
  }
  const NameLock lock = TRY(NameLock::acquire(store_, "index"));
  TRY(sys::replace_file(store_ + "/index.json", oci::encode_index(index), 0644, sys::Sync::yes));
  ++repaired_;
  say("wrote index.json anew");
  return Ok{};
}

Result<Ok> Repair::drop_images() {
  std::set<std::string> dropped;
  for (const BrokenImage& image : found_.broken_images) {
    if (!TRY(may_go(image.id, image.called))) {
      const oci::Descriptor entry{.digest = image.manifest_digest};
      const Result<Image> kept = read_image(store_, entry);
      if (!kept.ok()) continue;
      kept_blobs_.insert({kept->manifest_digest, kept->manifest.config.digest});
      for (const ImageLayer& layer : kept->layers) kept_blobs_.insert(layer.blob.digest);
      continue;
    }
    dropped.insert(image.manifest_digest);
  }
  if (dropped.empty()) return Ok{};
  TRY(edit_index(store_, [&](oci::Index& index) -> Result<Ok> {
    std::erase_if(index.manifests, [&](const oci::Descriptor& entry) {
      return dropped.contains(entry.digest) || (is_list(entry.media_type) && list_has(store_, entry, dropped));
    });
    return Ok{};
  }));
  for (const BrokenImage& image : found_.broken_images) {
    if (!dropped.contains(image.manifest_digest)) continue;
    ++repaired_;
    say("removed image ", image.called);
  }
  return Ok{};
}

Result<Ok> Repair::move_blobs_away() {
  for (const std::string& text : found_.broken_blobs) {
    if (kept_blobs_.contains(text)) continue;
    const Result<oci::Digest> digest = oci::Digest::parse(text);
    if (!digest.ok()) continue;
    const std::string path = blob_path(store_, *digest).substr(store_.size() + 1);
    if (TRY(throw_away(path))) say("removed blob ", text);
  }
  return Ok{};
}

Result<Ok> Repair::replace_layers() {
  for (const BrokenLayer& layer : found_.broken_layers) {
    bool kept = false;
    for (const Image& image : found_.images) {
      const bool has = std::any_of(image.layers.begin(), image.layers.end(),
                                   [&](const ImageLayer& other) { return other.diff_id == layer.diff_id; });
      if (has && !kept) kept = !TRY(may_go(image.id, called(image)));
    }
    if (kept) continue;
    const std::string path = cat("layers/", layer.folder);
    TRY(throw_away(path));
    ++repaired_;
    if (layer.fresh.empty()) {
      say("removed layer ", layer.folder, "; it is unpacked anew when a container needs it");
      continue;
    }
    TRY(sync_filesystem(staging_->path()));
    if (::renameat(staging_->dir(), layer.fresh.c_str(), AT_FDCWD, cat(store_, "/", path).c_str()) != 0) {
      return sys_error("put the layer unpacked anew at ", path);
    }
    say("unpacked layer ", layer.folder, " anew");
  }
  for (const auto& [diff_id, bytes] : found_.broken_sizes) {
    const std::string path = layer_size_path(store_, diff_id);
    ++repaired_;
    if (bytes) {
      TRY(sys::replace_file(path, std::to_string(*bytes), 0644, sys::Sync::yes));
      say("wrote the size of layer ", diff_id);
      continue;
    }
    // Without one the blob's own size is told.
    TRY(throw_away(path.substr(store_.size() + 1)));
    say("removed the size of layer ", diff_id);
  }
  return Ok{};
}

}  // namespace

Result<size_t> repair_store(const ImageStore& store, const CheckOptions& options, const Findings& findings,
                            const std::optional<Staging>& staging) {
  return Repair(store, options, findings, staging).run();
}

}  // namespace moss::engine
