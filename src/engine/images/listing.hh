// What an image is called is spread over the entries of the index.
#pragma once

#include <algorithm>
#include <string>

#include "layout.hh"

namespace moss::engine {

/// Adds the name and the digest that an entry has to what is listed of its image: an Image or an ImageSummary.
template <typename Listed>
void add_names(Listed& listed, const oci::Descriptor& entry) {
  const auto add = [](std::vector<std::string>& to, const std::string& text) {
    if (std::find(to.begin(), to.end(), text) == to.end()) to.push_back(text);
  };
  if (const std::string name = entry_name(entry); !name.empty()) add(listed.names, name);
  const auto list = entry.annotations.find(std::string(kListDigest));
  if (list != entry.annotations.end()) add(listed.digests, list->second);
}

}  // namespace moss::engine
