// Lists of images in the store. See the header.
#include "lists.hh"

#include "layout.hh"
#include "moss/sys/file.hh"
#include "names.hh"
#include "resolve.hh"

namespace moss::engine {

bool is_list(std::string_view media_type) { return media_type == oci::kOciIndex || media_type == oci::kDockerIndex; }

Result<std::string> read_list_text(const std::string& store, const oci::Descriptor& list) {
  const oci::Digest digest = TRY(oci::Digest::parse(list.digest));
  std::string text = TRY(sys::read_file(blob_path(store, digest), kMaxManifestBytes));
  TRY(verify_document(text, list).context("list ", list.digest, " in the store"));
  return text;
}

Result<std::optional<oci::Descriptor>> find_list(const std::string& store, const std::string& text) {
  const Result<ImageName> name = parse_image_name(text);
  // An image's id, say, is no list's name.
  if (!name.ok()) return std::optional<oci::Descriptor>();
  const oci::Index index = TRY(read_index(store));
  const oci::Descriptor* entry = find_entry(index, *name);
  if (entry == nullptr || !is_list(entry->media_type)) return std::optional<oci::Descriptor>();
  return std::optional(*entry);
}

}  // namespace moss::engine
