// policy.json, as containers-policy.json(5) describes it.
#include "errors.hh"
#include "moss/engine/trust.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Requirement::Kind;

constexpr const char* kAccept = R"({"type":"insecureAcceptAnything"})";
constexpr const char* kReject = R"({"type":"reject"})";

std::string policy_error(const std::string& json) { return error_of(TrustPolicy::parse(json, "p.json")); }
std::string requirement_error(const std::string& requirement) {
  return policy_error(cat(R"({"default":[)", requirement, "]}"));
}

TEST(Policies, TheMostPreciseScopeAloneCounts) {
  const TrustPolicy policy =
      TrustPolicy::parse(
          cat(R"({"default":[)", kReject, R"(],"transports":{"docker":{"a.io/x":[)", kAccept, R"(],"a.io/x:bad":[)",
              kReject, R"(],"*.b.io":[)", kAccept, R"(]},"oci":{"":[)", kAccept, "]}}}"),
          "p.json")
          .value();
  const auto judged = [&](const ImageToTrust& image) { return policy.requirements_for(image).front().kind; };
  EXPECT_EQ(judged(registry_image("a.io/x:1", {})), Kind::accept_anything);
  EXPECT_EQ(judged(registry_image("a.io/x/y:1", {})), Kind::accept_anything);
  EXPECT_EQ(judged(registry_image("a.io/x:bad", {})), Kind::reject);
  EXPECT_EQ(judged(registry_image("a.io/xy:1", {})), Kind::reject);
  EXPECT_EQ(judged(registry_image("c.b.io/x:1", {})), Kind::accept_anything);
  EXPECT_EQ(judged(registry_image("b.io/x:1", {})), Kind::reject);
  EXPECT_EQ(judged(file_image("oci", "/nowhere/layout", "x")), Kind::accept_anything);
  EXPECT_EQ(judged(file_image("docker-archive", "/nowhere/x.tar", "")), Kind::reject);
}

TEST(Policies, ScopesLeadFromTheNameToTheHostsParents) {
  EXPECT_THAT(
      registry_image("r.a.io:5000/x/y:1", {}).scopes,
      ElementsAre("r.a.io:5000/x/y:1", "r.a.io:5000/x/y", "r.a.io:5000/x", "r.a.io:5000", "*.a.io:5000", "*.io:5000"));
  EXPECT_THAT(registry_image("a.io/x@sha256:ab", {}).scopes, ElementsAre("a.io/x@sha256:ab", "a.io/x", "a.io", "*.io"));
  EXPECT_THAT(file_image("oci", "/nowhere/a", "t").scopes, ElementsAre("/nowhere/a:t", "/nowhere/a", "/nowhere"));
}

TEST(Policies, WhatIsNotKnownRefusesTheFile) {
  EXPECT_THAT(policy_error("{"), HasSubstr("read p.json: not JSON"));
  EXPECT_THAT(policy_error("{}"), HasSubstr("default is missing"));
  EXPECT_THAT(policy_error(R"({"default":[]})"), HasSubstr("expected a list of one requirement or more"));
  EXPECT_THAT(policy_error(cat(R"({"default":[)", kAccept, R"(],"defualt":[]})")), HasSubstr("unknown member"));
  EXPECT_THAT(policy_error(cat(R"({"default":[)", kReject, R"(],"default":[)", kAccept, "]}")),
              HasSubstr("default is there twice"));
  EXPECT_THAT(requirement_error(R"({"type":"accept"})"), HasSubstr("default[0]: unknown type \"accept\""));
  EXPECT_THAT(requirement_error(R"({"type":"reject","x":1})"), HasSubstr("unknown member \"x\""));
  EXPECT_THAT(requirement_error(R"({"type":"signedBy","keyType":"GPGKeys"})"), HasSubstr("expected one of keyPath"));
  EXPECT_THAT(requirement_error(R"({"type":"signedBy","keyType":"X509","keyPath":"/k"})"), HasSubstr("not supported"));
  EXPECT_THAT(requirement_error(R"({"type":"sigstoreSigned","keyPath":"/k","keyData":"eA=="})"), HasSubstr("expected"));
  EXPECT_THAT(requirement_error(R"({"type":"sigstoreSigned","fulcio":{},"rekorPublicKeyPath":"/r"})"),
              HasSubstr("fulcio is not supported: moss asks neither Fulcio nor Rekor"));
  EXPECT_THAT(
      requirement_error(R"({"type":"signedBy","keyType":"GPGKeys","keyPath":"/k","signedIdentity":{"type":"any"}})"),
      HasSubstr("signedIdentity: unknown type"));
}

TEST(Policies, ARejectionNamesFileAndImage) {
  const TrustPolicy policy = TrustPolicy::parse(cat(R"({"default":[)", kReject, "]}"), "p.json").value();
  EXPECT_EQ(error_of(policy.check(registry_image("a.io/x:1", {"sha256:ab"}), {})),
            "refused by the policy p.json: it rejects a.io/x:1");
}

TEST(Policies, AFileIsNeverSigned) {
  const TrustPolicy policy =
      TrustPolicy::parse(R"({"default":[{"type":"sigstoreSigned","keyData":"eA=="}]})", "p.json").value();
  EXPECT_TRUE(policy.wants_signatures(file_image("oci", "/nowhere/a", "")));
  EXPECT_THAT(error_of(policy.check(file_image("oci", "/nowhere/a", ""), {})), HasSubstr("a file holds no signatures"));
}

}  // namespace

}  // namespace moss::engine
