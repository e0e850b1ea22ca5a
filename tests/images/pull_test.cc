// Pulling from a real registry, and from one with bad manners.
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "server_fixture.hh"
#include "src/engine/images/http.hh"

namespace moss::test {

namespace {

using engine::Image;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

// moss in a process of its own.
sys::Child start_pull(const engine::ImageStore& store, const std::string& name) {
  Result<sys::Child> child = sys::spawn({MOSS_IMAGES_TOOL, store.path(), "single", "pull", name}, {});
  EXPECT_TRUE(succeeded(child));
  return std::move(child).value();
}

class Pull : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    if (!start_registry())
      GTEST_SKIP() << "docker-registry and skopeo are not installed (Debian: docker-registry skopeo)";
  }
  std::string file_in(const Image& image, const std::string& file) {
    const auto lower = store().prepare_layers(image, single_id());
    EXPECT_TRUE(succeeded(lower));
    if (!lower.ok()) return "";
    const auto content = sys::read_file(lower->at(0) + file, 16 << 20);
    EXPECT_TRUE(succeeded(content));
    return content.ok() ? *content : "";
  }
  /// An image of `layers` layers, each with `bytes` that do not compress.
  std::string big_layout(int layers, size_t bytes) {
    LayoutWriter writer(cat(base(), "/big-", sys::random_hex(4)));
    std::vector<std::string> tars;
    for (int i = 0; i < layers; ++i) {
      std::string content;
      while (content.size() < bytes) content += sys::random_hex(128);
      tars.push_back(layer(cat("f", i), content));
    }
    writer.add(writer.image(tars), "big");
    writer.write_index();
    return writer.path();
  }
  /// Another process that pulls.
  sys::Child start_puller(const std::string& name) { return start_pull(store(), name); }
};

TEST_F(Pull, ByTag) {
  push(simple_layout("x", "hello"), "org/app:v1");
  std::vector<engine::Progress> progress;
  const auto image =
      pull(cat(host(), "/org/app:v1"), {.progress = [&](const engine::Progress& p) { progress.push_back(p); }});
  ASSERT_TRUE(succeeded(image));
  EXPECT_THAT(image->names, ElementsAre(cat(host(), "/org/app:v1")));
  EXPECT_EQ(file_in(*image, "/f"), "hello");
  EXPECT_EQ(progress.front().phase, engine::Progress::Phase::trying);
  EXPECT_EQ(progress.back().phase, engine::Progress::Phase::storing);
  const auto& last_of_layer = progress[progress.size() - 2];
  EXPECT_EQ(last_of_layer.phase, engine::Progress::Phase::done);
  EXPECT_EQ(last_of_layer.done, last_of_layer.total);
}

TEST_F(Pull, ByDigest) {
  push(simple_layout("x", "1"), "app:latest");
  const std::string digest = pull(cat(host(), "/app")).value().manifest_digest;
  push(simple_layout("x", "2"), "app:latest");
  const auto image = pull(cat(host(), "/app@", digest));
  ASSERT_TRUE(succeeded(image));
  EXPECT_EQ(file_in(*image, "/f"), "1");
  EXPECT_THAT(image->names, Contains(cat(host(), "/app@", digest)));
  EXPECT_TRUE(*store().find(cat(host(), "/app@", digest)));
}

TEST_F(Pull, AListGivesTheImageForThePlatform) {
  LayoutWriter writer(base() + "/list");
  writer.add(writer.list({"amd64", "arm64", "riscv64"}), "app");
  writer.write_index();
  push(writer.path(), "app:latest");

  const auto arm = pull(cat(host(), "/app"), {.platform = engine::parse_platform("linux/arm64").value()});
  ASSERT_TRUE(succeeded(arm));
  EXPECT_EQ(file_in(*arm, "/f"), "arm64");
  // It is known by the digest of the list as well.
  ASSERT_THAT(arm->digests, SizeIs(1));
  EXPECT_EQ(store().find(cat(host(), "/app@", arm->digests[0])).value()->id, arm->id);
  EXPECT_THAT(error_of(pull(cat(host(), "/app"), {.platform = engine::parse_platform("linux/s390x").value()})),
              HasSubstr("no image for linux/s390x in the list; it has linux/amd64, linux/arm64, linux/riscv64"));
}

TEST_F(Pull, AnotherToolReadsTheStore) {
  push(simple_layout("x", "1"), "app:latest");
  ASSERT_TRUE(succeeded(pull(cat(host(), "/app"))));
  const std::string inspect = cat("skopeo inspect oci:", store().path(), ":", host(), "/app:latest >/dev/null 2>&1");
  EXPECT_EQ(::system(inspect.c_str()), 0);
  if (!sys::find_program("umoci")) GTEST_SKIP() << "umoci is not installed (Debian: umoci)";
  EXPECT_EQ(::system(cat("umoci ls --layout ", store().path(), " | grep -qx ", host(), "/app:latest").c_str()), 0);
}

