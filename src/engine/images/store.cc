// The store as its users see it: looking up, naming, removing. How images get in is ingest.cc's.
#include "moss/engine/store.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "ingest.hh"
#include "layout.hh"
#include "listing.hh"
#include "lists.hh"
#include "moss/base/sizes.hh"
#include "moss/engine/additional_stores.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "names.hh"
#include "summaries.hh"
#include "unsynced.hh"

namespace moss::engine {

namespace {

// "repository" and ":tag" or "@digest" of a name in the index, which need not be one.
std::pair<std::string_view, std::string_view> split_name(std::string_view name) {
  const size_t at = name.find('@');
  if (at != std::string_view::npos) return {name.substr(0, at), name.substr(at)};
  const size_t colon = name.rfind(':');
  if (colon == std::string_view::npos || name.find('/', colon) != std::string_view::npos) return {name, ""};
  return {name.substr(0, colon), name.substr(colon)};
}

bool has_digest(const oci::Descriptor& entry, const std::string& digest) {
  const auto list = entry.annotations.find(std::string(kListDigest));
  return entry.digest == digest || (list != entry.annotations.end() && list->second == digest);
}

Result<Image> read_whole(const std::string& store, const oci::Index& index, const oci::Descriptor& entry) {
  Image image = TRY(read_image(store, entry));
  for (const oci::Descriptor& other : index.manifests) {
    if (other.digest == entry.digest) add_names(image, other);
  }
  return image;
}

Result<std::optional<Image>> find_by_id(const std::string& store, const oci::Index& index, std::string_view prefix,
                                        const Summaries& summaries) {
  const oci::Descriptor* found = nullptr;
  std::string found_id;
  for (const oci::Descriptor& entry : index.manifests) {
    std::string id;
    if (const auto known = summaries.find(entry.digest); known != summaries.end()) {
      id = known->second.id;
    } else if (Result<Image> image = read_image(store, entry); image.ok()) {
      id = image->id;
    }
    // One damaged image must not hide the others.
    if (id.empty() || !id.starts_with(prefix)) continue;
    if (found != nullptr && found_id != id) {
      return Error(0, "several images have an id that begins with ", prefix, "; write more of it");
    }
    if (found == nullptr) {
      found = &entry;
      found_id = std::move(id);
    }
  }
  if (found == nullptr) return std::optional<Image>();
  Image image = TRY(read_whole(store, index, *found));
  if (image.id == found_id) return std::optional(std::move(image));
  // Its own documents say otherwise.
  return find_by_id(store, index, prefix, {});
}

}  // namespace

const oci::Descriptor* find_entry(const oci::Index& index, const ImageName& name) {
  const auto first = [&](auto&& matches) -> const oci::Descriptor* {
    const auto entry = std::find_if(index.manifests.begin(), index.manifests.end(), matches);
    return entry != index.manifests.end() ? &*entry : nullptr;
  };
  // By digest the tag does not matter: "alpine@sha256:…" is found under "…/alpine:latest" as well.
  const auto same_repository = [&](const oci::Descriptor& entry, std::string_view repository) {
    const std::string full = entry_name(entry);
    const auto [its_repository, its_suffix] = split_name(full);
    if (its_repository != repository) return false;
    return name.digest.empty() ? its_suffix == name.suffix() : has_digest(entry, name.digest);
  };
  for (const std::string& candidate : local_candidates(name)) {
    const oci::Descriptor* entry = first([&](const oci::Descriptor& e) { return same_repository(e, candidate); });
    if (entry != nullptr) return entry;
  }
  if (!name.is_short) return nullptr;
  return first([&](const oci::Descriptor& entry) {
    const std::string full = entry_name(entry);
    const std::string_view repository = split_name(full).first;
    return repository.ends_with("/" + name.repository) && same_repository(entry, repository);
  });
}

Result<std::optional<Image>> ImageStore::find(const std::string& word) const {
  if (std::optional<Image> own = TRY(find_own(word))) return own;
  for (const std::string& path : TRY(additional_stores())) {
    if (path == path_) continue;
    std::optional<Image> image = TRY(ImageStore(path).find_own(word).context("additional store ", path));
    if (!image) continue;
    image->read_only = true;
    return image;
  }
  return std::optional<Image>();
}

Result<std::optional<Image>> ImageStore::find_own(const std::string& word) const {
  const oci::Index index = TRY(read_index(path_));
  const std::string_view hex = word.starts_with("sha256:") ? std::string_view(word).substr(7) : std::string_view(word);
  const bool is_id = may_be_id(hex);
  const bool only_id = is_id && (hex.size() == 64 || hex.size() != word.size());
  if (!only_id) {
    Result<ImageName> name = parse_image_name(word);
    if (!name.ok() && !is_id) return name.error();
    if (name.ok()) {
      if (const oci::Descriptor* entry = find_entry(index, *name)) {
        return std::optional(TRY(read_whole(path_, index, *entry)));
      }
    }
  }
  if (!is_id) return std::optional<Image>();
  return find_by_id(path_, index, hex, read_summaries(path_));
}

int64_t ImageStore::size(const Image& image) const {
  int64_t bytes = 0;
  for (const ImageLayer& layer : image.layers) bytes = add_sizes(bytes, size(image, layer));
  return bytes;
}

int64_t ImageStore::size(const Image& image, const ImageLayer& layer) const {
  // Images share layers.
  const auto known = sizes_.find(layer.diff_id);
  if (known != sizes_.end()) return known->second;
  const int64_t bytes = unpacked_size(image.store, layer.diff_id).value_or(layer.blob.size);
  sizes_.emplace(layer.diff_id, bytes);
  return bytes;
}

namespace {

// Unpacks one layer from its blob for a map it was not yet unpacked for.
Result<Ok> unpack_again(Ingest& ingest, size_t index, const std::string& store, const ImageLayer& layer) {
  const oci::Digest digest = TRY(oci::Digest::parse(layer.blob.digest));
  const std::string path = blob_path(store, digest);
  const Fd blob = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  UnpackJob job = TRY(ingest.unpack(index, blob.get()));
  const UnpackedLayer unpacked = TRY(wait_for(job).context("unpack ", path));
  return ingest.take_layer(index, layer, "", unpacked, std::nullopt);
}

}  // namespace

Result<std::vector<std::string>> ImageStore::prepare_layers(const Image& image, const IdMap& map) {
  const std::string key = map_key(map);
  std::vector<std::string> lower;
  std::vector<size_t> missing;
  // From the top, as overlayfs wants them; what an opaque layer hides is not needed at all.
  const auto look = [&] {
    lower.clear();
    missing.clear();
    for (size_t i = image.layers.size(); i-- > 0;) {
      const std::string& diff_id = image.layers[i].diff_id;
      const std::string* store = &path_;
      Unpacked found = find_layer(path_, diff_id, key);
      if (found == Unpacked::no && image.read_only) {
        // Unpacked there for the same ids: as good as one of our own.
        store = &image.store;
        found = find_layer(image.store, diff_id, key);
      }
      if (found == Unpacked::no) missing.push_back(i);
      lower.push_back(cat(layer_path(*store, diff_id, key), found == Unpacked::opaque ? ".opaque/fs" : "/fs"));
      if (found == Unpacked::opaque) break;
    }
  };
  look();
  if (missing.empty()) return lower;

  TRY(make_store(path_));
  // One at a time for each image and map: whoever comes second finds the work done.
  const NameLock lock = TRY(NameLock::acquire(path_, cat(image.id, ".", key)));
  {
    Ingest ingest = TRY(Ingest::begin(path_, map, {}));
    ingest.abandon(true);
    for (const size_t i : missing) {
      // The same layer may stand twice in an image, or be unpacked by now.
      if (ingest.has_layer(image.layers[i].diff_id)) continue;
      TRY(unpack_again(ingest, i, image.store, image.layers[i]));
    }
    TRY(ingest.publish());
  }
  look();
  if (!missing.empty()) {
    return Error(0, "layer ", image.layers[missing.front()].diff_id, " is gone; was the image removed just now?");
  }
  return lower;
}

Result<Fd> ImageStore::hold() const {
  // Whoever holds it may unpack or add something, and before that what a power cut took must go: for that nobody may
  // hold it. The files are moved away only; the next command that adds something removes them.
  const Result<Ok> dropped = drop_lost(path_, [](const std::string&, const std::string&) { return Result<Ok>(Ok{}); });
  if (!dropped.ok()) {
    // Where nothing can be written nothing can be added either.
    const int code = dropped.error().code();
    if (code != EROFS && code != EACCES && code != EPERM) return dropped.error();
  }
  Result<Fd> fd = hold_folder(path_, Hold::shared);
  if (!fd.ok() && fd.error().code() == ENOENT) return Fd();
  return fd;
}

namespace {

Error is_read_only(const Image& image) {
  return Error(0, "image ", image.names.empty() ? image.id.substr(0, 12) : image.names.front(),
               " is in the additional store ", image.store, ", which is read-only");
}

}  // namespace

Result<Ok> ImageStore::tag(const Image& image, const std::string& name) {
  if (image.read_only) return is_read_only(image);
  const std::string full = TRY(full_local_name(name));
  return edit_index(path_, [&](oci::Index& index) -> Result<Ok> {
    const auto entry = std::find_if(index.manifests.begin(), index.manifests.end(), [&](const oci::Descriptor& other) {
      return other.digest == image.manifest_digest;
    });
    if (entry == index.manifests.end())
      return Error(0, image.id.substr(0, 12), ": image not known").with_exit_code(125);
    oci::Descriptor copy = *entry;
    copy.annotations.erase(std::string(kRefName));
    set_name(index, copy, full);
    return Ok{};
  });
}

Result<Ok> ImageStore::untag(const std::string& word) {
  const ImageName name = TRY(parse_image_name(word));
  return edit_index(path_, [&](oci::Index& index) -> Result<Ok> {
    const oci::Descriptor* entry = find_entry(index, name);
    if (entry == nullptr) return Error(0, word, ": image not known");
    drop_name(index, entry_name(*entry));
    return Ok{};
  });
}

Result<Removed> ImageStore::remove(const std::string& word, const RemoveOptions& options) {
  const auto not_known = [&] { return Error(0, word, ": image not known").with_exit_code(1); };
  if (!sys::exists(path_ + "/index.json")) {
    const std::optional<Image> other = TRY(find(word));
    return other ? is_read_only(*other) : not_known();
  }
  Removed removed;
  {
    // Alone: whoever looks an image up has by now either recorded its use, which is_used sees, or will not find it.
    const Fd users = TRY(hold_folder(path_, Hold::alone));
    // First, as a list may have no image for this machine.
    if (const std::optional<oci::Descriptor> list = TRY(find_list(path_, word))) {
      TRY(drop_list(path_, *list, options.is_used));
      removed.untagged.push_back(entry_name(*list));
    } else {
      const std::optional<Image> image = TRY(find(word));
      if (!image) return not_known();
      if (image->read_only) return is_read_only(*image);
      TRY(remove_held(*image, word, options, removed));
    }
  }
  const TreeRemover remover = remover_for(options.map);
  TRY(reclaim(path_, remover));
  std::optional<Staging> bin = TRY(move_garbage_away(path_, remover));
  if (bin && options.in_background) std::move(*bin).remove_in_background();
  return removed;
}

// Takes away what the word means of an image's own entries. What lists keep of it stays theirs.
Result<Ok> ImageStore::remove_held(Image image, const std::string& word, const RemoveOptions& options,
                                   Removed& removed) {
  image.names.clear();
  std::vector<std::string> manifests;
  std::vector<std::string> lists;
  const Summaries summaries = read_summaries(path_);
  for (const oci::Descriptor& entry : TRY(read_index(path_)).manifests) {
    const auto known = summaries.find(entry.digest);
    if (known != summaries.end() && known->second.id != image.id) continue;
    const Result<Image> other = read_image(path_, entry);
    if (!other.ok() || other->id != image.id) continue;
    if (is_list(entry.media_type)) {
      lists.push_back(entry_name(entry));
      continue;
    }
    add_names(image, entry);
    manifests.push_back(entry.digest);
  }
  if (manifests.empty()) {
    return Error(0, "image ", image.id.substr(0, 12), " is in list ", join(lists, ", "),
                 ", and nowhere else; remove that (moss manifest rm)");
  }
  const bool by_id =
      may_be_id(word.starts_with("sha256:") ? std::string_view(word).substr(7) : std::string_view(word)) &&
      image.id.starts_with(word.starts_with("sha256:") ? word.substr(7) : word);
  const bool whole = by_id || image.names.size() < 2;
  if (by_id && image.names.size() > 1 && !options.force) {
    return Error(0, "image ", image.id.substr(0, 12), " has several names (", join(image.names, ", "),
                 "); name one, or force its removal (-f)");
  }
  if (whole && options.is_used && options.is_used(image.id)) {
    return Error(0, "image ", image.id.substr(0, 12), " is in use by a container; remove that first").with_exit_code(2);
  }
  return edit_index(path_, [&](oci::Index& index) -> Result<Ok> {
    if (whole) {
      removed.untagged = image.names;
      const bool stays = std::any_of(index.manifests.begin(), index.manifests.end(), [&](const oci::Descriptor& entry) {
        return is_list(entry.media_type) && list_has(path_, entry, {manifests.begin(), manifests.end()});
      });
      if (!stays) removed.deleted.push_back(image.id);
      std::erase_if(index.manifests, [&](const oci::Descriptor& entry) {
        return std::find(manifests.begin(), manifests.end(), entry.digest) != manifests.end();
      });
      return Ok{};
    }
    const Result<ImageName> name = parse_image_name(word);
    if (!name.ok()) return name.error();
    if (const oci::Descriptor* entry = find_entry(index, *name)) {
      removed.untagged.push_back(entry_name(*entry));
      drop_name(index, removed.untagged.back());
    }
    return Ok{};
  });
}

Result<Ok> ImageStore::collect_garbage(const IdMap& map) {
  const TreeRemover remove = remover_for(map);
  TRY(reclaim(path_, remove));
  return engine::collect_garbage(path_, remove);
}

Result<Ok> ImageStore::destroy(const IdMap& map) {
  if (!sys::exists(path_)) return Ok{};
  const TreeRemover remove = remover_for(map);
  {
    const Fd users = TRY(hold_folder(path_, Hold::alone));
    std::optional<Fd> adders;
    if (sys::exists(path_ + "/blobs")) adders = TRY(hold_folder(path_ + "/blobs", Hold::alone));
    // Killed from here on, the store is empty, and the next command or the next reset takes the rest away.
    if (::unlink((path_ + "/index.json").c_str()) != 0 && errno != ENOENT) return sys_error("remove ", path_);
  }
  const size_t slash = path_.find_last_of('/');
  return remove(path_.substr(0, slash + 1), path_.substr(slash + 1));
}

Result<std::string> full_local_name(const std::string& text) {
  const ImageName name = TRY(parse_image_name(text));
  if (!name.digest.empty()) return Error(0, text, ": a name given to an image has a tag and no digest");
  return cat(name.is_short ? "localhost/" : "", name.repository, name.suffix());
}

}  // namespace moss::engine
