// Digests: the names of blobs. Strict, because they become file names and parts of URLs.
#include <algorithm>

#include "moss/oci/image.hh"

namespace moss::oci {

namespace {

/// Room for a whole sha512 digest.
constexpr size_t kExcerptBytes = 140;

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  const auto [algorithm, hex] = cut(text, ':');
  const size_t digits = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  const bool is_hex = hex && std::all_of(hex->begin(), hex->end(),
                                         [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (digits == 0 || !is_hex || hex->size() != digits) {
    return Error(0, "bad digest \"", excerpt(text, kExcerptBytes),
                 "\": expected sha256: and 64 lower-case hex digits, or sha512: and 128");
  }
  return Digest(std::string(text));
}

}  // namespace moss::oci
