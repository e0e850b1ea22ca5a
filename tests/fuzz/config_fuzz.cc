// config.json, with the parts of it that are also read alone.
#include "fuzz.hh"
#include "moss/oci/config.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  round_trip(input, oci::decode_config, oci::encode_config);
  round_trip(input, oci::decode_process, oci::encode_process);
  round_trip(input, oci::decode_resources, oci::encode_resources);
  round_trip(input, oci::decode_seccomp, oci::encode_seccomp);
  return 0;
}
