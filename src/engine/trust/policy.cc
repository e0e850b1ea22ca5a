// Which requirements an image has to meet, and whether it does.
#include <algorithm>
#include <climits>
#include <cstdlib>

#include "identity.hh"
#include "lookaside.hh"
#include "moss/engine/trust.hh"
#include "moss/sys/file.hh"
#include "openpgp.hh"
#include "payload.hh"
#include "sigstore.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxKeyBytes = 16u << 20;
constexpr size_t kMaxSignatureBytes = 256u << 10;
constexpr int kMaxSignatures = 128;
constexpr std::string_view kFileScheme = "file://";

// A name, then what leads to it: "a.b.io/x/y:1", "a.b.io/x/y", "a.b.io/x", "a.b.io", "*.b.io", "*.io".
std::vector<std::string> scopes_of(const std::string& reference) {
  std::vector<std::string> scopes{reference};
  const size_t at = reference.find('@');
  std::string name = reference.substr(0, at);
  if (at == std::string::npos) name.resize(name.rfind(':'));
  while (true) {
    scopes.push_back(name);
    const size_t slash = name.rfind('/');
    if (slash == std::string::npos) break;
    name.resize(slash);
  }
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.')) {
    name = name.substr(dot + 1);
    scopes.push_back("*." + name);
  }
  return scopes;
}

std::string short_digest(const std::string& digest) { return digest.substr(0, digest.find(':') + 13); }

// All keys of a requirement, as its verifier wants them.
Result<std::string> read_keys(const Requirement& requirement, bool openpgp) {
  std::vector<std::string> texts;
  for (const std::string& file : requirement.key_files) {
    texts.push_back(TRY(sys::read_file(file, kMaxKeyBytes).context("read the policy's key")));
  }
  if (!requirement.key_data.empty()) texts.push_back(requirement.key_data);
  std::string keys;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string from = i < requirement.key_files.size() ? requirement.key_files[i] : "keyData";
    keys += openpgp ? TRY(dearmor_keys(texts[i]).context("read the policy's key ", from)) : texts[i];
  }
  return keys;
}

class Judge {
 public:
  Judge(const ImageToTrust& image, const SignatureSource& source) : image_(image), source_(source) {}

  Result<Ok> meet(const Requirement& requirement) {
    switch (requirement.kind) {
      case Requirement::Kind::accept_anything:
        return Ok{};
      case Requirement::Kind::reject:
        return Error(0, "it rejects ", name());
      case Requirement::Kind::signed_by:
      case Requirement::Kind::sigstore_signed:
        break;
    }
    const bool openpgp = requirement.kind == Requirement::Kind::signed_by;
    if (image_.transport != "docker") {
      return Error(0, "it wants ", name(), " to be signed, and a file holds no signatures; pull it from a registry");
    }
    if (!place_) place_ = find_place(TRY(read_registries_d()), image_.scopes);
    const std::string keys = TRY(read_keys(requirement, openpgp));
    std::vector<std::string> complaints;
    for (const std::string& digest : image_.digests) {
      const bool met = openpgp ? TRY(meet_simple(requirement, keys, digest, complaints))
                               : TRY(meet_sigstore(requirement, keys, digest, complaints));
      if (met) return Ok{};
    }
    if (!complaints.empty()) return Error(0, "no signature of ", name(), " counts: ", join(complaints, "; "));
    return Error(0, "it wants ", name(), " to be signed, and there is no signature for ",
                 short_digest(image_.digests.front()), " ", where(openpgp));
  }

 private:
  std::string name() const {
    if (!image_.reference.empty()) return image_.reference;
    return image_.scopes.empty() ? image_.transport + " images" : cat(image_.transport, ":", image_.scopes.front());
  }

  std::string where(bool openpgp) const {
    if (!openpgp) {
      return place_->attachments ? "beside it in the registry"
                                 : "that moss looks for: use-sigstore-attachments is not set in registries.d";
    }
    return place_->lookaside.empty() ? "that moss looks for: registries.d names no lookaside"
                                     : "at " + place_->lookaside;
  }

  // What a verified text says must be this image and a name that the policy accepts.
  static Result<Ok> check_payload(const Requirement& requirement, const ImageToTrust& image, const std::string& digest,
                                  std::string_view text, PayloadType type) {
    const SignedPayload payload = TRY(parse_payload(text, type));
    if (payload.digest != digest) {
      return Error(0, "it is for another image, ", excerpt(short_digest(payload.digest), 100));
    }
    return check_identity(requirement.identity, image.reference, payload.name);
  }

