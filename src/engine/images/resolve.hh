// From a name's document to one image: the right entry of a list, its manifest, its config; all of it checked.
//
// Where the documents come from (a registry, a folder, an archive) is the caller's; what is believed is decided here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/store.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

constexpr size_t kMaxManifestBytes = 4u << 20;
constexpr size_t kMaxConfigBytes = 8u << 20;
constexpr size_t kMaxLayers = 500;
constexpr int kMaxIndexDepth = 3;

/// Gets a blob of at most `max_bytes`. The result is verified here, not by the fetcher.
using FetchDocument = std::function<Result<std::string>(const oci::Descriptor& blob, size_t max_bytes)>;

/// The manifest for a platform; its layers are known, but not what they unpack to.
struct ResolvedManifest {
  oci::Descriptor descriptor;  ///< of the manifest
  std::string manifest_text;
  oci::Manifest manifest;
  std::vector<std::string> list_digests;  ///< of the lists it was found in
};

struct ResolvedImage : ResolvedManifest {
  std::string config_text;
  oci::ImageConfig config;
  std::vector<ImageLayer> layers;
};

/// What a descriptor promises of a document: this type, its digest and its size. Errors: as digest_of().
Result<oci::Descriptor> descriptor_of(std::string_view media_type, std::string_view text);

/// Whether `text` is what a descriptor promises. Errors: another size or digest.
Result<Ok> verify_document(std::string_view text, const oci::Descriptor& blob);

/// The entry of a list for a platform. Errors: it has none; the message says which it has.
Result<oci::Descriptor> choose_entry(const oci::Index& index, const oci::Platform& wanted);

/// Follows `text` (a manifest or a list, already trusted or verified) to the manifest for `platform`.
/// Errors: not an image; schema 1; for other platforms only; layers that are none.
Result<ResolvedManifest> resolve_manifest(std::string text, const std::optional<oci::Platform>& platform,
                                          const FetchDocument& fetch);
/// The image of that manifest. One whose config says another platform is taken only where nothing was asked for.
/// Errors: for another platform; anything of it that does not fit together.
Result<ResolvedImage> resolve_config(ResolvedManifest manifest, const std::optional<oci::Platform>& platform,
                                     const FetchDocument& fetch);
/// Both.
Result<ResolvedImage> resolve_image(std::string text, const std::optional<oci::Platform>& platform,
                                    const FetchDocument& fetch);

/// An image of our own making: a manifest around a config and its layers' blobs. Errors: as match_layers.
Result<ResolvedImage> compose_image(std::string config_text, std::vector<oci::Descriptor> layers);

/// The manifest's layers with their diff ids. Errors: too many; counts that differ; digests that are none.
Result<std::vector<ImageLayer>> match_layers(const oci::Manifest& manifest, const oci::ImageConfig& config);

}  // namespace moss::engine
