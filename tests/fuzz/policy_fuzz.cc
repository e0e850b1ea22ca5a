// policy.json, registries.d, keys and what is signed: who is trusted is decided by these.
#include "fuzz.hh"
#include "moss/engine/trust.hh"
#include "src/engine/trust/lookaside.hh"
#include "src/engine/trust/openpgp.hh"
#include "src/engine/trust/payload.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  must_be_short_and_printable(engine::TrustPolicy::parse(input, "p.json"));
  must_be_short_and_printable(engine::parse_payload(input, engine::PayloadType::cosign));
  must_be_short_and_printable(engine::dearmor_keys(input));
  engine::RegistriesD conf;
  must_be_short_and_printable(engine::merge_registries_d(conf, input, "d.yaml"));
  return 0;
}
