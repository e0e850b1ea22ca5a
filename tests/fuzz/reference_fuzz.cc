// Image references: what parses is safe in a path, and means the same when it is written and read again.
#include "fuzz.hh"
#include "moss/oci/reference.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto write = [](const oci::Reference& reference) { return oci::to_string(reference); };
  round_trip(input, oci::parse_reference, write);
  round_trip(input, oci::parse_short_name, write);
  const auto reference = oci::parse_reference(input);
  if (reference.ok()) {
    must(reference->repository.find("..") == std::string::npos, "no .. in a repository");
    must(reference->registry.find("..") == std::string::npos, "no .. in a registry");
    must(reference->repository.front() != '/' && reference->repository.back() != '/', "no empty part");
    must(reference->tag.find('/') == std::string::npos, "no / in a tag");
    must(!reference->registry.empty() && (!reference->tag.empty() || !reference->digest.empty()), "whole");
    must(!oci::parse_short_name(input).ok(), "a full name is not a short one");
  }
  return 0;
}
