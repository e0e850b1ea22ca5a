// An image on its way out: what its manifest says, and the files behind it.
//
// By default all of it is byte for byte what came in, so digests stay. Where another format of manifest or another
// compression is asked for, layers are compressed anew into staging, and a manifest is written for them; the config
// stays as it is, and so does the image's id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "locks.hh"
#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/push.hh"
#include "moss/engine/store.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

struct OutgoingBlob {
  oci::Descriptor descriptor;
  std::shared_ptr<Fd> file;  ///< open for reading: the blob stays whole even when the image is removed meanwhile
  std::string diff_id;       ///< of a layer
};

struct OutgoingImage {
  std::string id;
  oci::Descriptor descriptor;  ///< of the manifest
  std::string manifest_text;
  oci::Manifest manifest;
  oci::ImageConfig config;
  OutgoingBlob config_blob;
  std::vector<OutgoingBlob> layers;
};

/// A list of images for several platforms.
struct OutgoingList {
  oci::Descriptor descriptor;
  std::string text;
  oci::Index index;
  std::vector<OutgoingImage> images;  ///< the entries of `index`, in its order
};

/// Makes images ready to go out of one store, in one form.
class Packer {
 public:
  /// Makes nothing yet. `options` and `store` outlive the value.
  Packer(const ImageStore& store, const OutgoingForm& form, const ProgressCallback& progress)
      : store_(store), form_(form), progress_(progress) {}

  /// Errors: a blob that is missing or is not what its digest says; a form that cannot be; a full disk.
  Result<OutgoingImage> pack(const Image& image);
  /// All images of a list, and the list as it is then.
  Result<OutgoingList> pack_list(const oci::Descriptor& list);

 private:
  Result<Ok> pack_layer(OutgoingImage& out, size_t index, LayerCompression wanted);
  Result<Ok> write_manifest(OutgoingImage& out, bool docker);

  const ImageStore& store_;
  const OutgoingForm& form_;
  const ProgressCallback& progress_;
  std::optional<Staging> staging_;              ///< for what is compressed anew; goes with this value
  std::map<std::string, OutgoingBlob> packed_;  ///< by the digest before
};

/// How a layer is compressed, by its media type.
LayerCompression compression_of(std::string_view media_type);

/// The layer's tar, given to `sink` in pieces. Errors: not what its diff id says; what the sink says.
Result<Ok> read_layer_tar(const OutgoingBlob& layer, const std::function<Result<Ok>(std::string_view)>& sink);

}  // namespace moss::engine
