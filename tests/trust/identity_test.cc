// The names that signatures are for, as containers-policy.json(5) compares them.
#include "src/engine/trust/identity.hh"

#include "errors.hh"

namespace moss::engine {

namespace {

using moss::test::error_of;
using testing::HasSubstr;
using Kind = SignedIdentity::Kind;

bool accepts(const SignedIdentity& identity, const std::string& asked, const std::string& is_signed) {
  return check_identity(identity, asked, is_signed).ok();
}

constexpr const char* kDigest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

TEST(SignedIdentities, ByATagTheWholeNameMustFit) {
  const SignedIdentity usual;
  EXPECT_TRUE(accepts(usual, "a.io/x:1", "a.io/x:1"));
  EXPECT_FALSE(accepts(usual, "a.io/x:1", "a.io/x:2"));
  EXPECT_FALSE(accepts(usual, "a.io/x:1", "a.io/y:1"));
  EXPECT_FALSE(accepts(usual, "a.io/x:1", "b.io/x:1"));
  EXPECT_FALSE(accepts(usual, "a.io/x:1", "a.io/x"));
  EXPECT_FALSE(accepts(usual, "a.io/x:latest", "a.io/x"));
  EXPECT_TRUE(accepts(usual, "docker.io/library/busybox:1", "busybox:1"));
  EXPECT_TRUE(accepts(usual, "localhost:5000/x:1", "localhost:5000/x:1"));
}

TEST(SignedIdentities, ByADigestTheRepositoryMustFit) {
  const std::string asked = cat("a.io/x", kDigest);
  EXPECT_TRUE(accepts({}, asked, "a.io/x:1"));
  EXPECT_FALSE(accepts({}, asked, "a.io/y:1"));
  EXPECT_FALSE(accepts({}, asked, "a.io/x"));
  EXPECT_FALSE(accepts({.kind = Kind::match_exact}, asked, "a.io/x:1"));
  EXPECT_TRUE(accepts({.kind = Kind::match_exact}, asked, asked));
}

TEST(SignedIdentities, ARepositoryIsEnoughWhereThePolicySaysSo) {
  EXPECT_TRUE(accepts({.kind = Kind::match_repository}, "a.io/x:1", "a.io/x:2"));
  EXPECT_TRUE(accepts({.kind = Kind::match_repository}, "a.io/x:1", "a.io/x"));
  EXPECT_FALSE(accepts({.kind = Kind::match_repository}, "a.io/x:1", "a.io/y"));
}

TEST(SignedIdentities, AnExactNameIsThePolicysOwn) {
  const SignedIdentity reference{.kind = Kind::exact_reference, .reference = "b.io/y:2"};
  EXPECT_TRUE(accepts(reference, "a.io/x:1", "b.io/y:2"));
  EXPECT_FALSE(accepts(reference, "a.io/x:1", "a.io/x:1"));
  EXPECT_TRUE(accepts(reference, "", "b.io/y:2"));
  const SignedIdentity repository{.kind = Kind::exact_repository, .reference = "b.io/y"};
  EXPECT_TRUE(accepts(repository, "a.io/x:1", "b.io/y:7"));
  EXPECT_FALSE(accepts(repository, "a.io/x:1", "b.io/yy:7"));
}

TEST(SignedIdentities, ARemappedNameIsComparedUnderItsOther) {
  const SignedIdentity remap{.kind = Kind::remap_identity, .prefix = "mirror.io/hub", .signed_prefix = "vendor.io"};
  EXPECT_TRUE(accepts(remap, "mirror.io/hub/x:1", "vendor.io/x:1"));
  EXPECT_FALSE(accepts(remap, "mirror.io/hub/x:1", "mirror.io/hub/x:1"));
  EXPECT_FALSE(accepts(remap, "mirror.io/hubx/x:1", "vendor.io/x:1"));
  EXPECT_TRUE(accepts(remap, "other.io/x:1", "other.io/x:1"));
}

TEST(SignedIdentities, WhatDoesNotFitIsNamed) {
  EXPECT_EQ(error_of(check_identity({}, "a.io/x:1", "a.io/x:2")),
            "it is for the name a.io/x:2, and the policy wants a.io/x:1");
  EXPECT_THAT(error_of(check_identity({}, "a.io/x:1", "a.io/X:2")), HasSubstr("it is for the name a.io/X:2"));
  EXPECT_THAT(error_of(check_identity({}, "", "a.io/x:2")), HasSubstr("exactReference"));
}

}  // namespace

}  // namespace moss::engine
