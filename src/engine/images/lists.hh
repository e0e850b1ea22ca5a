// Lists of images for several platforms in the store: entries of index.json that are indexes themselves.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "moss/base/result.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

/// Whether a descriptor of this media type is a list.
bool is_list(std::string_view media_type);

/// The text of a list in the store, verified.
Result<std::string> read_list_text(const std::string& store, const oci::Descriptor& list);

/// The list of that name in the store. Short names are the user's own, then any registry's, as for images.
Result<std::optional<oci::Descriptor>> find_list(const std::string& store, const std::string& name);

}  // namespace moss::engine
