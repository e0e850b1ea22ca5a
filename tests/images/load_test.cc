// Loading archives and layouts, honest and hostile ones.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_fixture.hh"
#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "src/engine/images/tar_files.hh"

namespace moss::test {

namespace {

using engine::Image;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class Load : public ImageTest {
 protected:
  std::string write(const std::string& name, const std::string& content) {
    const std::string path = cat(base(), "/", name);
    EXPECT_TRUE(succeeded(sys::replace_file(path, content)));
    return path;
  }
  /// A docker-archive as `docker save` of old: the second layer is a symlink to the first.
  static std::string docker_archive() {
    const std::string tar = layer("f", "docker");
    oci::ImageConfig config;
    config.platform = engine::host_platform();
    config.diff_ids = {engine::digest_of(tar).value(), engine::digest_of(tar).value()};
    return TarWriter()
        .file("conf.json", oci::encode_image_config(config))
        .file("one/layer.tar", tar)
        .symlink("two/layer.tar", "../one/layer.tar")
        .file(
            "manifest.json",
            R"([{"Config":"conf.json","RepoTags":["app:v1","quay.io/a/b:c"],"Layers":["one/layer.tar","two/layer.tar"]}])")
        .finish();
  }
  std::string file_in(const Image& image, const std::string& file) {
    const auto lower = store().prepare_layers(image, single_id());
    EXPECT_TRUE(succeeded(lower));
    if (!lower.ok()) return "";
    const auto content = sys::read_file(lower->at(0) + file, 16 << 20);
    EXPECT_TRUE(succeeded(content));
    return content.ok() ? *content : "";
  }
  /// Loads a layout whose one image was spoiled; nothing may be left.
  std::string refusal(const std::function<void(LayoutWriter::Parts&, LayoutWriter&)>& edit) {
    LayoutWriter writer(cat(base(), "/hostile-", sys::random_hex(4)));
    writer.add(writer.image({layer("f", "1")}, [&](LayoutWriter::Parts& parts) { edit(parts, writer); }), "app");
    writer.write_index();
    return refusal_of(writer.path());
  }
  std::string refusal_of(const std::string& source) {
    const std::string error = error_of(load(source));
    EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore)) << error;
    return error;
  }
};

TEST_F(Load, ALayoutKeepsItsNames) {
  const auto images = load(simple_layout("quay.io/a/b:c", "hello"));
  ASSERT_TRUE(succeeded(images));
  ASSERT_THAT(*images, SizeIs(1));
  EXPECT_THAT(images->at(0).names, ElementsAre("quay.io/a/b:c"));
  EXPECT_EQ(file_in(images->at(0), "/f"), "hello");
}

TEST_F(Load, OneImageOfALayoutIsChosenByItsName) {
  LayoutWriter writer(base() + "/two");
  writer.add(writer.image({layer("f", "1")}), "one");
  writer.add(writer.image({layer("f", "2")}), "two");
  writer.write_index();
  EXPECT_THAT(load(cat("oci:", writer.path(), ":two")).value().at(0).names, ElementsAre("localhost/two:latest"));
  EXPECT_THAT(store().list().value(), SizeIs(1));
  EXPECT_THAT(error_of(load(cat("oci:", writer.path(), ":three"))), HasSubstr("no image is called three there"));
}

TEST_F(Load, ADockerArchiveInAnyCompression) {
  for (const std::string& archive : {docker_archive(), gzip(docker_archive()), zstd(docker_archive())}) {
    const auto images = load(write("a.tar", archive));
    ASSERT_TRUE(succeeded(images));
    ASSERT_THAT(*images, SizeIs(1));
    EXPECT_THAT(images->at(0).names, testing::UnorderedElementsAre("docker.io/library/app:v1", "quay.io/a/b:c"));
    EXPECT_EQ(file_in(images->at(0), "/f"), "docker");
  }
  EXPECT_THAT(store().list().value(), SizeIs(1));
}

TEST_F(Load, AnOciArchive) {
  const std::string layout = simple_layout("app", "archived");
  const std::string archive = base() + "/oci.tar";
  ASSERT_EQ(::system(cat("tar -C ", layout, " -cf ", archive, " .").c_str()), 0);
  EXPECT_EQ(file_in(load(archive).value().at(0), "/f"), "archived");
  EXPECT_EQ(file_in(load("oci-archive:" + archive).value().at(0), "/f"), "archived");
  EXPECT_THAT(error_of(load("docker-archive:" + archive)), HasSubstr("neither manifest.json nor index.json"));
}

