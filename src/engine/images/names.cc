// What a user's word for an image may mean. See the header; the grammar is oci/reference.hh's.
#include "names.hh"

#include <algorithm>

#include "moss/oci/reference.hh"

namespace moss::engine {

std::string ImageName::suffix() const { return digest.empty() ? ":" + tag : "@" + digest; }

Result<ImageName> parse_image_name(const std::string& text) {
  std::string_view rest = text;
  if (rest.starts_with("docker://")) rest.remove_prefix(9);
  ImageName name;
  name.is_short = oci::is_short_name(rest);
  const oci::Reference reference = TRY(name.is_short ? oci::parse_short_name(rest) : oci::parse_reference(rest));
  name.repository = name.is_short ? reference.repository : oci::repository_name(reference);
  name.digest = reference.digest;
  // With both, the digest decides.
  if (name.digest.empty()) name.tag = reference.tag;
  return name;
}

std::vector<std::string> local_candidates(const ImageName& name) {
  if (!name.is_short) return {name.repository};
  return {oci::name_in("localhost", name.repository), oci::name_in("docker.io", name.repository)};
}

bool may_be_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace moss::engine
