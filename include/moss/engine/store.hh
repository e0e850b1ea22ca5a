// The image store: an OCI image layout in the user's data folder, and unpacked layers beside it.
//
//   ~/.local/share/moss/            0700
//     oci-layout, index.json        the images and their names; skopeo and umoci can read them
//     blobs/sha256/<hex>            manifests, configs and layers as they came
//     layers/<diff id>.<map>/fs/    one layer unpacked for one id map; an overlay's lower folder
//     layers/<diff id>.size         how many bytes it holds
//     summaries                     what `images` shows of each image; made anew where it is missing
//     staging/                      what is being fetched; gone when its maker is
//     locks/                        see src/engine/images/README.md
//
// Reading takes no lock and makes nothing: what index.json names is whole. Every change is staged, synced once and
// renamed. Functions that unpack or remove need the caller to have no threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

struct ImageLayer {
  oci::Descriptor blob;
  std::string diff_id;  ///< "sha256:…" of the tar inside
};

struct Image {
  std::string id;                    ///< 64 hex digits: the digest of the config
  std::string manifest_digest;       ///< "sha256:…"
  std::vector<std::string> names;    ///< "docker.io/library/alpine:latest", "quay.io/a/b@sha256:…"; may be empty
  std::vector<std::string> digests;  ///< further digests it was pulled by: that of the list it came from
  oci::Manifest manifest;
  oci::ImageConfig config;
  std::vector<ImageLayer> layers;  ///< lowest first
  std::string store;               ///< the folder of the store it lies in
  bool read_only = false;          ///< of an additional store: it can be used, and not be changed
};

/// What lists show of an image. Where it is known already none of its documents is read.
struct ImageSummary {
  std::string id;
  std::string manifest_digest;
  std::vector<std::string> names;
  std::vector<std::string> digests;
  std::string created;  ///< RFC 3339
  std::string architecture;
  std::string os;
  std::map<std::string, std::string> labels;
  int64_t size = 0;  ///< as ImageStore::size has it
  bool read_only = false;
};

/// What rmi did, in the order to print it.
struct Removed {
  std::vector<std::string> untagged;
  std::vector<std::string> deleted;  ///< image ids
};

struct RemoveOptions {
  bool force = false;                                             ///< also by id where it has several names
  std::function<bool(const std::string& image_id)> is_used = {};  ///< a container is made from it: never deleted
  bool in_background =
      false;  ///< what takes long is left to a process that is nobody's child; the image is gone at once
  IdMap map;  ///< for removing unpacked files of mapped owners
};

class ImageStore {
 public:
  /// Looks at nothing yet: a store that is not there is an empty one.
  explicit ImageStore(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }

  /// The image a user's word means: a full name; a short one (localhost/, docker.io/library/, then any registry's); an
  /// id or the beginning of one. What is not in this store is looked for in the additional ones
  /// (moss/engine/additional_stores.hh). Nothing where there is none.
  /// Errors: not a name; an id's beginning that several images share; a damaged store (the file is named).
  Result<std::optional<Image>> find(const std::string& name) const;
  /// The same, where there must be one.
  Result<Image> get(const std::string& name) const;
  /// All of them, the last pulled first, then those of additional stores. What cannot be read is left out and its error
  /// put into `damaged`.
  Result<std::vector<Image>> list(std::vector<Error>* damaged = nullptr) const;
  /// The same as list() for whoever only shows them: fast also where there are hundreds. An image whose documents were
  /// damaged after it was first listed is shown as it was; `system check` finds it.
  Result<std::vector<ImageSummary>> summaries(std::vector<Error>* damaged = nullptr) const;
  /// Those of this store alone.
  Result<std::vector<Image>> list_own(std::vector<Error>* damaged = nullptr) const;
  /// The same, with those images of lists that are for other machines: whatever takes space.
  Result<std::vector<Image>> list_parts() const;
  /// Bytes of its unpacked layers, as Podman counts an image's size.
  int64_t size(const Image& image) const;
  int64_t size(const Image& image, const ImageLayer& layer) const;

  /// The lower folders of an overlay for a container with this id map, topmost first. Layers that were unpacked for
  /// another map alone are unpacked once more from their blobs.
  /// Errors: a blob that does not hold what its digest says; no space.
  Result<std::vector<std::string>> prepare_layers(const Image& image, const IdMap& map);

  /// Whoever looks up an image and later records its use holds this from before the one until after the other: nothing
  /// is collected meanwhile. A store that is not there gives an empty Fd.
  Result<Fd> hold() const;

  /// Gives an image one more name; whoever had it loses it. `name` is completed as in a pull ("x" is
  /// localhost/x:latest).
  Result<Ok> tag(const Image& image, const std::string& name);
  /// Takes a name away; the image stays, without a name if that was the last.
  Result<Ok> untag(const std::string& name);
  /// Podman's rmi: takes the name away, and deletes the image with its last one.
  /// Errors: no such image (exit code 1); in use (exit code 2); several names and not forced.
  Result<Removed> remove(const std::string& name, const RemoveOptions& options);

  /// Removes what killed commands left in staging/, and blobs and layers no image names, unless somebody holds them.
  Result<Ok> collect_garbage(const IdMap& map);
  /// Removes the store's whole folder, with whatever else is in it, once nobody is at work in it any more. The images
  /// are gone first, then their files.
  /// Errors: files of ids that `map` does not have.
  Result<Ok> destroy(const IdMap& map);

 private:
  Result<Ok> remove_held(Image image, const std::string& word, const RemoveOptions& options, Removed& removed);
  Result<std::optional<Image>> find_own(const std::string& word) const;

  std::string path_;
  mutable std::map<std::string, int64_t> sizes_;  ///< of layers, as they were when somebody asked first
};

Error no_such_image(const std::string& name);

/// The image as `podman inspect` prints it: one JSON object.
std::string inspect_image_json(const ImageStore& store, const Image& image);

/// "docker.io/library/alpine:latest" for a tag's owner: a short name is the user's own, localhost/NAME.
Result<std::string> full_local_name(const std::string& name);

/// An image's name in two: the repository, and ":tag", "@sha256:…" or nothing, as other tools may name an image. Pure.
std::pair<std::string_view, std::string_view> split_name(std::string_view name);

/// "quay.io/a/b@sha256:…" for each of an image's `names`, in their order, with its manifest's digest and the `others`
/// it is known by; every one once. Pure.
std::vector<std::string> repo_digests(const std::vector<std::string>& names, const std::string& manifest_digest,
                                      const std::vector<std::string>& others);

/// The digits of an image's id as a user writes it, with "sha256:" in front or without. Pure.
std::string_view id_digits(std::string_view word);

}  // namespace moss::engine
