// The store's folders, its index, and what nobody needs any more. Spec: image-spec image-layout.md.
#include "layout.hh"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "lists.hh"
#include "moss/base/hash.hh"
#include "moss/engine/additional_stores.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "resolve.hh"
#include "summaries.hh"
#include "unsynced.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kLayoutText = "{\"imageLayoutVersion\":\"1.0.0\"}";

// What is replaced by renaming, with the index's lock.
constexpr std::string_view kReplacedFiles[] = {"index.json", "oci-layout", kSummariesFile};

}  // namespace

std::string_view hex_of(std::string_view digest) { return digest.substr(digest.find(':') + 1); }

std::string blob_path(const std::string& store, const oci::Digest& digest) {
  return cat(store, "/blobs/", digest.algorithm(), "/", digest.hex());
}

std::string map_key(const IdMap& map) {
  // The caller's own id is in the key too: single maps of several users of one store folder are different maps. It
  // keeps apart the few maps one user has; nothing is trusted because of it.
  const std::string hash = hex_digits(fnv1a(cat(to_string(map.uids), "/", to_string(map.gids))));
  return cat(map.is_single() ? "single-" : "", hash);
}

std::string layer_path(const std::string& store, const std::string& diff_id, const std::string& key) {
  return cat(store, "/layers/", hex_of(diff_id), ".", key);
}

std::string layer_size_path(const std::string& store, const std::string& diff_id) {
  return cat(store, "/layers/", hex_of(diff_id), ".size");
}

std::optional<int64_t> unpacked_size(const std::string& store, const std::string& diff_id) {
  const Result<std::string> text = sys::read_file(layer_size_path(store, diff_id), 64);
  const auto written = text.ok() ? parse_number<int64_t>(*text) : std::nullopt;
  return written && *written >= 0 ? written : std::nullopt;
}

Unpacked find_layer(const std::string& store, const std::string& diff_id, const std::string& key) {
  const std::string path = layer_path(store, diff_id, key);
  if (sys::exists(path)) return Unpacked::yes;
  return sys::exists(path + ".opaque") ? Unpacked::opaque : Unpacked::no;
}

Result<Ok> write_layout(const std::string& store) { return sys::replace_file(store + "/oci-layout", kLayoutText); }

Result<Ok> check_layout_version(const std::string& store) {
  const std::string path = store + "/oci-layout";
  const std::optional<std::string> text = TRY(sys::read_file_if_exists(path, 4096));
  // What is no version at all is damage, which is for system check to say.
  if (!text || text->find("\"imageLayoutVersion\"") == std::string::npos) return Ok{};
  if (text->find("\"1.0.0\"") != std::string::npos) return Ok{};
  return Error(0, path, ": ", printable(*text), " is not the version that this moss knows, 1.0.0",
               "; use a newer moss, or name another folder in XDG_DATA_HOME");
}

Result<Ok> make_store(const std::string& store) {
  TRY(check_layout_version(store));
  const auto say = [&](Error error) { return explain(keep_images_elsewhere(std::move(error), store), store); };
  if (sys::exists(store + "/index.json") && ::access(store.c_str(), W_OK) != 0)
    return say(sys_error("write to ", store));
  if (Result<Ok> made = sys::make_dirs(store, 0700); !made.ok()) return say(made.error());
  for (const char* folder : {"/blobs", "/blobs/sha256", "/layers", "/staging", "/locks"}) {
    if (Result<Ok> made = sys::make_dirs(store + folder, 0700); !made.ok()) return say(made.error());
  }
  if (!sys::exists(store + "/oci-layout")) {
    if (const Result<Ok> written = write_layout(store); !written.ok()) return say(written.error());
  }
  if (!sys::exists(store + "/index.json")) {
    Result<Ok> edited = edit_index(store, [](oci::Index&) { return Ok{}; });
    if (!edited.ok()) return say(edited.error());
  }
  return Ok{};
}