TEST_F(Pull, WhatIsNotThereIsSaidInOneLine) {
  EXPECT_THAT(error_of(pull(cat(host(), "/none:v1"))), HasSubstr("manifest unknown; is the name and tag right?"));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
  EXPECT_THAT(error_of(pull("127.0.0.1:1/app", {.retries = 0})), HasSubstr("127.0.0.1"));
}

TEST_F(Pull, ACorruptBlobIsRefusedAndNothingIsLeft) {
  const std::string layout = simple_layout("x", "1");
  push(layout, "app:latest");
  const Image image = pull(cat(host(), "/app")).value();
  ASSERT_TRUE(succeeded(store().remove("app", {.map = single_id()})));
  const std::string file = registry_blob(image.layers[0].blob.digest);
  std::string content = sys::read_file(file, 1 << 20).value();
  content[content.size() / 2] ^= 1;
  ASSERT_TRUE(succeeded(sys::replace_file(file, content)));
  EXPECT_FALSE(pull(cat(host(), "/app")).ok());
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Pull, ATruncatedBlobIsRefusedAndNothingIsLeft) {
  push(simple_layout("x", "1"), "app:latest");
  const Image image = pull(cat(host(), "/app")).value();
  ASSERT_TRUE(succeeded(store().remove("app", {.map = single_id()})));
  const std::string file = registry_blob(image.layers[0].blob.digest);
  for (const off_t size : {off_t{0}, off_t{10}, static_cast<off_t>(image.layers[0].blob.size - 1)}) {
    ASSERT_EQ(::truncate(file.c_str(), size), 0);
    EXPECT_NE(error_of(pull(cat(host(), "/app"), {.retries = 0})), "no error");
    EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
  }
}

