// All images of a store, whole or as lists show them.
#include "listing.hh"

#include <fcntl.h>

#include <atomic>
#include <map>
#include <thread>

#include "lists.hh"
#include "moss/base/sizes.hh"
#include "moss/engine/additional_stores.hh"
#include "moss/engine/store.hh"
#include "moss/sys/file.hh"
#include "moss/sys/thread.hh"
#include "summaries.hh"

namespace moss::engine {

namespace {

using Entries = std::vector<const oci::Descriptor*>;
template <typename Listed>
using Read = std::vector<std::optional<Result<Listed>>>;  // one for each of some entries

// Each manifest's first.
Entries entries_of(const oci::Index& index) {
  Entries entries;
  std::set<std::string_view> seen;
  for (const oci::Descriptor& entry : index.manifests) {
    if (seen.insert(entry.digest).second) entries.push_back(&entry);
  }
  return entries;
}

// Two documents for each: decoding them is what a long list takes, so it is shared among the processors. Nobody is left
// when this returns, so that the caller may fork.
Read<Image> read_images(const std::string& store, const Entries& entries) {
  constexpr size_t kWorthAThread = 64;
  const Result<Fd> blobs = sys::open_at(AT_FDCWD, store + "/blobs", O_PATH | O_DIRECTORY);
  const int folder = blobs.ok() ? blobs->get() : AT_FDCWD;
  Read<Image> images(entries.size());
  std::atomic<size_t> next = 0;
  const auto read_some = [&] {
    for (size_t i = next++; i < entries.size(); i = next++) images[i] = read_image(store, folder, *entries[i]);
  };
  std::vector<std::thread> helpers;
  const size_t most = std::min<size_t>(std::thread::hardware_concurrency(), 4);
  while (helpers.size() + 1 < most && (helpers.size() + 1) * kWorthAThread < entries.size()) {
    Result<std::thread> helper = sys::start_thread(read_some);
    if (!helper.ok()) break;
    helpers.push_back(std::move(helper).value());
  }
  read_some();
  for (std::thread& helper : helpers) helper.join();
  return images;
}

// `read` has what each of entries_of(index) gave.
template <typename Listed>
std::vector<Listed> gather(const oci::Index& index, Read<Listed> read, std::vector<Error>* damaged) {
  std::map<std::string_view, size_t> by_manifest;
  for (const oci::Descriptor& entry : index.manifests) by_manifest.emplace(entry.digest, by_manifest.size());
  std::vector<Listed> images;
  images.reserve(read.size());
  std::vector<std::optional<size_t>> place(read.size());
  std::map<std::string, size_t> by_id;
  for (const oci::Descriptor& entry : index.manifests) {
    const size_t which = by_manifest.at(entry.digest);
    if (place[which]) {
      add_names(images[*place[which]], entry);
      continue;
    }
    if (!read[which]) continue;
    Result<Listed> image = *std::exchange(read[which], std::nullopt);
    if (image.ok()) {
      // One config under two manifests (pulled and loaded, say) is one image.
      const auto [same, is_new] = by_id.emplace(image->id, images.size());
      place[which] = same->second;
      if (is_new) {
        images.push_back(std::move(image).value());
      } else {
        add_names(images[same->second], entry);
      }
    } else if (damaged != nullptr && !is_list(entry.media_type)) {
      // A list without an image for this machine is no image here, and no damage.
      damaged->push_back(image.error());
    }
  }
  return images;
}

// Behind those of `own` what the additional stores have and it has not.
template <typename Listed>
Result<std::vector<Listed>> with_others(std::vector<Listed> images, const std::string& own, std::vector<Error>* damaged,
                                        Result<std::vector<Listed>> (*list)(const std::string&, std::vector<Error>*)) {
  for (const std::string& path : TRY(additional_stores())) {
    if (path == own) continue;
    Result<std::vector<Listed>> others = list(path, damaged).context("additional store ", path);
    if (!others.ok()) {
      if (damaged != nullptr) damaged->push_back(others.error());
      continue;
    }
    for (Listed& image : *others) {
      const bool known =
          std::any_of(images.begin(), images.end(), [&](const Listed& other) { return other.id == image.id; });
      if (known) continue;
      image.read_only = true;
      images.push_back(std::move(image));
    }
  }
  return images;
}

Result<std::vector<Image>> list_whole(const std::string& store, std::vector<Error>* damaged) {
  const oci::Index index = TRY(read_index(store));
  return gather(index, read_images(store, entries_of(index)), damaged);
}

// The sizes of layers that were unpacked; images share layers.
class Sizes {
 public:
  explicit Sizes(const std::string& store) : store_(store) {}
  std::optional<int64_t> operator()(const std::string& diff_id) {
    const auto known = sizes_.find(diff_id);
    return known != sizes_.end() ? known->second
                                 : sizes_.emplace(diff_id, unpacked_size(store_, diff_id)).first->second;
  }

