// Manifests, indexes and image configs, OCI's and Docker's.
#include "moss/oci/image.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expect.hh"

namespace moss::oci {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string descriptor(std::string_view media_type, std::string_view digest, std::string_view size) {
  return cat(R"({"mediaType":")", media_type, R"(","digest":")", digest, R"(","size":)", size, "}");
}
std::string config_descriptor() { return descriptor(kOciConfig, kDigestA, "7"); }

// ---- digests ----

TEST(Digest, HasAlgorithmAndHex) {
  const Result<Digest> digest = Digest::parse(kDigestA);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(digest->text(), kDigestA);
  EXPECT_EQ(digest->algorithm(), "sha256");
  EXPECT_EQ(digest->hex(), std::string(64, 'a'));
  EXPECT_TRUE(Digest::parse("sha512:" + std::string(128, '0')).ok());
}

TEST(Digest, NothingElseIsADigest) {
  const std::string hex(64, 'a');
  for (const std::string& text :
       {std::string(), std::string("sha256"), std::string("sha256:"), hex, "sha256:" + hex.substr(1),
        "sha256:" + hex + "a", "sha256:" + std::string(64, 'A'), "SHA256:" + hex, "md5:" + std::string(32, 'a'),
        "sha512:" + hex,
        "sha256:" + std::string("../../../../../../../../../../../../../../../../../../../../etc/pass"),
        "sha256:" + hex + "\n", "sha256+b64:" + hex, ":" + hex, "sha256:sha256:" + hex.substr(7)}) {
    EXPECT_THAT(error_of(Digest::parse(text)), HasSubstr("expected sha256: and 64 lower-case hex digits")) << text;
  }
}

// ---- manifests ----

TEST(Manifest, OcisFormIsReadAndWrittenBack) {
  const std::string json = cat(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"a/b","config":)",
      R"({"mediaType":"application/vnd.oci.empty.v1+json","digest":")", kDigestA,
      R"(","size":2,"data":"e30="},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":")",
      kDigestB, R"(","size":9223372036854775807,"urls":["https://example.org/x"],"annotations":{"k":"v"}}],"subject":)",
      config_descriptor(), R"(,"annotations":{"a":"b"}})");
  const oci::Manifest manifest = value_of(decode_manifest(json));
  EXPECT_EQ(encode_manifest(manifest), json);
  EXPECT_EQ(manifest.layers.at(0).size, INT64_MAX);
  EXPECT_EQ(manifest.config.data, "e30=");
}

TEST(Manifest, DockersFormIsReadAndWrittenBack) {
  const std::string json = cat(R"({"schemaVersion":2,"mediaType":")", kDockerManifest, R"(","config":)",
                               descriptor(kDockerConfig, kDigestA, "1"), R"(,"layers":[)",
                               descriptor(kDockerLayerGzip, kDigestB, "2"), "]}");
  EXPECT_EQ(encode_manifest(value_of(decode_manifest(json))), json);
}

TEST(Manifest, LayersMayBeNullAndTheMediaTypeAbsent) {
  const auto manifest =
      value_of(decode_manifest(cat(R"({"schemaVersion":2,"config":)", config_descriptor(), R"(,"layers":null})")));
  EXPECT_TRUE(manifest.layers.empty());
  EXPECT_EQ(encode_manifest(manifest), cat(R"({"schemaVersion":2,"config":)", config_descriptor(), R"(,"layers":[]})"));
}

TEST(Manifest, WhatCouldAlsoBeAnIndexIsRefusedAsBoth) {
  const std::string both =
      cat(R"({"schemaVersion":2,"config":)", config_descriptor(), R"(,"layers":[],"manifests":[]})");
  EXPECT_THAT(error_of(decode_manifest(both)),
              HasSubstr("image manifest: manifests: must not be here: the document could be read both"));
  EXPECT_THAT(error_of(decode_index(both)),
              HasSubstr("image index: config: must not be here: the document could be read both"));
  EXPECT_THAT(error_of(decode_index(R"({"schemaVersion":2,"manifests":[],"layers":[]})")),
              HasSubstr("image index: layers: must not be here"));
}

