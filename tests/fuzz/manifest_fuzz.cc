// Manifests, indexes and Docker's lists; and no document may be two of them.
#include "fuzz.hh"
#include "moss/oci/image.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  round_trip(input, oci::decode_manifest, oci::encode_manifest);
  round_trip(input, oci::decode_index, oci::encode_index);
  const bool is_manifest = oci::decode_manifest(input).ok();
  const bool is_index = oci::decode_index(input).ok();
  must(!is_manifest || !is_index, "no document is a manifest and an index");
  const auto outline = oci::decode_outline(input);
  must_be_short_and_printable(outline);
  must(!is_manifest || (outline.ok() && !outline->has_manifests), "a manifest looks like one");
  must(!is_index || (outline.ok() && !outline->has_layers), "an index looks like one");
  must_be_short_and_printable(oci::decode_name_page(input));
  const auto archived = oci::decode_archived_images(input);
  must_be_short_and_printable(archived);
  must(!archived.ok() || (!is_manifest && !is_index), "Docker's list is no document of OCI's");
  return 0;
}
