// Documents made to hurt: they end in one clear line, soon, and without the stack or the memory growing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "expect.hh"
#include "moss/oci/config.hh"
#include "moss/oci/image.hh"

namespace moss::oci {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string repeated(std::string_view text, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(HostileJson, DeepNestingIsRefusedAtOnce) {
  EXPECT_EQ(error_of(decode_config(cat(R"({"x": )", repeated("[", 200'000)))),
            "config.json: x: nested deeper than 64 levels");
  EXPECT_EQ(error_of(decode_config(cat(R"({"x": )", repeated("{\"a\":", 200'000)))),
            "config.json: x: nested deeper than 64 levels");
  EXPECT_EQ(error_of(decode_config(repeated("[", 200'000))), "config.json: expected object, found list");
}

TEST(HostileJson, SixtyFourLevelsAreFine) {
  const std::string before = R"({"ociVersion": "1.0.0", "root": {"path": "r"}, "x": )";
  EXPECT_EQ(error_of(decode_config(cat(before, repeated("[", 63), repeated("]", 63), "}"))), "no error");
  EXPECT_EQ(error_of(decode_config(cat(before, repeated("[", 64), repeated("]", 64), "}"))),
            "config.json: x: nested deeper than 64 levels");
}

TEST(HostileJson, APropertyGivenTwiceIsRefused) {
  EXPECT_EQ(error_of(decode_config(R"({"root": {"path": "a", "path": "b"}})")), "config.json: root.path: given twice");
  EXPECT_EQ(error_of(decode_config(R"({"root": null, "root": {"path": "b"}})")), "config.json: root: given twice");
  EXPECT_EQ(error_of(decode_config(R"({"linux": {"sysctl": {"a": "1", "a": "2"}}})")),
            "config.json: linux.sysctl.a: given twice");
  EXPECT_EQ(error_of(decode_image_config(R"({"config": {"Volumes": {"/a": {}, "/b": {}, "/a": {}}}})")),
            "image config: config.Volumes: names the same key twice");
}

TEST(HostileJson, ListsAndMapsHaveALimit) {
  const std::string history = R"({"rootfs": {"type": "layers", "diff_ids": []}, "history": [)";
  EXPECT_THAT(value_of(decode_image_config(cat(history, repeated("{},", 99'999), "{}]}"))).history, SizeIs(100'000));
  EXPECT_EQ(error_of(decode_image_config(cat(history, repeated("{},", 100'001)))),
            "image config: history[100000]: more than 100000 elements");
  std::string labels = R"({"config": {"Labels": {)";
  for (size_t i = 0; i <= 100'000; ++i) labels += cat('"', i, "\":\"\",");
  EXPECT_EQ(error_of(decode_image_config(labels)), "image config: config.Labels.100000: more than 100000 elements");
}

TEST(HostileJson, AWholeDocumentHasALimitToo) {
  std::string manifest = R"({"schemaVersion": 2, "config": {"mediaType": "a/b", "digest": "sha256:)" +
                         repeated("0", 64) + R"(", "size": 0, "urls": [)" + repeated("\"\",", 99'999) +
                         R"(""], "annotations": {)";
  for (size_t i = 0; i < 99'999; ++i) manifest += cat('"', i, "\":\"\",");
  EXPECT_EQ(error_of(decode_manifest(manifest + R"("a":""}}, "layers": [{)")),
            "image manifest: layers[0]: more than 200000 elements in the document");
}

TEST(HostileJson, AnOutlineSeesOnlyTheTop) {
  EXPECT_EQ(value_of(decode_outline(R"({"mediaType": "a/b", "layers": 7, "x": {"manifests": []}})")),
            (Outline{.media_type = "a/b", .has_layers = true}));
  EXPECT_EQ(value_of(decode_outline(R"({"config": {}, "manifests": [], "fsLayers": "", "layers": null})")),
            (Outline{.has_config = true, .has_manifests = true, .has_fs_layers = true}));
  EXPECT_EQ(value_of(decode_outline("{}")), Outline{});
  EXPECT_EQ(error_of(decode_outline("[]")), "manifest: expected object, found list");
  EXPECT_EQ(error_of(decode_outline(R"({"mediaType": "a/b", "mediaType": "c/d"})")),
            "manifest: mediaType: given twice");
  EXPECT_EQ(error_of(decode_outline(cat(R"({"layers": )", repeated("[", 1'000'000)))),
            "manifest: layers: nested deeper than 64 levels");
}

TEST(HostileJson, APageOfNamesIsAList) {
  EXPECT_EQ(value_of(decode_name_page(R"({"name": "a/b", "tags": ["1", "2"]})")), (NamePage{.tags = {"1", "2"}}));
  EXPECT_EQ(value_of(decode_name_page(R"({"name": "a/b", "tags": null})")), NamePage{});
  EXPECT_EQ(value_of(decode_name_page(R"({"repositories": ["a"]})")), (NamePage{.repositories = {"a"}}));
  EXPECT_EQ(error_of(decode_name_page(cat(R"({"tags": [)", repeated("[", 4'000'000)))),
            "list of names: tags[0]: expected string, found list");
}

TEST(HostileJson, DockersListIsALimitedOne) {
  EXPECT_EQ(value_of(decode_archived_images(R"([{"Config": "c", "RepoTags": null, "Layers": ["l"], "Parent": ""}])")),
            (std::vector<ArchivedImage>{{.config = "c", .tags = {}, .layers = {"l"}}}));
  EXPECT_EQ(error_of(decode_archived_images(R"([{"Layers": []}])")), "manifest.json: [0]: Config is missing");
  EXPECT_EQ(error_of(decode_archived_images("{}")), "manifest.json: expected list, found object");
  EXPECT_EQ(error_of(decode_archived_images(cat("[", repeated("[", 4'000'000)))),
            "manifest.json: [0]: expected object, found list");
}

TEST(HostileJson, WhatIsNotJsonIsToldByPlace) {
  EXPECT_EQ(error_of(decode_config("")), "config.json: not valid JSON at line 1, column 1, where it ends too early");
  EXPECT_EQ(error_of(decode_config("{\n  \"root\": }")),
            "config.json: not valid JSON at line 2, column 11, near \"root\": }");
  EXPECT_THAT(error_of(decode_resources("{} x")), HasSubstr("not valid JSON at line 1, column 4"));
  EXPECT_THAT(error_of(decode_config(R"({"ociVersion": "1.0.0")")), HasSubstr("where it ends too early"));
  EXPECT_THAT(error_of(decode_config("{\"a\": \"\x1b[2J\"}")), HasSubstr("not valid JSON at line 1, column 8"));
  EXPECT_THAT(error_of(decode_config("{\"a\": \"\xff\"}")), HasSubstr("not valid JSON at line 1, column 8"));
  EXPECT_EQ(error_of(decode_config("null")), "config.json: expected object, found null");
  EXPECT_EQ(error_of(decode_config("7")), "config.json: expected object, found number");
}

TEST(HostileJson, ErrorsStayShortAndPrintable) {
  const std::string long_version =
      error_of(decode_config(cat(R"({"ociVersion": ")", repeated("é\\u001b", 50'000), "\"}")));
  EXPECT_LT(long_version.size(), 400u);
  EXPECT_EQ(long_version.find('\x1b'), std::string::npos);
  const std::string long_key =
      error_of(decode_config(cat(R"({"annotations": {")", repeated("k\\n", 50'000), "\": 1}}")));
  EXPECT_LT(long_key.size(), 400u);
  EXPECT_EQ(long_key.find('\n'), std::string::npos);
  EXPECT_LT(error_of(decode_config(cat(R"({"ociVersion": ")", repeated("x", 50'000)))).size(), 400u);
  EXPECT_LT(error_of(decode_process(cat(R"({"user": {"uid": 0.)", repeated("1", 50'000), "}}"))).size(), 400u);
}

}  // namespace
}  // namespace moss::oci
