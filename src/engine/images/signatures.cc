// Where signatures of a registry's image come from. See the header.
#include "signatures.hh"

#include "moss/engine/digest.hh"
#include "resolve.hh"

namespace moss::engine {

namespace {

// What is signed is a few hundred bytes. All texts of an image are kept until one of them counts.
constexpr size_t kMaxSignatureBytes = 256u << 10;
constexpr size_t kMaxAllSignatureBytes = 4u << 20;
constexpr std::string_view kPayloadType = "application/vnd.dev.cosign.simplesigning.v1+json";
constexpr const char* kSignatureAnnotation = "dev.cosignproject.cosign/signature";

}  // namespace

ImageTrust::ImageTrust(const TrustPolicy& policy, HttpClient& http, Registry& registry, int retries,
                       std::string reference)
    : policy_(policy), http_(http), registry_(registry), retries_(retries), reference_(std::move(reference)) {}

Result<Ok> ImageTrust::judge(const std::string& document) {
  const std::string digest = TRY(digest_of(document));
  const bool is_list = oci::decode_index(document).ok();
  Result<Ok> judged = check({digest});
  if (judged.ok() || !is_list || !policy_.wants_signatures(registry_image(reference_, {}))) return judged;
  list_digest_ = digest;
  open_ = judged.error();
  return Ok{};
}

Result<Ok> ImageTrust::confirm(const std::string& manifest_digest) {
  if (!open_) return Ok{};
  return check({manifest_digest, list_digest_});
}

Result<Ok> ImageTrust::check(std::vector<std::string> digests) {
  const SignatureSource source{
      .get = [this](const std::string& url) -> Result<std::optional<std::string>> {
        const HttpRequest request{.url = url, .allow_http = url.starts_with("http://")};
        HttpClient::Body body = TRY(http_.get(request, kMaxSignatureBytes, retries_));
        const HttpResponse& response = body.response;
        if (response.status == 404) return std::optional<std::string>();
        if (response.status / 100 != 2 || !response.failure.empty()) {
          return Error(0, response.failure.empty() ? cat("the server answered ", response.status) : response.failure);
        }
        return std::optional(std::move(body.bytes));
      },
      .attachments = [this](const std::string& digest) { return attachments(digest); },
  };
  return policy_.check(registry_image(reference_, std::move(digests)), source);
}

// cosign's convention: an image tagged sha256-<hex>.sig whose layers are the signed texts.
Result<std::vector<SigstoreSignature>> ImageTrust::attachments(const std::string& digest) {
  const auto [algorithm, hex] = cut(digest, ':');
  const std::optional<std::string> text =
      TRY(registry_.find_manifest(cat(algorithm, "-", hex.value_or(""), ".sig"), kMaxManifestBytes));
  std::vector<SigstoreSignature> signatures;
  size_t bytes = 0;
  if (!text) return signatures;
  const oci::Manifest manifest = TRY(oci::decode_manifest(*text).context("the signatures of ", digest));
  for (const oci::Descriptor& layer : manifest.layers) {
    const auto signature = layer.annotations.find(kSignatureAnnotation);
    if (layer.media_type != kPayloadType || signature == layer.annotations.end()) continue;
    TRY(oci::Digest::parse(layer.digest).context("the signatures of ", digest));
    std::string payload = TRY(registry_.get_blob(layer, kMaxSignatureBytes));
    TRY(verify_document(payload, layer).context("signed text ", layer.digest));
    bytes += payload.size();
    if (bytes > kMaxAllSignatureBytes) return Error(EFBIG, "the signatures of ", digest, " are too large; refused");
    signatures.push_back({std::move(payload), signature->second});
    if (signatures.size() >= 128) break;
  }
  return signatures;
}

}  // namespace moss::engine
