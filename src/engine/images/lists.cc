// Lists of images in the store. See the header.
#include "lists.hh"

#include <algorithm>

#include "layout.hh"
#include "moss/engine/pull.hh"
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

Result<Image> image_of_list(const std::string& store, const oci::Descriptor& list) {
  const std::string text = TRY(read_list_text(store, list));
  const oci::Index index = TRY(oci::decode_index(text).context("list ", list.digest, " in the store"));
  oci::Descriptor entry = TRY(choose_entry(index, host_platform()));
  if (is_list(entry.media_type)) return Error(0, "a list of lists is not looked into");
  entry.annotations = list.annotations;
  Image image = TRY(read_image(store, entry));
  image.digests.push_back(list.digest);
  return image;
}

Result<std::vector<Image>> images_of_list(const std::string& store, const oci::Descriptor& list) {
  const std::string text = TRY(read_list_text(store, list));
  std::vector<Image> images;
  for (const oci::Descriptor& entry : TRY(oci::decode_index(text)).manifests) {
    const oci::Digest digest = TRY(oci::Digest::parse(entry.digest));
    if (!is_list(entry.media_type) && sys::exists(blob_path(store, digest))) {
      images.push_back(TRY(read_image(store, entry)));
    }
  }
  return images;
}

bool list_has(const std::string& store, const oci::Descriptor& list, const std::set<std::string>& digests) {
  const Result<std::string> text = read_list_text(store, list);
  const Result<oci::Index> index = text.ok() ? oci::decode_index(*text) : Result<oci::Index>(text.error());
  return index.ok() && std::any_of(index->manifests.begin(), index->manifests.end(),
                                   [&](const oci::Descriptor& entry) { return digests.contains(entry.digest); });
}

Result<Ok> drop_list(const std::string& store, const oci::Descriptor& list,
                     const std::function<bool(const std::string& image_id)>& is_used) {
  const std::string text = TRY(read_list_text(store, list));
  std::vector<oci::Descriptor> used;
  for (oci::Descriptor& entry : TRY(oci::decode_index(text)).manifests) {
    const Result<Image> image = read_image(store, entry);
    if (!image.ok() || !is_used || !is_used(image->id)) continue;
    entry.annotations.clear();
    used.push_back(std::move(entry));
  }
  return edit_index(store, [&](oci::Index& index) -> Result<Ok> {
    for (const oci::Descriptor& entry : used) set_name(index, entry, "");
    drop_name(index, entry_name(list));
    return Ok{};
  });
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