TEST_F(Load, WhatIsThereIsNotUnpackedTwice) {
  const std::string layout = simple_layout("app", "1");
  ASSERT_TRUE(succeeded(load(layout)));
  std::vector<engine::Progress::Phase> phases;
  const auto again = engine::load(
      store(), layout, {.map = single_id(), .progress = [&](const engine::Progress& p) { phases.push_back(p.phase); }});
  ASSERT_TRUE(succeeded(again));
  EXPECT_THAT(phases, ElementsAre(engine::Progress::Phase::exists, engine::Progress::Phase::storing));
}

TEST_F(Load, NothingIsNothing) {
  EXPECT_THAT(error_of(load(base() + "/none")), HasSubstr("No such file or directory"));
  EXPECT_FALSE(sys::exists(store().path()));
  EXPECT_THAT(refusal_of(write("empty", "")), HasSubstr("not"));
  EXPECT_THAT(refusal_of(write("text", "this is not an archive of anything at all")), HasSubstr("not"));
  EXPECT_THAT(refusal_of(write("rootfs.tar", layer("etc/passwd", ""))), HasSubstr("moss import"));
}

TEST_F(Load, ATruncatedArchiveLeavesNothing) {
  const std::string archive = gzip(docker_archive());
  for (const size_t size : {size_t{1}, size_t{20}, archive.size() / 2, archive.size() - 9}) {
    EXPECT_NE(refusal_of(write("cut.tar.gz", archive.substr(0, size))), "no error") << size;
  }
}

TEST_F(Load, AWrongDigestIsRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter& writer) {
                const std::string hex = parts.manifest.layers[0].digest.substr(7);
                ASSERT_TRUE(succeeded(sys::replace_file(cat(writer.path(), "/blobs/sha256/", hex), layer("f", "2"))));
              }),
              HasSubstr("its content has the digest"));
}

TEST_F(Load, AWrongSizeIsRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) { parts.manifest.layers[0].size += 1; }),
              HasSubstr("it was promised with; refused"));
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) { parts.manifest.layers[0].size -= 1; }),
              HasSubstr("it was promised with; refused"));
}

TEST_F(Load, AWrongDiffIdIsRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) {
                parts.config.diff_ids[0] = "sha256:" + std::string(64, '1');
              }),
              HasSubstr("but the config says sha256:1111"));
}

TEST_F(Load, TooFewDiffIdsAreRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) { parts.config.diff_ids.clear(); }),
              HasSubstr("the manifest has 1 layers and the config 0 diff ids"));
}

TEST_F(Load, ADigestThatIsAPathIsRefused) {
  for (const char* digest :
       {"sha256:../../../../etc/passwd", "md5:d41d8cd98f00b204e9800998ecf8427e", "", "sha256:ABC"}) {
    EXPECT_THAT(refusal([&](LayoutWriter::Parts& parts, LayoutWriter&) { parts.manifest.layers[0].digest = digest; }),
                HasSubstr("sha256: and 64"))
        << digest;
  }
}

TEST_F(Load, FiveThousandLayersAreRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) {
                parts.manifest.layers.assign(5000, parts.manifest.layers[0]);
                parts.config.diff_ids.assign(5000, parts.config.diff_ids[0]);
              }),
              HasSubstr("the image has 5000 layers; moss takes at most 500"));
}

TEST_F(Load, UnknownMediaTypesAreRefused) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter&) {
                parts.manifest.layers[0].media_type = "application/vnd.example.layer";
              }),
              HasSubstr("media type application/vnd.example.layer is not known"));
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter& writer) {
                parts.manifest.config = writer.blob("application/vnd.cncf.helm.config.v1+json", "{}");
              }),
              HasSubstr("not a container image but application/vnd.cncf.helm.config.v1+json"));
}

TEST_F(Load, AForeignLayersAddressIsNeverUsed) {
  EXPECT_THAT(
      refusal([](LayoutWriter::Parts& parts, LayoutWriter& writer) {
        parts.manifest.layers[0].media_type = "application/vnd.oci.image.layer.nondistributable.v1.tar";
        parts.manifest.layers[0].urls = {"file:///etc/passwd", "http://127.0.0.1:1/"};
        ASSERT_EQ(::unlink(cat(writer.path(), "/blobs/sha256/", parts.manifest.layers[0].digest.substr(7)).c_str()), 0);
      }),
      HasSubstr("No such file or directory"));
}

TEST_F(Load, ADocumentThatIsBothIsRefused) {
  LayoutWriter writer(base() + "/both");
  writer.add(
      writer.blob(std::string(oci::kOciManifest), R"({"schemaVersion":2,"config":{},"layers":[],"manifests":[]})"),
      "app");
  writer.write_index();
  EXPECT_THAT(refusal_of(writer.path()), HasSubstr("ambiguous"));
}

TEST_F(Load, Schema1SaysWhatToDo) {
  LayoutWriter writer(base() + "/old");
  writer.add(writer.blob("application/vnd.docker.distribution.manifest.v1+prettyjws",
                         R"({"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"history":[]})"),
             "app");
  writer.write_index();
  EXPECT_THAT(refusal_of(writer.path()), HasSubstr("push it again"));
}

