#include "moss/engine/digest.hh"

#include <gmock/gmock.h>

#include "moss/sys/dynamic_library.hh"

namespace moss::engine {
namespace {

using testing::HasSubstr;

TEST(Digests, AreThoseOfTheStandard) {
  EXPECT_EQ(digest_of("abc").value(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest_of("").value(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest_of("abc", "sha512").value(),
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
            "454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Digests, DoNotDependOnThePieces) {
  Digester digester = Digester::create().value();
  for (const char* piece : {"a", "", "bc"}) digester.update(piece);
  EXPECT_EQ(digester.finish(), digest_of("abc").value());
}

TEST(Digests, OtherAlgorithmsAreRefused) {
  EXPECT_THAT(digest_of("abc", "md5").error().to_string(), HasSubstr("md5 is not supported; use sha256 or sha512"));
}

TEST(DynamicLibraries, MissingOnesNameWhatToInstall) {
  EXPECT_THAT(sys::DynamicLibrary::open("libmoss-none.so.9", "moss-none").error().to_string(),
              testing::AllOf(HasSubstr("load libmoss-none.so.9"), HasSubstr("apt install moss-none")));
}

TEST(DynamicLibraries, MissingFunctionsAreNamed) {
  const sys::DynamicLibrary library = sys::DynamicLibrary::open("libcrypto.so.3", "libssl3").value();
  EXPECT_THAT(library.function<void()>("EVP_moss").error().to_string(), HasSubstr("it has no EVP_moss"));
}

}  // namespace
}  // namespace moss::engine
