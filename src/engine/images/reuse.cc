// What a layer has in common with layers that are here. See the header.
#include "reuse.hh"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "layout.hh"
#include "lists.hh"
#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"

namespace moss::engine {

namespace {

// The layers of an entry's images that may have a table.
std::vector<oci::Descriptor> layers_of(const std::string& store, const oci::Descriptor& entry) {
  std::vector<oci::Descriptor> out;
  if (is_list(entry.media_type)) {
    const Result<std::vector<Image>> images = images_of_list(store, entry);
    if (!images.ok()) return out;
    for (const Image& image : *images) {
      for (const ImageLayer& layer : image.layers) out.push_back(layer.blob);
    }
    return out;
  }
  const Result<oci::Digest> digest = oci::Digest::parse(entry.digest);
  if (!digest.ok()) return out;
  const Result<std::string> text = sys::read_file(blob_path(store, *digest), kMaxManifestBytes);
  // Few have one, and to look for a word is sooner done than to decode.
  if (!text.ok() || text->find("zstd-chunked.") == std::string::npos) return out;
  Result<oci::Manifest> manifest = oci::decode_manifest(*text);
  return manifest.ok() ? std::move(manifest->layers) : out;
}

// The blob of that size; nothing where it is not there.
std::optional<Fd> open_blob(const std::string& store, const oci::Descriptor& blob) {
  const Result<oci::Digest> digest = oci::Digest::parse(blob.digest);
  if (!digest.ok()) return std::nullopt;
  Result<Fd> file = sys::open_at(AT_FDCWD, blob_path(store, *digest), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  struct stat status;
  if (!file.ok() || ::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size != blob.size) {
    return std::nullopt;
  }
  return std::move(file).value();
}

}  // namespace

const std::vector<ReuseFinder::Source>& ReuseFinder::sources() {
  if (sources_) return *sources_;
  sources_.emplace();
  const Result<oci::Index> index = read_index(store_);
  if (!index.ok()) return *sources_;
  for (const oci::Descriptor& entry : index->manifests) {
    const std::string name = entry_name(entry);
    const bool of_repository = name.size() > repository_.size() && name.starts_with(repository_) &&
                               (name[repository_.size()] == ':' || name[repository_.size()] == '@');
    for (oci::Descriptor& layer : layers_of(store_, entry)) {
      std::optional<TocPlace> place = toc_place(layer);
      if (!place) continue;
      const auto known = std::find_if(sources_->begin(), sources_->end(),
                                      [&](const Source& source) { return source.blob.digest == layer.digest; });
      if (known != sources_->end()) {
        known->of_repository |= of_repository;
      } else {
        sources_->push_back({std::move(layer), *std::move(place), of_repository});
      }
    }
  }
  return *sources_;
}

// The likeliest first: what came from the same repository, then what is as large.
std::vector<const ReuseFinder::Source*> ReuseFinder::sources_for(const oci::Descriptor& layer) {
  std::vector<const Source*> out;
  for (const Source& source : sources()) {
    if (source.blob.digest != layer.digest) out.push_back(&source);
  }
  const auto rank = [&](const Source* source) {
    return std::pair(!source->of_repository, std::abs(source->blob.size - layer.size));
  };
  std::stable_sort(out.begin(), out.end(), [&](const Source* a, const Source* b) { return rank(a) < rank(b); });
  return out;
}

void ReuseFinder::read_sources(ReusePlanner& planner, std::vector<Fd>& files, const oci::Descriptor& layer) {
  size_t read = 0;
  for (const Source* source : sources_for(layer)) {
    // The last bytes are not worth another table.
    if (read == kMaxReuseSources || planner.missing() <= layer.size / 20) return;
    std::optional<Fd> file = open_blob(store_, source->blob);
    if (!file) continue;
    ++read;
    planner.begin_source(static_cast<uint16_t>(files.size()));
    // What is told before an error is worth as much as the rest: nothing, until the blob is whole.
    (void)read_toc(file->get(), source->place.offset, source->place, [&](const Stretch& stretch) {
      planner.offer(stretch);
      return true;
    });
    if (planner.end_source()) files.push_back(*std::move(file));
  }
}

std::optional<Reuse> ReuseFinder::find(const oci::Descriptor& layer, const FetchPart& fetch,
                                       const MakeFile& make_file) {
  const std::optional<TocPlace> place = toc_place(layer);
  if (!place || layer.size < kMinReuseLayer || place->bytes > layer.size / kMaxTocShare) return std::nullopt;
  if (sources_for(layer).empty()) return std::nullopt;
  Reuse reuse;
  ReusePlanner planner(layer.size, {});
  {
    const std::optional<std::string> table = fetch(place->offset, place->bytes);
    if (!table || static_cast<int64_t>(table->size()) != place->bytes) return std::nullopt;
    const Result<std::string> digest = digest_of(*table);
    if (!digest.ok() || *digest != place->digest) return std::nullopt;
    std::optional<Fd> file = make_file();
    if (!file || !sys::write_all(file->get(), *table, "a table of contents").ok()) return std::nullopt;
    reuse.files.push_back(*std::move(file));
  }
  if (!read_toc(reuse.files.front().get(), 0, *place, [&](const Stretch& stretch) {
         return planner.want(stretch);
       }).ok()) {
    return std::nullopt;
  }
  // The table is a part of the blob, and here by now.
  planner.have({.offset = place->offset, .bytes = place->bytes}, 0, 0);
  read_sources(planner, reuse.files, layer);
  reuse.plan = planner.finish();
  if (reuse.plan.reused - place->bytes < layer.size / kMinReuseShare) return std::nullopt;
  return reuse;
}

}  // namespace moss::engine