TEST_F(Load, ListsNestedTooDeepAreRefused) {
  LayoutWriter writer(base() + "/nested");
  oci::Descriptor entry = writer.image({layer("f", "1")});
  for (int i = 0; i < 10; ++i) {
    oci::Index index;
    index.media_type = oci::kOciIndex;
    index.manifests = {entry};
    entry = writer.blob(std::string(oci::kOciIndex), oci::encode_index(index));
  }
  writer.add(entry, "app");
  writer.write_index();
  EXPECT_THAT(refusal_of(writer.path()), HasSubstr("lists of lists more than 3 deep"));
}

TEST_F(Load, AListGivesTheImageForThePlatform) {
  LayoutWriter writer(base() + "/list");
  writer.add(writer.list({"amd64", "arm64"}), "app");
  writer.write_index();
  const auto arm =
      engine::load(store(), writer.path(), {.map = single_id(), .platform = engine::parse_platform("arm64").value()});
  ASSERT_TRUE(succeeded(arm));
  EXPECT_EQ(file_in(arm->at(0), "/f"), "arm64");
  EXPECT_THAT(error_of(engine::load(store(), writer.path(),
                                    {.map = single_id(), .platform = engine::parse_platform("s390x").value()})),
              HasSubstr("no image for linux/s390x in the list; it has linux/amd64, linux/arm64"));
}

TEST_F(Load, AFifoInALayoutIsNotWaitedFor) {
  EXPECT_THAT(refusal([](LayoutWriter::Parts& parts, LayoutWriter& writer) {
                const std::string blob =
                    cat(writer.path(), "/blobs/sha256/", parts.manifest.layers[0].digest.substr(7));
                ASSERT_EQ(::unlink(blob.c_str()), 0);
                ASSERT_EQ(::mkfifo(blob.c_str(), 0644), 0);
              }),
              HasSubstr("not a regular file"));
}

TEST_F(Load, ASymlinkInALayoutStaysInside) {
  const std::string secret = write("secret", layer("f", "1"));
  EXPECT_THAT(refusal([&](LayoutWriter::Parts& parts, LayoutWriter& writer) {
                const std::string blob =
                    cat(writer.path(), "/blobs/sha256/", parts.manifest.layers[0].digest.substr(7));
                ASSERT_EQ(::unlink(blob.c_str()), 0);
                ASSERT_EQ(::symlink(secret.c_str(), blob.c_str()), 0);
              }),
              HasSubstr("No such file or directory"));
}

TEST_F(Load, HugeDocumentsAreNotRead) {
  LayoutWriter writer(base() + "/huge");
  oci::Descriptor entry = writer.image({layer("f", "1")});
  entry.size = 1LL << 30;
  writer.add(entry, "app");
  writer.write_index();
  const std::string manifest = cat(writer.path(), "/blobs/sha256/", entry.digest.substr(7));
  ASSERT_EQ(::truncate(manifest.c_str(), 1LL << 30), 0);
  EXPECT_THAT(refusal_of(writer.path()), HasSubstr("manifest sha256:"));
  ASSERT_EQ(::truncate((writer.path() + "/index.json").c_str(), 1LL << 30), 0);
  EXPECT_THAT(refusal_of(writer.path()), HasSubstr("larger than 8388608 bytes"));
}

TEST_F(Load, AnArchivesNamesNeverLeaveIt) {
  const std::string archive = TarWriter()
                                  .file("../../escaped", "x")
                                  .symlink("conf.json", "/etc/passwd")
                                  .symlink("loop", "loop")
                                  .file("manifest.json", R"([{"Config":"conf.json","Layers":["loop"]}])")
                                  .finish();
  EXPECT_THAT(refusal_of(write("evil.tar", archive)), HasSubstr("the archive has no conf.json"));
  EXPECT_FALSE(sys::exists(base() + "/escaped"));
}