namespace {

Result<oci::Index> read_whole_index(const std::string& store) {
  const std::string path = store + "/index.json";
  Result<std::optional<std::string>> read = sys::read_file_if_exists(path, kMaxIndexBytes);
  if (!read.ok() && read.error().code() == EACCES) {
    return Error(EACCES, "images are kept in ", store,
                 ", which is closed to you; name another folder in XDG_DATA_HOME");
  }
  const std::optional<std::string> text = TRY(std::move(read));
  if (!text) {
    oci::Index empty;
    empty.media_type = std::string(oci::kOciIndex);
    return empty;
  }
  return oci::decode_index(*text).context(path);
}

void leave_out_lost(oci::Index& index, const std::string& store) {
  const std::set<std::string> lost = lost_manifests(store);
  if (lost.empty()) return;
  std::erase_if(index.manifests, [&](const oci::Descriptor& entry) { return lost.contains(entry.digest); });
}

}  // namespace

Result<oci::Index> read_index(const std::string& store) {
  oci::Index index = TRY(read_whole_index(store));
  leave_out_lost(index, store);
  return index;
}

Result<Ok> edit_index(const std::string& store, const std::function<Result<Ok>(oci::Index&)>& edit) {
  TRY(check_layout_version(store));
  const NameLock lock = TRY(NameLock::acquire(store, "index"));
  oci::Index index = TRY(read_whole_index(store));
  const std::vector<oci::Descriptor> before = index.manifests;
  leave_out_lost(index, store);
  TRY(edit(index));
  if (index.manifests == before && sys::exists(store + "/index.json")) return Ok{};
  Result<Ok> written = sys::replace_file(store + "/index.json", oci::encode_index(index), 0644, sys::Sync::yes);
  if (!written.ok()) return explain(written.error(), store);
  return Ok{};
}

Result<Image> read_image(const std::string& store, const oci::Descriptor& entry) {
  return read_image(store, AT_FDCWD, entry);
}

Result<Image> read_image(const std::string& store, int blobs, const oci::Descriptor& entry) {
  if (is_list(entry.media_type)) return image_of_list(store, entry);
  const auto read = [&](const oci::Digest& digest, const std::string& path, size_t max_bytes) -> Result<std::string> {
    if (blobs == AT_FDCWD) return sys::read_file(path, max_bytes);
    Result<std::string> text = sys::read_file_at(blobs, cat(digest.algorithm(), "/", digest.hex()), max_bytes);
    // Somebody whose words are shown knows it by its whole path.
    return text.ok() ? text : sys::read_file(path, max_bytes);
  };
  Image image;
  const oci::Digest manifest = TRY(oci::Digest::parse(entry.digest).context(store, "/index.json"));
  const std::string manifest_path = blob_path(store, manifest);
  const std::string manifest_text = TRY(read(manifest, manifest_path, kMaxManifestBytes));
  image.manifest = TRY(oci::decode_manifest(manifest_text).context(manifest_path));
  const oci::Digest config = TRY(oci::Digest::parse(image.manifest.config.digest).context(manifest_path));
  const std::string config_path = blob_path(store, config);
  const std::string config_text = TRY(read(config, config_path, kMaxConfigBytes));
  image.config = TRY(oci::decode_image_config(config_text).context(config_path));
  image.layers = TRY(match_layers(image.manifest, image.config).context(manifest_path));
  image.id = config.hex();
  image.store = store;
  image.manifest_digest = manifest.text();
  if (std::string name = entry_name(entry); !name.empty()) image.names.push_back(std::move(name));
  if (const auto list = entry.annotations.find(std::string(kListDigest)); list != entry.annotations.end()) {
    image.digests.push_back(list->second);
  }
  return image;
}

std::string entry_name(const oci::Descriptor& entry) {
  const auto name = entry.annotations.find(std::string(kRefName));
  return name != entry.annotations.end() ? name->second : std::string();
}

