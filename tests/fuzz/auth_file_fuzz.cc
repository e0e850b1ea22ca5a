// auth.json and Docker's config.json.
#include "fuzz.hh"
#include "src/engine/images/credentials.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const char* repository : {"docker.io/library/alpine", "quay.io/a/b", "127.0.0.1:5000/app"}) {
    const auto found = engine::find_auth_entry(input, repository);
    must_be_short_and_printable(found);
    if (found.ok() && found->credentials) must(found->credentials->user.find(':') == std::string::npos, "no colon");
  }
  return 0;
}
