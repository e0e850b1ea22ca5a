// config.json, with the parts of it that are also read alone.
#include "fuzz.hh"
#include "moss/oci/config.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  round_trip(input, oci::decode_config, oci::encode_config);
  must_be_short_and_printable(oci::decode_process(input));
  must_be_short_and_printable(oci::decode_resources(input));
  return 0;
}