void set_name(oci::Index& index, const oci::Descriptor& image, const std::string& name) {
  // The new entry first: an image that stays as it is keeps an entry all the while.
  oci::Descriptor entry = image;
  if (!name.empty()) entry.annotations[std::string(kRefName)] = name;
  if (!name.empty()) drop_name(index, name);
  std::erase_if(index.manifests, [&](const oci::Descriptor& other) {
    return other.digest == entry.digest && entry_name(other).empty();
  });
  const bool known = std::any_of(index.manifests.begin(), index.manifests.end(),
                                 [&](const oci::Descriptor& other) { return other.digest == entry.digest; });
  if (name.empty() && known) return;
  index.manifests.insert(index.manifests.begin(), std::move(entry));
}

void drop_name(oci::Index& index, const std::string& name) {
  const auto entry = std::find_if(index.manifests.begin(), index.manifests.end(),
                                  [&](const oci::Descriptor& other) { return entry_name(other) == name; });
  if (entry == index.manifests.end()) return;
  const auto same = std::count_if(index.manifests.begin(), index.manifests.end(),
                                  [&](const oci::Descriptor& other) { return other.digest == entry->digest; });
  // Nobody finds a list without a name.
  if (same > 1 || is_list(entry->media_type)) {
    index.manifests.erase(entry);
  } else {
    entry->annotations.erase(std::string(kRefName));
  }
}

Result<Ok> sync_filesystem(const std::string& path) {
  const Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return sys_error("sync ", path);
  return Ok{};
}

Result<Ok> sync_folder(const std::string& path) {
  const Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return sys_error("sync ", path);
  return Ok{};
}

Error explain(Error error, const std::string& store) {
  if (error.code() == ENOSPC || error.code() == EDQUOT) {
    error.add_context("no space left for images in ", store, " (free some, or name another folder in XDG_DATA_HOME)");
  }
  return error;
}

TreeRemover remover_for(const IdMap& map) {
  return [map](const std::string& parent, const std::string& name) -> Result<Ok> {
    const Fd dir = TRY(sys::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY));
    Result<Ok> removed = sys::remove_tree_at(dir.get(), name);
    if (removed.ok() || map.uids.empty() || ::geteuid() == 0) return removed;
    // Files of subordinate ids: only their namespace's root may remove them.
    const int code = TRY(sys::run_in_user_namespace(map, [&] {
      const Result<Ok> again = sys::remove_tree_at(dir.get(), name);
      return again.ok() ? 0 : again.error().code() != 0 ? again.error().code() : 1;
    }));
    if (code != 0) return Error(code, "remove ", parent, "/", name);
    return Ok{};
  };
}

bool is_half_written(std::string_view name) {
  return std::any_of(std::begin(kReplacedFiles), std::end(kReplacedFiles), [&](std::string_view file) {
    return name.starts_with(file) && name.substr(file.size()).starts_with('.');
  });
}

Result<Ok> reclaim(const std::string& store, const TreeRemover& remove) {
  TRY(reclaim_staging(store, remove));
  if (!sys::exists(store + "/locks")) return Ok{};
  {
    // Whoever is writing one now holds this.
    const NameLock lock = TRY(NameLock::acquire(store, "index"));
    for (const std::string& name : TRY(sys::list_dir(store))) {
      if (is_half_written(name)) ::unlink(cat(store, "/", name).c_str());
    }
  }
  for (const std::string& name : TRY(sys::list_dir(store + "/locks"))) {
    // Taken and let go: its end removes the file.
    (void)TRY(NameLock::try_acquire(store, name));
  }
  return Ok{};
}