TEST(Manifest, AnIndexIsNoManifestAndAManifestNoIndex) {
  EXPECT_EQ(error_of(decode_manifest(cat(R"({"mediaType":")", kOciIndex, "\"}"))),
            "image manifest: mediaType: expected an image manifest's media type "
            "(application/vnd.oci.image.manifest.v1+json or application/vnd.docker.distribution.manifest.v2+json), "
            "found \"application/vnd.oci.image.index.v1+json\"");
  EXPECT_THAT(error_of(decode_index(cat(R"({"mediaType":")", kDockerManifest, "\"}"))),
              HasSubstr("image index: mediaType: expected an image index's media type"));
  EXPECT_EQ(error_of(decode_manifest(R"({"schemaVersion":2})")), "image manifest: config is missing");
  EXPECT_EQ(error_of(decode_index(R"({"schemaVersion":2})")), "image index: manifests is missing");
}

TEST(Manifest, Schema1IsRefusedWithTheWayOut) {
  EXPECT_EQ(
      error_of(decode_manifest(R"({"schemaVersion": 1, "name": "a", "fsLayers": []})")),
      "image manifest: schemaVersion: expected 2 (1 is Docker's form of before 2016, which moss does not read: push "
      "the image again with a current tool), found 1");
  EXPECT_THAT(error_of(decode_manifest(R"({"fsLayers": [], "schemaVersion": 1})")),
              HasSubstr("image manifest: fsLayers: must not be here: it belongs to Docker's schema 1"));
  EXPECT_THAT(error_of(decode_manifest(R"({"schemaVersion": -2})")), HasSubstr("expected 2 "));
}

TEST(Manifest, DescriptorsAreChecked) {
  const auto error = [](const std::string& layer) {
    return error_of(
        decode_manifest(cat(R"({"schemaVersion":2,"config":)", config_descriptor(), R"(,"layers":[)", layer, "]}")));
  };
  EXPECT_EQ(error(descriptor("a/b", kDigestA, "0")), "no error");
  EXPECT_EQ(
      error(descriptor("a/b", "sha256:../../etc/passwd", "0")),
      "image manifest: layers[0].digest: expected sha256: and 64 lower-case hex digits, or sha512: and 128, found "
      "\"sha256:../../etc/passwd\"");
  EXPECT_EQ(error(descriptor("a/b", kDigestA, "-1")),
            "image manifest: layers[0].size: expected an integer in 0..2^63-1, found -1");
  EXPECT_EQ(error(descriptor("a/b", kDigestA, "9223372036854775808")),
            "image manifest: layers[0].size: expected an integer in 0..2^63-1, found 9223372036854775808");
  EXPECT_EQ(error(R"({"mediaType":"a/b","size":1})"), "image manifest: layers[0]: digest is missing");
  for (const char* type : {"", "tar", "a/b/c", "a/", "/b", "a b/c", "a/b; charset=x"}) {
    EXPECT_EQ(error(descriptor(type, kDigestA, "0")),
              cat("image manifest: layers[0].mediaType: expected a media type, such as "
                  "\"application/vnd.oci.image.config.v1+json\", found \"",
                  std::string_view(type), "\""));
  }
}

// ---- indexes ----

TEST(Index, IsReadAndWrittenBack) {
  const std::string json = cat(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":")",
      kOciManifest, R"(","digest":")", kDigestA,
      R"(","size":1,"annotations":{"org.opencontainers.image.ref.name":"v1"},"platform":{"architecture":"arm64",)",
      R"("os":"linux","os.version":"5","os.features":["f"],"variant":"v8"},"artifactType":"c/d"}],"annotations":{"k":""}})");
  const oci::Index index = value_of(decode_index(json));
  EXPECT_EQ(encode_index(index), json);
  EXPECT_EQ(
      index.manifests.at(0).platform,
      (Platform{.architecture = "arm64", .os = "linux", .variant = "v8", .os_version = "5", .os_features = {"f"}}));
}

TEST(Index, ANewLayoutsIndexIsEmpty) {
  EXPECT_EQ(encode_index(oci::Index{}), R"({"schemaVersion":2,"manifests":[]})");
  EXPECT_EQ(value_of(decode_index(R"({"schemaVersion":2,"manifests":null})")), oci::Index{});
}

// ---- image configs ----

