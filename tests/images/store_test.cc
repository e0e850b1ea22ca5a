// Looking up, naming, preparing and removing images.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "image_fixture.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "moss/sys/ids.hh"

namespace moss::test {

namespace {

using engine::Image;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class Store : public ImageTest {
 protected:
  /// The first name of what a word means; "none", or the error.
  std::string meaning(const std::string& word) {
    const auto image = store().find(word);
    if (!image.ok()) return image.error().to_string();
    if (!*image) return "none";
    return (*image)->names.empty() ? "unnamed" : (*image)->names[0];
  }
  void load_as(const std::string& name, const std::string& content) {
    ASSERT_TRUE(succeeded(load(simple_layout(name, content))));
  }
  Result<engine::Removed> remove(const std::string& word, bool force = false) {
    return store().remove(word, {.force = force, .map = single_id()});
  }
};

TEST_F(Store, ThatIsNotThereIsEmptyAndStaysAway) {
  EXPECT_EQ(meaning("alpine"), "none");
  EXPECT_THAT(store().list().value(), IsEmpty());
  EXPECT_EQ(error_of(remove("alpine")), "alpine: image not known; see: moss images");
  EXPECT_TRUE(succeeded(store().collect_garbage(single_id())));
  EXPECT_FALSE(sys::exists(store().path()));
}

TEST_F(Store, IsPrivate) {
  load_as("a", "1");
  struct stat status;
  ASSERT_EQ(::stat(store().path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST_F(Store, AShortNameMeansTheUsersOwnThenDockersHubThenAny) {
  load_as("quay.io/org/app:latest", "1");
  EXPECT_EQ(meaning("app"), "quay.io/org/app:latest");
  EXPECT_EQ(meaning("org/app"), "quay.io/org/app:latest");
  EXPECT_EQ(meaning("pp"), "none");
  EXPECT_EQ(meaning("app:v2"), "none");
  load_as("docker.io/library/app:latest", "2");
  EXPECT_EQ(meaning("app"), "docker.io/library/app:latest");
  load_as("localhost/app:latest", "3");
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
  EXPECT_EQ(meaning("docker.io/app"), "docker.io/library/app:latest");
  EXPECT_EQ(meaning("quay.io/app"), "none");
}

TEST_F(Store, AnImageIsFoundByItsIdAndByDigest) {
  load_as("app", "1");
  const auto image = store().find("app").value();
  ASSERT_TRUE(image);
  EXPECT_EQ(meaning(image->id), "localhost/app:latest");
  EXPECT_EQ(meaning(image->id.substr(0, 12)), "localhost/app:latest");
  EXPECT_EQ(meaning("sha256:" + image->id), "localhost/app:latest");
  EXPECT_EQ(meaning("localhost/app@" + image->manifest_digest), "localhost/app:latest");
  EXPECT_EQ(meaning("app@" + image->manifest_digest), "localhost/app:latest");
  EXPECT_EQ(meaning("localhost/other@" + image->manifest_digest), "none");
  EXPECT_EQ(meaning(std::string(64, '0')), "none");
}

TEST_F(Store, ANameThatIsNoneSaysSo) {
  EXPECT_THAT(meaning("UPPER"), HasSubstr("UPPER"));
  EXPECT_THAT(meaning("a:../b"), HasSubstr("bad image name"));
  EXPECT_THAT(meaning("../../etc"), HasSubstr("bad image name"));
}

TEST_F(Store, ANameHasOneOwner) {
  load_as("app", "1");
  const std::string first = store().find("app").value()->id;
  load_as("app", "2");
  const std::string second = store().find("app").value()->id;
  EXPECT_NE(first, second);
  EXPECT_EQ(meaning(first), "unnamed");
  EXPECT_THAT(store().list().value(), SizeIs(2));
}

TEST_F(Store, TagsAreAddedAndTaken) {
  load_as("app", "1");
  ASSERT_TRUE(succeeded(store().tag(*store().find("app").value(), "quay.io/me/app:v1")));
  ASSERT_TRUE(succeeded(store().tag(*store().find("app").value(), "other")));
  EXPECT_THAT(store().find("app").value()->names,
              testing::UnorderedElementsAre("localhost/app:latest", "quay.io/me/app:v1", "localhost/other:latest"));
  ASSERT_TRUE(succeeded(store().untag("quay.io/me/app:v1")));
  ASSERT_TRUE(succeeded(store().untag("app")));
  ASSERT_TRUE(succeeded(store().untag("other")));
  EXPECT_EQ(meaning("app"), "none");
  ASSERT_THAT(store().list().value(), SizeIs(1));
  EXPECT_THAT(store().list().value()[0].names, IsEmpty());
}

TEST_F(Store, LowerFoldersAreTopmostFirst) {
  LayoutWriter writer(base() + "/two");
  writer.add(writer.image({layer("below", "1"), layer("above", "2")}), "app");
  writer.write_index();
  ASSERT_TRUE(succeeded(load(writer.path())));
  const auto lower = store().prepare_layers(*store().find("app").value(), single_id());
  ASSERT_TRUE(succeeded(lower));
  ASSERT_THAT(*lower, SizeIs(2));
  EXPECT_EQ(sys::read_file((*lower)[0] + "/above", 10).value(), "2");
  EXPECT_EQ(sys::read_file((*lower)[1] + "/below", 10).value(), "1");
}

TEST_F(Store, ALayerThatHidesAllBelowIsTheLastLowerFolder) {
  LayoutWriter writer(base() + "/opaque");
  writer.add(
      writer.image({layer("below", "1"), TarWriter().file(".wh..wh..opq").file("f", "2").finish(), layer("top", "3")}),
      "app");
  writer.write_index();
  ASSERT_TRUE(succeeded(load(writer.path())));
  const auto lower = store().prepare_layers(*store().find("app").value(), single_id());
  ASSERT_TRUE(succeeded(lower));
  EXPECT_THAT(*lower, ElementsAre(EndsWith("/fs"), EndsWith(".opaque/fs")));
}

TEST_F(Store, ALayerIsUnpackedOnceMoreForAnotherMap) {
  const auto grants = sys::read_subordinate_ids(sys::user_name(::geteuid()), ::geteuid());
  if (!grants.ok() || grants->empty())
    GTEST_SKIP() << "no subordinate ids for this user in /etc/subuid and /etc/subgid";
  const IdMap many{sys::id_ranges(::geteuid(), grants->uids), sys::id_ranges(::getegid(), grants->gids)};
  LayoutWriter writer(base() + "/owned");
  writer.add(writer.image({TarWriter().file_as({.name = "f", .uid = 5, .gid = 6}, "x").finish()}), "app");
  writer.write_index();
  ASSERT_TRUE(succeeded(load(writer.path())));
  const Image image = *store().find("app").value();
  const auto single = store().prepare_layers(image, single_id());
  const auto mapped = store().prepare_layers(image, many);
  ASSERT_TRUE(succeeded(single));
  ASSERT_TRUE(succeeded(mapped));
  struct stat owner;
  ASSERT_EQ(::stat(((*single)[0] + "/f").c_str(), &owner), 0);
  EXPECT_EQ(owner.st_uid, ::geteuid());
  ASSERT_EQ(::stat(((*mapped)[0] + "/f").c_str(), &owner), 0);
  EXPECT_EQ(owner.st_uid, many.uids[1].outside + 4);
  EXPECT_EQ(owner.st_gid, many.gids[1].outside + 5);
  // And both are removed.
  ASSERT_TRUE(succeeded(store().remove("app", {.map = many})));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Store, ADamagedBlobIsNotUnpackedAgain) {
  load_as("app", "1");
  const Image image = *store().find("app").value();
  const std::string blob = cat(store().path(), "/blobs/sha256/", image.layers[0].blob.digest.substr(7));
  ASSERT_TRUE(succeeded(sys::replace_file(blob, layer("f", "2"))));
  const std::string unpacked = store().prepare_layers(image, single_id()).value()[0];
  ASSERT_TRUE(succeeded(sys::remove_tree(unpacked.substr(0, unpacked.rfind('/')))));
  EXPECT_THAT(error_of(store().prepare_layers(image, single_id())), HasSubstr("but the config says"));
}

TEST_F(Store, RemovingTheLastNameLeavesNothing) {
  load_as("app", "1");
  const std::string id = store().find("app").value()->id;
  const auto removed = remove("app");
  ASSERT_TRUE(succeeded(removed));
  EXPECT_THAT(removed->untagged, ElementsAre("localhost/app:latest"));
  EXPECT_THAT(removed->deleted, ElementsAre(id));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Store, RemovingOneNameOfTwoOnlyUntags) {
  load_as("app", "1");
  ASSERT_TRUE(succeeded(store().tag(*store().find("app").value(), "other")));
  const auto removed = remove("other");
  ASSERT_TRUE(succeeded(removed));
  EXPECT_THAT(removed->untagged, ElementsAre("localhost/other:latest"));
  EXPECT_THAT(removed->deleted, IsEmpty());
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
}

TEST_F(Store, RemovingByIdNeedsForceWhereThereAreSeveralNames) {
  load_as("app", "1");
  const Image image = *store().find("app").value();
  ASSERT_TRUE(succeeded(store().tag(image, "other")));
  EXPECT_THAT(error_of(remove(image.id.substr(0, 12))), HasSubstr("has several names"));
  EXPECT_THAT(remove(image.id.substr(0, 12), true).value().deleted, ElementsAre(image.id));
}

TEST_F(Store, WhatAContainerUsesStays) {
  load_as("app", "1");
  const auto refused =
      store().remove("app", {.force = true, .is_used = [](const std::string&) { return true; }, .map = single_id()});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().to_string(), HasSubstr("is in use by a container"));
  EXPECT_EQ(refused.error().exit_code(), 2);
  EXPECT_TRUE(succeeded(store().prepare_layers(*store().find("app").value(), single_id())));
}

TEST_F(Store, LayersThatOthersShareStay) {
  LayoutWriter writer(base() + "/shared");
  writer.add(writer.image({layer("base", "1"), layer("a", "2")}), "a");
  writer.add(writer.image({layer("base", "1"), layer("b", "3")}), "b");
  writer.write_index();
  ASSERT_TRUE(succeeded(load(writer.path())));
  ASSERT_TRUE(succeeded(remove("a")));
  const auto lower = store().prepare_layers(*store().find("b").value(), single_id());
  ASSERT_TRUE(succeeded(lower));
  EXPECT_EQ(sys::read_file((*lower)[1] + "/base", 10).value(), "1");
}

TEST_F(Store, NothingIsCollectedWhileItIsHeld) {
  load_as("app", "1");
  {
    // Another process, as far as flock(2) is concerned.
    const Result<Fd> adder = sys::open_at(AT_FDCWD, store().path() + "/blobs", O_RDONLY | O_DIRECTORY);
    ASSERT_EQ(::flock(adder->get(), LOCK_SH), 0);
    ASSERT_TRUE(succeeded(remove("app")));
    EXPECT_THAT(store_files(), Not(ElementsAreArray(kEmptyStore)));
  }
  ASSERT_TRUE(succeeded(store().collect_garbage(single_id())));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Store, OneDamagedImageDoesNotHideTheOthers) {
  load_as("good", "1");
  load_as("bad", "2");
  const Image bad = *store().find("bad").value();
  const std::string config = cat(store().path(), "/blobs/sha256/", bad.id);
  ASSERT_TRUE(succeeded(sys::replace_file(config, "{\"truncated\":")));
  EXPECT_EQ(meaning("good"), "localhost/good:latest");
  EXPECT_THAT(meaning("bad"), HasSubstr(config));
  std::vector<Error> damaged;
  EXPECT_THAT(store().list(&damaged).value(), SizeIs(1));
  EXPECT_THAT(damaged, SizeIs(1));
  // What is not understood is not thrown away either.
  EXPECT_THAT(error_of(store().collect_garbage(single_id())), HasSubstr("nothing was removed"));
}

// As in a store that somebody else wrote: nobody has looked at the blobs.
TEST_F(Store, LayersThatClaimTheLargestSizeDoNotAddUpToLessThanNothing) {
  LayoutWriter writer(store().path());
  const auto lie = [](LayoutWriter::Parts& parts) {
    for (oci::Descriptor& layer : parts.manifest.layers) layer.size = INT64_MAX;
  };
  writer.add(writer.image({layer("a", "1"), layer("b", "2")}, lie), "localhost/app:latest");
  writer.write_index();
  const Image image = *store().find("app").value();
  EXPECT_EQ(store().size(image), INT64_MAX);
  // What is kept beside an unpacked layer may lie as well.
  ASSERT_TRUE(succeeded(sys::make_dirs(store().path() + "/layers")));
  const std::string size_file = cat(store().path(), "/layers/", image.layers[0].diff_id.substr(7), ".size");
  ASSERT_TRUE(succeeded(sys::replace_file(size_file, "-9223372036854775808")));
  EXPECT_EQ(engine::ImageStore(store().path()).size(image), INT64_MAX);
}

TEST_F(Store, ADamagedIndexIsNamed) {
  load_as("app", "1");
  for (const char* text :
       {"", "{", "[]", "null", "{\"schemaVersion\":2,\"manifests\":[{}]}", "{\"schemaVersion\":3,\"manifests\":[]}"}) {
    ASSERT_TRUE(succeeded(sys::replace_file(store().path() + "/index.json", text)));
    EXPECT_THAT(meaning("app"), HasSubstr(store().path() + "/index.json")) << text;
  }
}

TEST_F(Store, WhatAKilledMossLeftIsReclaimed) {
  load_as("app", "1");
  const std::string left = store().path() + "/staging/123-dead";
  ASSERT_TRUE(succeeded(sys::make_dirs(left + "/layer-0/fs/deep")));
  ASSERT_TRUE(succeeded(sys::replace_file(left + "/blob-0", "half")));
  ASSERT_TRUE(succeeded(sys::replace_file(store().path() + "/index.json.0123456789ab", "{")));
  ASSERT_TRUE(succeeded(sys::replace_file(store().path() + "/locks/0123", "")));
  load_as("other", "2");
  EXPECT_FALSE(sys::exists(left));
  EXPECT_FALSE(sys::exists(store().path() + "/index.json.0123456789ab"));
  EXPECT_FALSE(sys::exists(store().path() + "/locks/0123"));
}

TEST_F(Store, WhatALivingMossStagesStays) {
  load_as("app", "1");
  const std::string alive = store().path() + "/staging/123-alive";
  ASSERT_TRUE(succeeded(sys::make_dirs(alive)));
  const Result<Fd> lock = sys::open_at(AT_FDCWD, alive, O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
  load_as("other", "2");
  EXPECT_TRUE(sys::exists(alive));
}

// A note as another moss would have left it: of an image of this store, by the boot `boot`.
void leave_note(const engine::ImageStore& store, const std::string& boot, std::string digest) {
  std::replace(digest.begin(), digest.end(), ':', '-');
  ASSERT_TRUE(succeeded(sys::make_dirs(store.path() + "/unsynced", 0700)));
  ASSERT_TRUE(succeeded(sys::create_file(cat(store.path(), "/unsynced/", boot, ".", digest, ".012345"), "")));
}

TEST_F(Store, ANewImageIsThereAtOnceAndOnTheDiskSoon) {
  load_as("app", "1");
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
  EXPECT_TRUE(is_settled());
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
}

TEST_F(Store, WhatAPowerCutMayHaveDamagedWasNeverPulled) {
  load_as("app", "1");
  const Image image = store().find("app").value().value();
  ASSERT_TRUE(is_settled());
  leave_note(store(), "11111111-2222-3333-4444-555555555555", image.manifest_digest);
  EXPECT_EQ(meaning("app"), "none");
  EXPECT_THAT(store().list().value(), IsEmpty());
  // Reading changes nothing; adding cleans up, and trusts nothing of what was there.
  EXPECT_TRUE(sys::exists(cat(store().path(), "/blobs/sha256/", image.id)));
  const std::string layer = cat(store().path(), "/blobs/sha256/", image.layers[0].blob.digest.substr(7));
  ASSERT_TRUE(sys::exists(layer));
  load_as("other", "2");
  EXPECT_FALSE(sys::exists(cat(store().path(), "/blobs/sha256/", image.id)));
  EXPECT_FALSE(sys::exists(layer));
  EXPECT_TRUE(is_settled());
  EXPECT_EQ(meaning("app"), "none");
  EXPECT_EQ(meaning("other"), "localhost/other:latest");
}

TEST_F(Store, WhatAKilledMossDidNotSyncIsSyncedByTheNext) {
  load_as("app", "1");
  const Image image = store().find("app").value().value();
  ASSERT_TRUE(is_settled());
  leave_note(store(), sys::boot_id(), image.manifest_digest);
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
  load_as("other", "2");
  EXPECT_TRUE(is_settled());
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
}

TEST_F(Store, AnImageThatIsThereAlreadyCannotBeLostAnyMore) {
  const std::string source = simple_layout("app", "1");
  ASSERT_TRUE(succeeded(load(source)));
  ASSERT_TRUE(is_settled());
  // Where no note can be written, only what needs none gets in.
  ASSERT_TRUE(succeeded(sys::create_file(store().path() + "/unsynced", "")));
  EXPECT_TRUE(succeeded(load(source)));
  EXPECT_FALSE(load(simple_layout("other", "2")).ok());
  EXPECT_EQ(meaning("app"), "localhost/app:latest");
  EXPECT_EQ(meaning("other"), "none");
  ASSERT_EQ(::unlink((store().path() + "/unsynced").c_str()), 0);
}

TEST_F(Store, AFullDiskIsToldAndLeavesNothing) {
  if (::system("unshare -rm true 2>/dev/null") != 0)
    GTEST_SKIP() << "user namespaces are closed, or unshare(1) is missing";
  LayoutWriter writer(base() + "/large");
  std::string content;
  while (content.size() < 300'000) content += sys::random_hex(128);
  writer.add(writer.image({layer("a", content), layer("b", content)}), "large");
  writer.write_index();
  const std::string disk = base() + "/disk";
  ASSERT_TRUE(succeeded(sys::make_dirs(disk)));
  int refused = 0;
  int accepted = 0;
  // From too small for a folder to large enough for all of it; and the same with files that may be made.
  std::vector<std::string> disks;
  for (int kilobytes = 8; kilobytes <= 2008; kilobytes += 200) disks.push_back(cat("size=", kilobytes, "k"));
  for (int inodes = 3; inodes <= 43; inodes += 4) disks.push_back(cat("size=8m,nr_inodes=", inodes));
  for (const std::string& size : disks) {
    const std::string out = base() + "/out";
    const std::string script =
        cat("mount -t tmpfs -o ", size, " none ", disk, " && ", MOSS_IMAGES_TOOL, " ", disk, "/s single load ",
            writer.path(), " >", out, " 2>&1 && exit 0; test -z \"$(ls ", disk, "/s/staging ", disk, "/s/layers ", disk,
            "/s/blobs/* 2>/dev/null | grep -v :)\" && exit 7; ls -R ", disk, "/s; exit 8");
    const int status = ::system(cat("unshare -rm sh -c '", script, "'").c_str());
    ASSERT_TRUE(WIFEXITED(status));
    const std::string said = sys::read_file(out, 1 << 20).value();
    if (WEXITSTATUS(status) == 0) {
      ++accepted;
    } else {
      ++refused;
      EXPECT_EQ(WEXITSTATUS(status), 7) << size << ": " << said;
      EXPECT_THAT(said, HasSubstr("No space left on device")) << size;
      EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    }
  }
  EXPECT_GT(refused, 6);
  EXPECT_GT(accepted, 1);
}

TEST_F(Store, AReadOnlyHomeIsToldInOneLine) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write anywhere";
  ASSERT_TRUE(succeeded(sys::make_dirs(base() + "/ro")));
  ASSERT_EQ(::chmod((base() + "/ro").c_str(), 0500), 0);
  engine::ImageStore closed(base() + "/ro/moss");
  EXPECT_THAT(error_of(engine::load(closed, simple_layout("app", "1"), {.map = single_id()})),
              HasSubstr("cannot be written to; name another folder in XDG_DATA_HOME"));
  EXPECT_THAT(closed.list().value(), IsEmpty());
}

TEST_F(Store, InspectSpeaksPodmansNames) {
  LayoutWriter writer(base() + "/full");
  writer.add(writer.image({layer("f", "1")},
                          [](LayoutWriter::Parts& parts) {
                            parts.config.config.env = {"PATH=/bin"};
                            parts.config.config.cmd = {"sh"};
                            parts.config.config.entrypoint = {"/init"};
                            parts.config.config.working_dir = "/w";
                            parts.config.config.user = "1:2";
                            parts.config.config.stop_signal = "SIGINT";
                            parts.config.config.labels = {{"a", "b"}};
                            parts.config.config.volumes = {"/v"};
                            parts.config.config.exposed_ports = {"80/tcp"};
                            parts.config.history = {
                                {.created = "2024-01-02T03:04:05Z", .created_by = "me", .empty_layer = true}};
                          }),
             "app");
  writer.write_index();
  const Image image = load(writer.path()).value().at(0);
  const auto json = nlohmann::json::parse(inspect_image_json(store(), image));
  EXPECT_EQ(json["Id"], image.id);
  EXPECT_EQ(json["Digest"], image.manifest_digest);
  EXPECT_EQ(json["RepoTags"], nlohmann::json::array({"localhost/app:latest"}));
  EXPECT_EQ(json["RepoDigests"], nlohmann::json::array({"localhost/app@" + image.manifest_digest}));
  EXPECT_EQ(json["Size"], layer("f", "1").size());
  EXPECT_EQ(json["Config"], nlohmann::json::parse(R"({"User":"1:2","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin"],
      "Entrypoint":["/init"],"Cmd":["sh"],"Volumes":{"/v":{}},"WorkingDir":"/w","Labels":{"a":"b"},"StopSignal":"SIGINT"})"));
  EXPECT_EQ(json["RootFS"]["Layers"], nlohmann::json::array({image.layers[0].diff_id}));
  EXPECT_EQ(json["History"][0]["created_by"], "me");
}

}  // namespace

}  // namespace moss::test