namespace {

void add_image(Referenced& referenced, const Image& image) {
  referenced.blobs.insert(image.manifest_digest);
  referenced.blobs.insert(image.manifest.config.digest);
  for (const ImageLayer& layer : image.layers) {
    referenced.blobs.insert(layer.blob.digest);
    referenced.diff_ids.insert(std::string(hex_of(layer.diff_id)));
  }
}

Result<Ok> add_entry(Referenced& referenced, const std::string& store, const oci::Descriptor& entry) {
  if (!is_list(entry.media_type)) {
    add_image(referenced, TRY(read_image(store, entry)));
    return Ok{};
  }
  referenced.blobs.insert(entry.digest);
  for (const Image& image : TRY(images_of_list(store, entry))) add_image(referenced, image);
  return Ok{};
}

}  // namespace

Result<Referenced> find_referenced(const std::string& store, Unreadable unreadable) {
  Referenced referenced;
  // What was unpacked here from the blobs of additional stores. Where those cannot be told, it is nobody's: it is
  // unpacked again when it is needed.
  const Result<std::vector<std::string>> others = additional_stores();
  for (const std::string& other : others.ok() ? *others : std::vector<std::string>()) {
    const Result<oci::Index> index = read_index(other);
    if (!index.ok()) continue;
    for (const oci::Descriptor& entry : index->manifests) {
      const Result<Image> image = read_image(other, entry);
      if (!image.ok()) continue;
      for (const ImageLayer& layer : image->layers) referenced.diff_ids.insert(std::string(hex_of(layer.diff_id)));
    }
  }
  for (const oci::Descriptor& entry : TRY(read_index(store)).manifests) {
    // An index may hold foreign entries (skopeo can write here): what is not understood is not garbage.
    const Result<Ok> added = add_entry(referenced, store, entry);
    if (!added.ok() && unreadable == Unreadable::refuse) return added.error();
  }
  return referenced;
}

Result<std::optional<Staging>> move_garbage_away(const std::string& store, const TreeRemover& remove,
                                                 Patience patience) {
  std::optional<Staging> bin;
  if (!sys::exists(store + "/blobs")) return bin;
  const auto hold = [&](const std::string& folder) -> Result<std::optional<Fd>> {
    if (patience == Patience::none) return try_hold_folder(folder, Hold::alone);
    return std::optional(TRY(hold_folder(folder, Hold::alone)));
  };
  std::optional<Fd> users = TRY(hold(store));
  if (!users) return bin;
  std::optional<Fd> adders = TRY(hold(store + "/blobs"));
  if (!adders) return bin;
  // Nobody adds, nobody looks up: what no image names now is named by none later.
  const Referenced referenced =
      TRY(find_referenced(store, Unreadable::refuse).context("collect garbage; nothing was removed"));
  const auto throw_away = [&](const std::string& path, const std::string& name) -> Result<Ok> {
    if (!bin) bin.emplace(TRY(Staging::create(store, remove)));
    if (::rename(path.c_str(), cat(bin->path(), "/", name).c_str()) != 0) return sys_error("move ", path, " away");
    return Ok{};
  };
  if (referenced.blobs.empty()) ::unlink(cat(store, "/", kSummariesFile).c_str());
  for (const std::string& algorithm : TRY(sys::list_dir(store + "/blobs"))) {
    for (const std::string& hex : TRY(sys::list_dir(cat(store, "/blobs/", algorithm)))) {
      if (referenced.blobs.contains(cat(algorithm, ":", hex))) continue;
      TRY(throw_away(cat(store, "/blobs/", algorithm, "/", hex), cat(algorithm, "-", hex)));
    }
  }
  for (const std::string& name : TRY(sys::list_dir(store + "/layers"))) {
    if (referenced.diff_ids.contains(name.substr(0, name.find('.')))) continue;
    TRY(throw_away(cat(store, "/layers/", name), name));
  }
  return bin;
}

Result<Ok> collect_garbage(const std::string& store, const TreeRemover& remove, Patience patience) {
  // Removing may take long; by then nobody is kept from anything.
  const std::optional<Staging> bin = TRY(move_garbage_away(store, remove, patience));
  return Ok{};
}

}  // namespace moss::engine
