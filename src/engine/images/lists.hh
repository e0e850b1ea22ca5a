// Lists of images for several platforms in the store: entries of index.json that are indexes themselves.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/store.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

/// Whether a descriptor of this media type is a list.
bool is_list(std::string_view media_type);

/// The text of a list in the store, verified.
Result<std::string> read_list_text(const std::string& store, const oci::Descriptor& list);

/// Whether a document is a list and no manifest. Errors: neither, or both.
Result<bool> is_list_text(std::string_view text);

/// The image of a list for this machine, known by the list's name and digest.
/// Errors: it has none for this machine.
Result<Image> image_of_list(const std::string& store, const oci::Descriptor& list);

/// All images of a list that are here. One whose manifest is not, as other tools may leave it out, is not missed.
Result<std::vector<Image>> images_of_list(const std::string& store, const oci::Descriptor& list);

/// Whether one of these manifests is in the list. A list that cannot be read has none.
bool list_has(const std::string& store, const oci::Descriptor& list, const std::set<std::string>& digests);

/// Takes a list's name away, and with it the list. An image that a container is made from stays, without a name.
Result<Ok> drop_list(const std::string& store, const oci::Descriptor& list,
                     const std::function<bool(const std::string& image_id)>& is_used);

/// The list of that name in the store. Short names are the user's own, then any registry's, as for images.
Result<std::optional<oci::Descriptor>> find_list(const std::string& store, const std::string& name);

}  // namespace moss::engine
