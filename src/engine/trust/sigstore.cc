// Signatures by libcrypto, which is loaded when a policy asks for one. See the header.
#include "sigstore.hh"

#include <memory>

#include "moss/base/base64.hh"
#include "moss/sys/dynamic_library.hh"

// libcrypto's own names, so that its header is not needed to build.
struct bio_st;
struct evp_md_ctx_st;
struct evp_md_st;
struct evp_pkey_ctx_st;
struct evp_pkey_st;
struct engine_st;

namespace moss::engine {

namespace {

constexpr int kEd25519 = 1087;  // NID_ED25519, in which a digest has no place

struct Crypto {
  bio_st* (*bio_new)(const void*, int);
  int (*bio_free)(bio_st*);
  evp_pkey_st* (*read_key)(bio_st*, evp_pkey_st**, void*, void*);
  void (*key_free)(evp_pkey_st*);
  int (*key_id)(const evp_pkey_st*);
  evp_md_ctx_st* (*context_new)();
  void (*context_free)(evp_md_ctx_st*);
  const evp_md_st* (*sha256)();
  int (*init)(evp_md_ctx_st*, evp_pkey_ctx_st**, const evp_md_st*, engine_st*, evp_pkey_st*);
  int (*verify)(evp_md_ctx_st*, const unsigned char*, size_t, const unsigned char*, size_t);
};

Result<Crypto> load_crypto() {
  const sys::DynamicLibrary library = TRY(sys::DynamicLibrary::open("libcrypto.so.3", "libssl3"));
  Crypto crypto{};
  crypto.bio_new = TRY(library.function<bio_st*(const void*, int)>("BIO_new_mem_buf"));
  crypto.bio_free = TRY(library.function<int(bio_st*)>("BIO_free"));
  crypto.read_key = TRY(library.function<evp_pkey_st*(bio_st*, evp_pkey_st**, void*, void*)>("PEM_read_bio_PUBKEY"));
  crypto.key_free = TRY(library.function<void(evp_pkey_st*)>("EVP_PKEY_free"));
  crypto.key_id = TRY(library.function<int(const evp_pkey_st*)>("EVP_PKEY_get_id"));
  crypto.context_new = TRY(library.function<evp_md_ctx_st*()>("EVP_MD_CTX_new"));
  crypto.context_free = TRY(library.function<void(evp_md_ctx_st*)>("EVP_MD_CTX_free"));
  crypto.sha256 = TRY(library.function<const evp_md_st*()>("EVP_sha256"));
  crypto.init =
      TRY(library.function<int(evp_md_ctx_st*, evp_pkey_ctx_st**, const evp_md_st*, engine_st*, evp_pkey_st*)>(
          "EVP_DigestVerifyInit"));
  crypto.verify = TRY(library.function<int(evp_md_ctx_st*, const unsigned char*, size_t, const unsigned char*, size_t)>(
      "EVP_DigestVerify"));
  return crypto;
}

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

Result<Ok> verify_sigstore(std::string_view payload, std::string_view signature, std::string_view public_key) {
  static const Result<Crypto> loaded = load_crypto();
  if (!loaded.ok()) return loaded.error();
  const Crypto& crypto = *loaded;
  const std::optional<std::string> bytes = base64_decode(signature);
  if (!bytes || bytes->empty()) return Error(0, "the signature is not base64");
  const std::unique_ptr<bio_st, int (*)(bio_st*)> bio(
      crypto.bio_new(public_key.data(), static_cast<int>(public_key.size())), crypto.bio_free);
  const std::unique_ptr<evp_pkey_st, void (*)(evp_pkey_st*)> key(
      bio ? crypto.read_key(bio.get(), nullptr, nullptr, nullptr) : nullptr, crypto.key_free);
  if (!key) return Error(0, "the policy's key is no public key (PEM, \"BEGIN PUBLIC KEY\")");
  const std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context(crypto.context_new(), crypto.context_free);
  const evp_md_st* digest = crypto.key_id(key.get()) == kEd25519 ? nullptr : crypto.sha256();
  if (!context || crypto.init(context.get(), nullptr, digest, nullptr, key.get()) != 1) {
    return Error(0, "the policy's key is of a kind that signs nothing");
  }
  if (crypto.verify(context.get(), bytes_of(*bytes), bytes->size(), bytes_of(payload), payload.size()) != 1) {
    return Error(0, "it was not made with the policy's key");
  }
  return Ok{};
}

}  // namespace moss::engine