  Result<bool> meet_simple(const Requirement& requirement, const std::string& keys, const std::string& digest,
                           std::vector<std::string>& complaints) {
    if (place_->lookaside.empty()) return false;
    for (int number = 1; number <= kMaxSignatures; ++number) {
      const std::string url = signature_url(place_->lookaside, image_.reference, digest, number);
      const std::optional<std::string> signature = TRY(get(url).context("get the signature ", url));
      if (!signature) return false;
      const auto judged = [&]() -> Result<Ok> {
        const std::string text = TRY(verify_openpgp(*signature, keys));
        return check_payload(requirement, image_, digest, text, PayloadType::simple);
      }();
      if (judged.ok()) return true;
      complaints.push_back(cat("signature-", number, ": ", judged.error().to_string()));
    }
    return false;
  }

  Result<bool> meet_sigstore(const Requirement& requirement, const std::string& key, const std::string& digest,
                             std::vector<std::string>& complaints) {
    if (!place_->attachments) return false;
    const std::vector<SigstoreSignature> signatures = TRY(source_.attachments(digest));
    for (size_t i = 0; i < signatures.size() && i < kMaxSignatures; ++i) {
      const auto judged = [&]() -> Result<Ok> {
        TRY(verify_sigstore(signatures[i].payload, signatures[i].signature, key));
        return check_payload(requirement, image_, digest, signatures[i].payload, PayloadType::cosign);
      }();
      if (judged.ok()) return true;
      complaints.push_back(cat("signature ", i + 1, ": ", judged.error().to_string()));
    }
    return false;
  }

  Result<std::optional<std::string>> get(const std::string& url) const {
    if (url.starts_with(kFileScheme)) {
      return sys::read_file_if_exists(url.substr(kFileScheme.size()), kMaxSignatureBytes);
    }
    if (!url.starts_with("https://") && !url.starts_with("http://")) {
      return Error(0, "a lookaside is at file://, http:// or https://");
    }
    return source_.get(url);
  }

  const ImageToTrust& image_;
  const SignatureSource& source_;
  std::optional<SignaturePlace> place_;
};

}  // namespace

ImageToTrust registry_image(const std::string& reference, std::vector<std::string> digests) {
  return {.transport = "docker", .scopes = scopes_of(reference), .reference = reference, .digests = std::move(digests)};
}

ImageToTrust file_image(const std::string& transport, const std::string& path, const std::string& image) {
  ImageToTrust out{.transport = transport, .scopes = {}, .reference = "", .digests = {}};
  // Archives have no scopes of their own.
  if (transport != "oci" && transport != "dir") return out;
  char resolved[PATH_MAX];
  std::string name = ::realpath(path.c_str(), resolved) != nullptr ? resolved : path;
  if (!image.empty()) out.scopes.push_back(cat(name, ":", image));
  for (size_t slash = name.size(); slash != std::string::npos && !name.empty(); slash = name.rfind('/')) {
    name.resize(slash);
    if (!name.empty()) out.scopes.push_back(name);
  }
  return out;
}

const std::vector<Requirement>& TrustPolicy::requirements_for(const ImageToTrust& image) const {
  const auto transport = transports.find(image.transport);
  if (transport == transports.end()) return otherwise;
  for (const std::string& scope : image.scopes) {
    if (const auto found = transport->second.find(scope); found != transport->second.end()) return found->second;
  }
  const auto all = transport->second.find("");
  return all != transport->second.end() ? all->second : otherwise;
}

bool TrustPolicy::wants_signatures(const ImageToTrust& image) const {
  const std::vector<Requirement>& all = requirements_for(image);
  return std::any_of(all.begin(), all.end(), [](const Requirement& one) {
    return one.kind == Requirement::Kind::signed_by || one.kind == Requirement::Kind::sigstore_signed;
  });
}

Result<Ok> TrustPolicy::check(const ImageToTrust& image, const SignatureSource& source) const {
  Judge judge(image, source);
  for (const Requirement& requirement : requirements_for(image)) {
    TRY(judge.meet(requirement).context("refused by the policy ", file));
  }
  return Ok{};
}

}  // namespace moss::engine