TEST_F(Pull, KilledAtAnyTimeTheNextOneIsWhole) {
  push(big_layout(3, 2'000'000), "big:latest");
  for (int64_t delay_ms = 2; delay_ms < 200; delay_ms += 14) {
    sys::Child puller = start_puller(cat(host(), "/big"));
    const timespec pause{.tv_sec = 0, .tv_nsec = delay_ms * 1'000'000};
    ::nanosleep(&pause, nullptr);
    ::kill(puller.pid(), SIGKILL);
    ASSERT_TRUE(succeeded(puller.wait()));
    // Absent or whole.
    const auto found = store().find("big");
    ASSERT_TRUE(succeeded(found)) << delay_ms;
    if (*found) {
      EXPECT_EQ(file_in(**found, "/f2").size(), 2'000'128u) << delay_ms;
      ASSERT_TRUE(succeeded(store().remove("big", {.map = single_id()})));
    }
  }
  const auto image = pull(cat(host(), "/big"));
  ASSERT_TRUE(succeeded(image));
  EXPECT_THAT(sys::list_dir(store().path() + "/staging").value(), SizeIs(0));
  EXPECT_THAT(sys::list_dir(store().path() + "/locks").value(), SizeIs(0));
  ASSERT_TRUE(succeeded(store().remove("big", {.map = single_id()})));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Pull, SeveralAtOnceShareTheirLayers) {
  push(big_layout(4, 500'000), "big:latest");
  std::vector<sys::Child> pullers;
  for (int i = 0; i < 6; ++i) pullers.push_back(start_puller(cat(host(), "/big")));
  for (sys::Child& puller : pullers) EXPECT_TRUE(puller.wait().value().ok());
  const auto image = store().find("big").value();
  ASSERT_TRUE(image);
  EXPECT_THAT(store().prepare_layers(*image, single_id()).value(), SizeIs(4));
  EXPECT_THAT(store().list().value(), SizeIs(1));
  EXPECT_THAT(sys::list_dir(store().path() + "/staging").value(), SizeIs(0));
}

TEST_F(Pull, RemovingMeanwhileLosesNothing) {
  push(big_layout(4, 500'000), "big:latest");
  push(simple_layout("x", "1"), "small:latest");
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(succeeded(pull(cat(host(), "/small"))));
    sys::Child puller = start_puller(cat(host(), "/big"));
    ASSERT_TRUE(succeeded(store().remove("small", {.map = single_id()})));
    ASSERT_TRUE(puller.wait().value().ok());
    const auto image = store().find("big").value();
    ASSERT_TRUE(image);
    EXPECT_THAT(store().prepare_layers(*image, single_id()).value(), SizeIs(4));
    ASSERT_TRUE(succeeded(store().remove("big", {.map = single_id()})));
  }
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

class PullFromAMock : public ServerTest {
 protected:
  void SetUp() override {
    ServerTest::SetUp();
    layout_ = simple_layout("x", std::string(300'000, 'y'));
    if (!start_mock(layout_)) GTEST_SKIP() << "python3 is not installed";
  }
  std::string outcome(const std::string& mode, engine::PullOptions options = {}) {
    const std::string error = error_of(pull(cat(host(), "/", mode, "/app"), std::move(options)));
    if (error != "no error") {
      EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore)) << mode;
    }
    return error;
  }
  std::string layer_digest() { return store().list().value().at(0).layers[0].blob.digest; }
  std::string layout_;
};

TEST_F(PullFromAMock, EightAtOnceFetchALayerOnce) {
  std::vector<sys::Child> pullers;
  for (int i = 0; i < 8; ++i) pullers.push_back(start_pull(store(), cat(host(), "/slow/app")));
  for (sys::Child& puller : pullers) EXPECT_TRUE(puller.wait().value().ok());
  const std::string path = cat("/v2/slow/app/blobs/", layer_digest());
  int fetched = 0;
  for (const std::string& request : requests()) fetched += request.starts_with(path) ? 1 : 0;
  EXPECT_EQ(fetched, 1);
  EXPECT_THAT(sys::list_dir(store().path() + "/staging").value(), SizeIs(0));
  EXPECT_THAT(sys::list_dir(store().path() + "/locks").value(), SizeIs(0));
}

TEST_F(PullFromAMock, ATokenIsFetchedAndShown) {
  EXPECT_EQ(outcome("token"), "no error");
  EXPECT_THAT(requests(), IsSupersetOf({StartsWith("/token?service=s&scope=repository%3Atoken%2Fapp%3Apull - -"),
                                        StartsWith("/v2/token/app/manifests/latest Bearer_t0ken")}));
}

TEST_F(PullFromAMock, AnIdentityTokenIsShownToTheTokenServer) {
  const std::string file = base() + "/auth.json";
  const auto write = [&](const std::string& token) {
    ASSERT_TRUE(
        succeeded(sys::replace_file(file, cat(R"({"auths":{")", host(), R"(":{"identitytoken":")", token, R"("}}})"))));
  };
  write("forged");
  EXPECT_THAT(outcome("oauth", {.access = {.auth_file = file}}), HasSubstr("invalid username/password"));
  write("remember me+");
  EXPECT_EQ(outcome("oauth", {.access = {.auth_file = file}}), "no error");
}

TEST_F(PullFromAMock, CredentialsGoToTheRegistryAndNotWhereItRedirects) {
  EXPECT_EQ(outcome("basic", {.access = {.credentials = "me:secret"}}), "no error");
  const std::vector<std::string> asked = requests();
  EXPECT_THAT(asked, Contains(StartsWith(cat("/v2/basic/app/blobs/", layer_digest(), " Basic_bWU6c2VjcmV0"))));
  EXPECT_THAT(asked, Contains(cat("/stolen/", layer_digest(), " - -")));
}

TEST_F(PullFromAMock, WithoutCredentialsALoginIsSuggested) {
  EXPECT_THAT(outcome("basic"),
              HasSubstr("unauthorized; the image does not exist or needs a login: moss login 127.0.0.1"));
}

TEST_F(PullFromAMock, ARealmThatIsNotHttpIsNotAsked) {
  EXPECT_THAT(outcome("evilrealm"), HasSubstr("which is not https; moss sends nothing there"));
}

TEST_F(PullFromAMock, EachStatusSaysWhatToDo) {
  EXPECT_THAT(outcome("403"), HasSubstr("denied"));
  EXPECT_THAT(outcome("404"), HasSubstr("manifest unknown"));
  EXPECT_THAT(outcome("429", {.retries = 0}),
              HasSubstr("too many requests (429); wait and pull again, or log in for a higher limit: moss login"));
  EXPECT_THAT(outcome("503", {.retries = 0}), HasSubstr("the registry is in trouble (503); try again later"));
  EXPECT_THAT(outcome("418"), HasSubstr("the registry answered 418"));
}

TEST_F(PullFromAMock, ABusyRegistryIsAskedAgain) { EXPECT_EQ(outcome("busy"), "no error"); }

TEST_F(PullFromAMock, AUsedUpQuotaIsToldAtOnceInTheRegistrysWords) {
  EXPECT_THAT(outcome("quota"), AllOf(HasSubstr("(429); wait 60 minutes and pull again, or log in"),
                                      HasSubstr("it says: You have reached your pull rate limit.")));
  EXPECT_THAT(requests(), SizeIs(1));
}

TEST_F(PullFromAMock, AnUnchangedImageIsOneRequest) {
  ASSERT_TRUE(succeeded(pull(cat(host(), "/plain/app"))));
  const size_t before = requests().size();
  std::vector<engine::Progress> progress;
  const auto again =
      pull(cat(host(), "/plain/app"), {.progress = [&](const engine::Progress& p) { progress.push_back(p); }});
  ASSERT_TRUE(succeeded(again));
  EXPECT_THAT(requests(), SizeIs(before + 1));
  EXPECT_EQ(progress.back().phase, engine::Progress::Phase::unchanged);
}

TEST_F(PullFromAMock, RedirectsEnd) { EXPECT_THAT(outcome("loop", {.retries = 0}), HasSubstr("too many redirects")); }

TEST_F(PullFromAMock, ARedirectToAFileIsNotFollowed) {
  EXPECT_THAT(outcome("ftp", {.retries = 0}), HasSubstr("redirects to file:///etc/passwd, which is not https"));
}

TEST_F(PullFromAMock, ABlobLargerThanPromisedIsCutOff) {
  EXPECT_THAT(outcome("endless"), HasSubstr("is larger than the"));
}

TEST_F(PullFromAMock, ABlobThatEndsEarlyIsRefused) {
  EXPECT_THAT(outcome("short", {.retries = 0}), HasSubstr("ends after"));
}

TEST_F(PullFromAMock, ABrokenDownloadGoesOnWhereItBroke) {
  EXPECT_EQ(outcome("broken"), "no error");
  EXPECT_THAT(requests(), Contains(testing::ContainsRegex(" bytes=[1-9][0-9]*-$")));
}

TEST_F(PullFromAMock, AServerWithoutRangesIsReadAgainFromTheBeginning) { EXPECT_EQ(outcome("norange"), "no error"); }

TEST_F(PullFromAMock, AManifestThatIsNotTheAskedOneIsRefused) {
  const std::string digest = pull(cat(host(), "/plain/app")).value().manifest_digest;
  ASSERT_TRUE(succeeded(store().remove("app", {.map = single_id()})));
  EXPECT_THAT(error_of(pull(cat(host(), "/lie/app@", digest))), HasSubstr("its content has the digest"));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST(Origins, AreSchemeHostAndPort) {
  EXPECT_EQ(engine::url_origin("https://A.io:443/x"), "https://a.io");
  EXPECT_EQ(engine::url_origin("https://user:pw@a.io/x"), "https://a.io");
  EXPECT_NE(engine::url_origin("https://a.io/"), engine::url_origin("http://a.io/"));
  EXPECT_NE(engine::url_origin("https://a.io/"), engine::url_origin("https://a.io:8443/"));
  EXPECT_NE(engine::url_origin("https://a.io/"), engine::url_origin("https://a.io.evil/"));
  EXPECT_NE(engine::url_origin("https://a.io@evil/"), engine::url_origin("https://a.io/"));
}

TEST(RetryDelays, GrowAndListen) {
  engine::HttpResponse response;
  EXPECT_EQ(engine::retry_delay_ms(response, 1), 300);
  EXPECT_EQ(engine::retry_delay_ms(response, 3), 2700);
  EXPECT_EQ(engine::retry_delay_ms(response, 1000), 30'000);
  EXPECT_EQ(engine::retry_delay_ms(response, 2, 1000), 3000);
  response.headers["retry-after"] = "2";
  EXPECT_EQ(engine::retry_delay_ms(response, 1), 2000);
  response.headers["retry-after"] = "999999";
  EXPECT_EQ(engine::retry_delay_ms(response, 1), 30'000);
  response.headers["retry-after"] = "Thu, 01 Jan 1970 00:01:40 GMT";
  EXPECT_EQ(engine::retry_after_seconds(response, 90), 10);
  EXPECT_EQ(engine::retry_after_seconds(response, 200), 0);
  response.headers["retry-after"] = "soon";
  EXPECT_EQ(engine::retry_after_seconds(response, 90), std::nullopt);
}

TEST(PullPolicies, AreNamedAsPodmanDoes) {
  EXPECT_EQ(engine::parse_pull_policy("newer").value(), engine::PullPolicy::newer);
  EXPECT_THAT(error_of(engine::parse_pull_policy("x")), HasSubstr("expected always, missing, newer or never"));
}

}  // namespace

}  // namespace moss::test