TEST_F(Load, AnArchiveLargerThanAllowedIsRefused) {
  const std::string path = write("big.tar", TarWriter().file("a", std::string(300'000, 'x')).finish());
  EXPECT_THAT(error_of(engine::load(store(), path, {.map = single_id(), .max_archive_bytes = 200'000})),
              HasSubstr("holds more than is allowed"));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Load, AnArchiveThatIsABombIsRefused) {
  const std::string path =
      write("bomb.tar.gz", gzip(TarWriter().file("a", std::string(3'000'000, '\0')).file("b", "x").finish()));
  const engine::UnpackOptions limits{.max_ratio = 100, .ratio_free_bytes = 1'000'000};
  EXPECT_THAT(error_of(engine::load(store(), path, {.map = single_id(), .unpack = limits})),
              HasSubstr("a decompression bomb"));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Load, ABombInAFileThatNobodyAsksForIsRefusedToo) {
  const std::string path =
      write("bomb.tar.gz", gzip(TarWriter().file("../a", std::string(3'000'000, '\0')).file("b", "x").finish()));
  const engine::UnpackOptions limits{.max_ratio = 100, .ratio_free_bytes = 1'000'000};
  EXPECT_THAT(error_of(engine::load(store(), path, {.map = single_id(), .unpack = limits})),
              HasSubstr("a decompression bomb"));
}

TEST_F(Load, ASparseFileInAnArchiveIsNotFilledUp) {
  // Its size alone decides: the holes of a pebibyte would be written for days.
  TarHeader huge{.name = "GNUSparseFile.0/f", .size = 512};
  const std::string records = TarWriter::record("GNU.sparse.major", "1") + TarWriter::record("GNU.sparse.minor", "0") +
                              TarWriter::record("GNU.sparse.name", "f") +
                              TarWriter::record("GNU.sparse.realsize", cat(uint64_t{1} << 50));
  const std::string archive = TarWriter().pax(records).header(huge).body("1\n0\n0\n").finish();
  EXPECT_THAT(refusal_of(write("sparse.tar", archive)), HasSubstr("holds more than is allowed"));
}

TEST_F(Load, AnArchiveOfNamesIsRefused) {
  TarWriter archive;
  for (int i = 0; i < 3000; ++i) archive.long_name(cat(i, std::string(4000, 'n'))).symlink("x", "y");
  EXPECT_THAT(refusal_of(write("names.tar", archive.finish())), HasSubstr("the names in the archive are too long"));
}

TEST_F(Load, AHostileManifestJsonIsRefused) {
  for (const char* text : {"", "{}", "[]", "[1]", R"([{"Config":7}])", R"([{"Config":"x","Layers":"y"}])",
                           R"([{"Config":"x","Layers":[1]}])", R"([{"Config":"none","Layers":[]}])"}) {
    EXPECT_NE(refusal_of(write("m.tar", TarWriter().file("manifest.json", text).finish())), "no error") << text;
  }
}

TEST(ArchiveNames, AreCleanedByTheLetter) {
  EXPECT_EQ(engine::archive_name("./a//b/../c/"), "a/c");
  EXPECT_EQ(engine::archive_name("/etc/passwd"), "etc/passwd");
  EXPECT_EQ(engine::archive_name("a/../../b"), std::nullopt);
  EXPECT_EQ(engine::archive_name(".."), std::nullopt);
}

class Import : public Load {};

TEST_F(Import, MakesAnImageOfATar) {
  for (const std::string& tar : {layer("f", "plain"), gzip(layer("f", "gzip")), zstd(layer("f", "zstd"))}) {
    const std::string path = write("rootfs", tar);
    const auto image = engine::import_rootfs(store(), path, "mine", {.load = {.map = single_id()}});
    ASSERT_TRUE(succeeded(image));
    EXPECT_THAT(image->names, ElementsAre("localhost/mine:latest"));
    EXPECT_THAT(file_in(*image, "/f"), testing::AnyOf("plain", "gzip", "zstd"));
    EXPECT_EQ(image->config.platform.architecture, engine::host_platform().architecture);
  }
}

TEST_F(Import, OfXzIsStoredAsPlainTar) {
  const std::string path = write("rootfs.tar", layer("f", "xz"));
  ASSERT_EQ(::system(cat("xz -f ", path).c_str()), 0);
  const auto image = engine::import_rootfs(store(), path + ".xz", "", {.load = {.map = single_id()}});
  ASSERT_TRUE(succeeded(image));
  EXPECT_EQ(image->layers[0].blob.media_type, oci::kOciLayerTar);
  EXPECT_EQ(image->layers[0].blob.digest, image->layers[0].diff_id);
  EXPECT_EQ(file_in(*image, "/f"), "xz");
}

TEST_F(Import, OfADamagedTarLeavesNothing) {
  const std::string tar = gzip(layer("f", std::string(100'000, 'x')));
  EXPECT_NE(error_of(engine::import_rootfs(store(), write("cut.gz", tar.substr(0, tar.size() / 2)), "x",
                                           {.load = {.map = single_id()}})),
            "no error");
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST(Platforms, AreReadAsUsersWriteThem) {
  EXPECT_EQ(engine::parse_platform("linux/arm64/v8").value(),
            (oci::Platform{.architecture = "arm64", .os = "linux", .variant = "v8"}));
  EXPECT_EQ(engine::parse_platform("x86_64").value(), (oci::Platform{.architecture = "amd64", .os = "linux"}));
  for (const char* wrong : {"", "/", "linux/", "a/b/c/d"}) EXPECT_FALSE(engine::parse_platform(wrong).ok()) << wrong;
}

}  // namespace

}  // namespace moss::test