 private:
  const std::string& store_;
  std::map<std::string, std::optional<int64_t>> sizes_;
};

ImageSummary listed(const Summary& summary, const oci::Descriptor& entry, Sizes& sizes) {
  ImageSummary image{.id = summary.id,
                     .manifest_digest = entry.digest,
                     .created = summary.created,
                     .architecture = summary.architecture,
                     .os = summary.os,
                     .labels = summary.labels,
                     .size = summary.bytes.value_or(0)};
  for (const Summary::Layer& layer : summary.layers) {
    image.size = add_sizes(image.size, sizes(layer.diff_id).value_or(layer.blob_bytes));
  }
  add_names(image, entry);
  return image;
}

// `kept` gets the summaries of this store's images, and `changed` whether they are others than in its file.
Result<std::vector<ImageSummary>> list_summaries(const std::string& store, std::vector<Error>* damaged, Summaries& kept,
                                                 bool& changed) {
  const oci::Index index = TRY(read_index(store));
  const Entries entries = entries_of(index);
  Summaries known = read_summaries(store);
  Sizes sizes(store);
  Entries unknown;
  std::vector<size_t> unknown_at;
  Read<ImageSummary> read(entries.size());
  const size_t before = known.size();
  for (size_t i = 0; i < entries.size(); ++i) {
    auto summary = known.extract(entries[i]->digest);
    if (summary.empty()) {
      unknown.push_back(entries[i]);
      unknown_at.push_back(i);
      continue;
    }
    if (complete(summary.mapped(), std::ref(sizes))) changed = true;
    read[i] = listed(summary.mapped(), *entries[i], sizes);
    kept.insert(std::move(summary));
  }
  changed = changed || kept.size() != before;
  Read<Image> images = read_images(store, unknown);
  for (size_t i = 0; i < unknown.size(); ++i) {
    const oci::Descriptor& entry = *unknown[i];
    std::optional<Result<ImageSummary>>& place = read[unknown_at[i]];
    if (!images[i]->ok()) {
      place = images[i]->error();
      continue;
    }
    const Image& image = **images[i];
    Summary summary = summary_of(image, std::ref(sizes));
    place = listed(summary, entry, sizes);
    // What a list is depends on the machine: it is chosen anew each time, and its image goes by that one's manifest.
    if (is_list(entry.media_type)) {
      (*place)->manifest_digest = image.manifest_digest;
      (*place)->digests = image.digests;
      continue;
    }
    kept.emplace(entry.digest, std::move(summary));
    changed = true;
  }
  return gather(index, std::move(read), damaged);
}

}  // namespace

Result<std::vector<Image>> ImageStore::list_own(std::vector<Error>* damaged) const {
  return list_whole(path_, damaged);
}

Result<std::vector<Image>> ImageStore::list(std::vector<Error>* damaged) const {
  return with_others(TRY(list_own(damaged)), path_, damaged, &list_whole);
}

Result<std::vector<ImageSummary>> ImageStore::summaries(std::vector<Error>* damaged) const {
  Summaries kept;
  bool changed = false;
  std::vector<ImageSummary> own = TRY(list_summaries(path_, damaged, kept, changed));
  if (changed) write_summaries(path_, kept);
  return with_others(
      std::move(own), path_, damaged, +[](const std::string& path, std::vector<Error>* errors) {
        Summaries theirs;
        bool ignored = false;
        return list_summaries(path, errors, theirs, ignored);
      });
}

Result<std::vector<Image>> ImageStore::list_parts() const {
  std::vector<Image> images = TRY(list_own());
  for (const oci::Descriptor& entry : TRY(read_index(path_)).manifests) {
    if (!is_list(entry.media_type)) continue;
    Result<std::vector<Image>> parts = images_of_list(path_, entry);
    // What is damaged is told by who lists images, and by system check.
    if (!parts.ok()) continue;
    for (Image& part : *parts) {
      const bool known =
          std::any_of(images.begin(), images.end(), [&](const Image& other) { return other.id == part.id; });
      if (known) continue;
      part.names = {entry_name(entry)};
      images.push_back(std::move(part));
    }
  }
  return images;
}

}  // namespace moss::engine