constexpr std::string_view kRootfs = R"("rootfs":{"type":"layers","diff_ids":[]})";

TEST(ImageConfig, EveryMemberIsReadAndWrittenBack) {
  const std::string json = cat(
      R"({"created":"2024-01-02T03:04:05.6Z","author":"me","architecture":"arm","os":"linux","os.version":"1",)",
      R"("os.features":["x"],"variant":"v7","config":{"User":"1:2","ExposedPorts":{"53/udp":{},"80/tcp":{}},)",
      R"("Env":["A=b"],"Entrypoint":["/e"],"Cmd":["c"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"l":"m"},)",
      R"("StopSignal":"SIGINT","ArgsEscaped":true,"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,)",
      R"("Timeout":1,"StartPeriod":2,"StartInterval":3,"Retries":4},"OnBuild":["RUN x"],"Shell":["/bin/sh","-c"],)",
      R"("StopTimeout":0},"rootfs":{"type":"layers","diff_ids":[")", kDigestA,
      R"("]},"history":[{"created":"x","created_by":"RUN a \u0026\u0026 b","author":"y","comment":"z","empty_layer":true}]})");
  const oci::ImageConfig config = value_of(decode_image_config(json));
  std::string plain = json;
  for (size_t at; (at = plain.find("\\u0026")) != std::string::npos;) plain.replace(at, 6, "&");
  EXPECT_EQ(encode_image_config(config), plain);
  EXPECT_EQ(config.platform.variant, "v7");
  EXPECT_THAT(config.config.exposed_ports, ElementsAre("53/udp", "80/tcp"));
  EXPECT_THAT(config.diff_ids, ElementsAre(kDigestA));
}

// Docker writes null for what a Dockerfile does not say, and members of its own beside OCI's.
TEST(ImageConfig, DockersFormIsRead) {
  const oci::ImageConfig config = value_of(decode_image_config(cat(
      R"({"architecture":"amd64","config":{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"Tty":false,)",
      R"("Env":["PATH=/bin"],"Cmd":["/bin/sh"],"Image":"sha256:x","Volumes":null,"WorkingDir":"","Entrypoint":null,)",
      R"("OnBuild":null,"Labels":null},"container":"0","container_config":{"Cmd":["x"]},"docker_version":"20.10",)",
      R"("history":null,"os":"linux",)", kRootfs, "}")));
  oci::ImageConfig expected;
  expected.platform = {.architecture = "amd64", .os = "linux"};
  expected.config.env = {"PATH=/bin"};
  expected.config.cmd = {"/bin/sh"};
  EXPECT_EQ(config, expected);
}

TEST(ImageConfig, AScratchImageHasLittleToSay) {
  const auto config = value_of(decode_image_config(R"({"rootfs":{"type":"layers","diff_ids":null}})"));
  EXPECT_EQ(encode_image_config(config), cat(R"({"architecture":"","os":"",)", kRootfs, "}"));
}

TEST(ImageConfig, WhatIsNoImageConfigIsRefused) {
  EXPECT_EQ(error_of(decode_image_config("{}")), "image config: rootfs is missing");
  EXPECT_EQ(error_of(decode_image_config(R"({"rootfs":{"type":"layers"}})")),
            "image config: rootfs: diff_ids is missing");
  EXPECT_EQ(error_of(decode_image_config(R"({"rootfs":{"type":"layers+base"}})")),
            "image config: rootfs.type: expected \"layers\", found \"layers+base\"");
  EXPECT_THAT(error_of(decode_image_config(R"({"rootfs":{"type":"layers","diff_ids":["md5:x"]}})")),
              HasSubstr("image config: rootfs.diff_ids[0]: expected sha256: and"));
  EXPECT_EQ(error_of(decode_image_config(R"({"config":{"Env":["A=\u0000"]}})")),
            "image config: config.Env[0]: holds a NUL byte (\\u0000)");
  EXPECT_EQ(error_of(decode_image_config(R"({"config":{"Entrypoint":"sh"}})")),
            "image config: config.Entrypoint: expected list, found string");
  EXPECT_EQ(error_of(decode_image_config(R"({"config":{"Volumes":["/a"]}})")),
            "image config: config.Volumes: expected object, found list");
}

}  // namespace
}  // namespace moss::oci
