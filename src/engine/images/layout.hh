// Where things are in the store, and its index.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "locks.hh"
#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/store.hh"
#include "moss/oci/image.hh"
#include "names.hh"

namespace moss::engine {

constexpr std::string_view kRefName = "org.opencontainers.image.ref.name";
/// Our own annotation: the digest of the list the image was found in, so that it is known by that one too.
constexpr std::string_view kListDigest = "dev.moss.list.digest";
constexpr size_t kMaxIndexBytes = 32u << 20;

/// "sha256:<hex>" without what is before the colon.
std::string_view hex_of(std::string_view digest);
std::string blob_path(const std::string& store, const oci::Digest& digest);
/// Part of the names of unpacked layers: which ids a layer's files belong to.
std::string map_key(const IdMap& map);
/// "layers/<diff id>.<map>", with the layer itself in fs/: a folder that a layer made its own (of another owner, or not
/// writable) could not be renamed. An opaque layer, which hides all below it, has ".opaque" behind that.
std::string layer_path(const std::string& store, const std::string& diff_id, const std::string& key);
std::string layer_size_path(const std::string& store, const std::string& diff_id);
/// What that file says; nothing for a layer that was never unpacked here.
std::optional<int64_t> unpacked_size(const std::string& store, const std::string& diff_id);
/// Whether the layer is unpacked for the map, and whether it is opaque.
enum class Unpacked { no, yes, opaque };
Unpacked find_layer(const std::string& store, const std::string& diff_id, const std::string& key);

/// Error: the store is of a layout that this moss does not know, and must not write to.
Result<Ok> check_layout_version(const std::string& store);

/// Writes the file that says that this is an image layout.
Result<Ok> write_layout(const std::string& store);
/// Makes the store's folders where they are missing.
/// Errors: a home that cannot be written to; a store of a later format.
Result<Ok> make_store(const std::string& store);

/// A store that is not there has an empty index. What a power cut may have damaged is left out (unsynced.hh).
Result<oci::Index> read_index(const std::string& store);
/// Reads, changes and replaces index.json, one at a time. What read_index() leaves out is gone afterwards.
Result<Ok> edit_index(const std::string& store, const std::function<Result<Ok>(oci::Index&)>& edit);
/// The image an entry of the index stands for, with that entry's name alone.
Result<Image> read_image(const std::string& store, const oci::Descriptor& entry);
/// The same for whoever reads many: `blobs` is the store's folder blobs/, open.
Result<Image> read_image(const std::string& store, int blobs, const oci::Descriptor& entry);
/// The entry's name; empty where it has none.
std::string entry_name(const oci::Descriptor& entry);
/// The entry that a user's word means, as ImageStore::find says it; nullptr where there is none.
const oci::Descriptor* find_entry(const oci::Index& index, const ImageName& name);
/// Gives an image's entry `name`, taking it from another. Without names it is an entry of its own.
void set_name(oci::Index& index, const oci::Descriptor& image, const std::string& name);
/// Takes the entry's name; an image keeps one entry without a name when it was the last.
void drop_name(oci::Index& index, const std::string& name);

/// Flushes the file system of `path`.
Result<Ok> sync_filesystem(const std::string& path);
/// Flushes one folder's own entries.
Result<Ok> sync_folder(const std::string& path);

/// What to do about a full disk, where that is what went wrong.
Error explain(Error error, const std::string& store);

/// Removes trees in a user namespace with this map where the caller alone may not. The caller must have no threads.
TreeRemover remover_for(const IdMap& map);
/// Whether a name in the store's folder is that of a new index.json, say, that was to be renamed into its place.
bool is_half_written(std::string_view name);
/// Removes what killed commands left: staging folders, half-written copies of index.json, lock files.
Result<Ok> reclaim(const std::string& store, const TreeRemover& remove);
/// What the images of the store are made of.
struct Referenced {
  std::set<std::string> blobs;     ///< digests
  std::set<std::string> diff_ids;  ///< hex
};
/// Errors: an entry of the index that cannot be followed, unless those are to be skipped.
enum class Unreadable : bool { refuse, skip };
Result<Referenced> find_referenced(const std::string& store, Unreadable unreadable);

/// Moves blobs and layers that no image names out of sight, then removes them. While somebody holds the store or its
/// blobs it waits for them, or does nothing.
enum class Patience : bool { none, wait };
Result<Ok> collect_garbage(const std::string& store, const TreeRemover& remove, Patience patience = Patience::none);
/// The first half of it: gives where everything now lies, for its end to remove. Nothing where there is nothing.
Result<std::optional<Staging>> move_garbage_away(const std::string& store, const TreeRemover& remove,
                                                 Patience patience = Patience::none);

}  // namespace moss::engine
