// How a registry learns what belongs to a manifest. See the header.
#include "referrers.hh"

#include <algorithm>

#include "resolve.hh"
#include "upload.hh"

namespace moss::engine {

namespace {

struct Referrer {
  std::optional<oci::Descriptor> subject;
  oci::Descriptor entry;
};

// A manifest's or a list's own word.
Result<Referrer> read_referrer(const oci::Descriptor& descriptor, const std::string& text) {
  Referrer out;
  out.entry = {.media_type = descriptor.media_type, .digest = descriptor.digest, .size = descriptor.size};
  if (descriptor.media_type == oci::kOciManifest) {
    const oci::Manifest manifest = TRY(oci::decode_manifest(text));
    out.subject = manifest.subject;
    out.entry.annotations = manifest.annotations;
    out.entry.artifact_type = manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type;
  } else if (descriptor.media_type == oci::kOciIndex) {
    const oci::Index index = TRY(oci::decode_index(text));
    out.subject = index.subject;
    out.entry.annotations = index.annotations;
    out.entry.artifact_type = index.artifact_type;
  }
  return out;
}

}  // namespace

std::string referrers_tag(const oci::Digest& subject) {
  constexpr size_t kMaxAlgorithm = 32;
  constexpr size_t kMaxHex = 64;
  return cat(subject.algorithm().substr(0, kMaxAlgorithm), "-", subject.hex().substr(0, kMaxHex));
}

Result<Ok> announce_referrer(HttpClient& http, Registry& registry, const oci::Descriptor& descriptor,
                             const std::string& text, const HttpResponse& answer, const PushOptions& options) {
  const Referrer referrer = TRY(read_referrer(descriptor, text));
  if (!referrer.subject || answer.headers.contains("oci-subject")) return Ok{};
  const oci::Digest subject = TRY(oci::Digest::parse(referrer.subject->digest).context("the manifest's subject"));
  const std::string tag = referrers_tag(subject);
  oci::Index list;
  list.media_type = oci::kOciIndex;
  const std::optional<std::string> before = TRY(registry.find_manifest(tag, kMaxManifestBytes));
  if (before) list = TRY(oci::decode_index(*before).context("the list of what belongs to ", subject.text()));
  const bool known = std::any_of(list.manifests.begin(), list.manifests.end(),
                                 [&](const oci::Descriptor& other) { return other.digest == referrer.entry.digest; });
  if (known) return Ok{};
  list.manifests.push_back(referrer.entry);
  const std::string document = oci::encode_index(list);
  const oci::Descriptor entry = TRY(descriptor_of(oci::kOciIndex, document));
  return upload_manifest(http, registry, tag, entry, document, options);
}

}  // namespace moss::engine
