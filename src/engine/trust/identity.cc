// Names in signatures. See the header.
#include "identity.hh"

#include "moss/oci/reference.hh"

namespace moss::engine {

namespace {

// A name in full, and whether a tag or digest was written behind it: none is ever added here.
struct Name {
  std::string repository;
  std::string suffix;  ///< ":3.20", "@sha256:…"; empty where there was none
  std::string full() const { return repository + suffix; }
};

Result<Name> parse_name(const std::string& text) {
  std::string whole = text;
  if (oci::is_short_name(text)) {
    // As Docker reads it.
    whole = "docker.io/" + text;
  }
  const oci::Reference reference = TRY(oci::parse_reference(whole));
  Name name{oci::repository_name(reference), ""};
  const size_t slash = whole.rfind('/');
  const bool tagged = whole.substr(0, whole.find('@')).find(':', slash) != std::string::npos;
  if (tagged && !reference.tag.empty()) name.suffix += ":" + reference.tag;
  if (!reference.digest.empty()) name.suffix += "@" + reference.digest;
  return name;
}

bool matches_exactly(const Name& asked, const Name& is_signed) {
  return !asked.suffix.empty() && !is_signed.suffix.empty() && asked.full() == is_signed.full();
}

// By a tag: the same name. By a digest: the same repository, for the digest itself is what is verified.
bool matches_repo_digest_or_exact(const Name& asked, const Name& is_signed) {
  if (asked.suffix.starts_with('@')) return !is_signed.suffix.empty() && asked.repository == is_signed.repository;
  return matches_exactly(asked, is_signed);
}

Name remap(Name name, const SignedIdentity& identity) {
  const std::string& prefix = identity.prefix;
  const bool leads = name.repository == prefix || name.repository.starts_with(prefix + "/");
  if (leads) name.repository = identity.signed_prefix + name.repository.substr(prefix.size());
  return name;
}

}  // namespace

Result<Ok> check_identity(const SignedIdentity& identity, const std::string& asked_text,
                          const std::string& signed_text) {
  using Kind = SignedIdentity::Kind;
  const Name is_signed = TRY(parse_name(signed_text).context("it is for the name ", excerpt(signed_text, 200)));
  const auto judge = [&](bool matches, const std::string& wanted) -> Result<Ok> {
    if (matches) return Ok{};
    return Error(0, "it is for the name ", is_signed.full(), ", and the policy wants ", wanted);
  };
  if (identity.kind == Kind::exact_reference) {
    const Name wanted = TRY(parse_name(identity.reference));
    return judge(matches_exactly(wanted, is_signed), wanted.full());
  }
  if (identity.kind == Kind::exact_repository) {
    const Name wanted = TRY(parse_name(identity.reference));
    return judge(wanted.repository == is_signed.repository, wanted.repository);
  }
  if (asked_text.empty()) {
    return Error(0,
                 "an image of a file has no name to compare; the policy's signedIdentity must be exactReference or "
                 "exactRepository");
  }
  const Name asked = TRY(parse_name(asked_text));
  switch (identity.kind) {
    case Kind::match_exact:
      return judge(matches_exactly(asked, is_signed), asked.full());
    case Kind::match_repository:
      return judge(asked.repository == is_signed.repository, asked.repository);
    case Kind::remap_identity: {
      const Name mapped = remap(asked, identity);
      return judge(matches_repo_digest_or_exact(mapped, is_signed), mapped.full());
    }
    default:
      return judge(matches_repo_digest_or_exact(asked, is_signed), asked.full());
  }
}

}  // namespace moss::engine
