// What is signed, and who signed it. Real signatures are made and verified by the end-to-end tests.
#include "errors.hh"
#include "moss/sys/child.hh"
#include "src/engine/trust/openpgp.hh"
#include "src/engine/trust/payload.hh"
#include "src/engine/trust/sigstore.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using testing::HasSubstr;

std::string payload(const std::string& type, const std::string& more = "") {
  return cat(R"({"critical":{"type":")", type, R"(","image":{"docker-manifest-digest":"sha256:ab"},)",
             R"("identity":{"docker-reference":"a.io/x:1"})", more, R"(},"optional":{}})");
}

TEST(Payloads, SayWhichImageAndName) {
  const auto read = parse_payload(payload("atomic container signature"), PayloadType::simple);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->digest, "sha256:ab");
  EXPECT_EQ(read->name, "a.io/x:1");
}

TEST(Payloads, OfAnotherKindCountForNothing) {
  EXPECT_THAT(error_of(parse_payload(payload("atomic container signature"), PayloadType::cosign)),
              HasSubstr("it is no signature of an image"));
  EXPECT_THAT(error_of(parse_payload(payload("atomic container signature", R"(,"new":1)"), PayloadType::simple)),
              HasSubstr("unknown member \"new\""));
  EXPECT_THAT(error_of(parse_payload("[]", PayloadType::simple)), HasSubstr("expected an object"));
  EXPECT_THAT(error_of(parse_payload(R"({"critical":{},"critical":{},"optional":{}})", PayloadType::simple)),
              HasSubstr("critical is there twice"));
  EXPECT_THAT(error_of(parse_payload(R"({"critical":{"type":"atomic container signature"}})", PayloadType::simple)),
              HasSubstr("expected critical and optional"));
}

TEST(Gpgv, OnlyOneGoodSignatureCounts) {
  const std::string good = "[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG 1234 a\n[GNUPG:] VALIDSIG ABCD 2026\n";
  EXPECT_EQ(error_of(judge_gpgv(good)), "no error");
  EXPECT_EQ(error_of(judge_gpgv(good + good)), "not one good signature");
  EXPECT_EQ(error_of(judge_gpgv("")), "not one good signature");
  EXPECT_EQ(error_of(judge_gpgv("gpgv: Good signature\nGOODSIG\nVALIDSIG\n")), "not one good signature");
  EXPECT_EQ(error_of(judge_gpgv(good + "[GNUPG:] REVKEYSIG 1234 a\n")), "the key 1234 was revoked");
  EXPECT_EQ(error_of(judge_gpgv(good + "[GNUPG:] EXPKEYSIG 1234 a\n")), "the key 1234 has expired");
  EXPECT_EQ(error_of(judge_gpgv("[GNUPG:] NEWSIG\n[GNUPG:] EXPSIG 1234 a\n[GNUPG:] VALIDSIG A\n")),
            "the signature has expired");
  EXPECT_EQ(error_of(judge_gpgv("[GNUPG:] ERRSIG 99 1 8\n[GNUPG:] NO_PUBKEY 99\n")),
            "it is by the key 99, which the policy does not have");
}

TEST(OpenPgpKeys, AreBinaryOrArmored) {
  const std::string binary = "\x99\x01\x02";
  EXPECT_EQ(dearmor_keys(binary).value(), binary);
  const std::string block =
      "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\nmQEC\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
  EXPECT_EQ(dearmor_keys(block + block).value(), binary + binary);
  EXPECT_THAT(error_of(dearmor_keys("hello")), HasSubstr("not a public key"));
  EXPECT_THAT(error_of(dearmor_keys("-----BEGIN PGP PRIVATE KEY BLOCK-----")), HasSubstr("a private key"));
}

TEST(OpenPgp, AMessageThatIsTooLargeIsNotWrittenToTheDisk) {
  if (!sys::find_program("gpgv")) GTEST_SKIP() << "gpgv is not installed";
  // A literal packet of 1 MiB: what a compressed one of some kilobytes becomes before anybody's signature is looked
  // for.
  const std::string text(1u << 20, '\0');
  const std::string message = cat(std::string("\xcb\xff\x00\x10\x00\x06"
                                              "b\0\0\0\0\0",
                                              12),
                                  text);
  EXPECT_THAT(error_of(verify_openpgp(message, "")), HasSubstr("its text is larger than"));
}

TEST(Sigstore, ASignatureByNobodyCountsForNothing) {
  EXPECT_THAT(error_of(verify_sigstore("x", "!", "k")), HasSubstr("not base64"));
  EXPECT_THAT(error_of(verify_sigstore("x", "eA==", "no key")), HasSubstr("is no public key"));
}

}  // namespace

}  // namespace moss::engine
