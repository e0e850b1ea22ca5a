// An image's config blob.
#include "fuzz.hh"
#include "moss/oci/image.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  round_trip({reinterpret_cast<const char*>(data), size}, oci::decode_image_config, oci::encode_image_config);
  return 0;
}
