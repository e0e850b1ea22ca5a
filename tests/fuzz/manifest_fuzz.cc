// Manifests and indexes; and no document may be both.
#include "fuzz.hh"
#include "moss/oci/image.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  round_trip(input, oci::decode_manifest, oci::encode_manifest);
  round_trip(input, oci::decode_index, oci::encode_index);
  must(!oci::decode_manifest(input).ok() || !oci::decode_index(input).ok(), "no document is a manifest and an index");
  return 0;
}
