// moss system check: what it finds in a store, and what it repairs.
#include "moss/engine/check.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_fixture.hh"
#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"

namespace moss::test {

namespace {

using engine::CheckOptions;
using engine::CheckReport;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

class Check : public ImageTest {
 protected:
  void SetUp() override {
    ImageTest::SetUp();
    LayoutWriter writer(base() + "/source");
    writer.add(writer.image({layer("below", "1"), TarWriter().folder("d/").file("d/f", "content").finish()}), "app");
    writer.add(writer.image({layer("below", "1")}), "other");
    writer.write_index();
    ASSERT_TRUE(succeeded(load(writer.path())));
    ASSERT_TRUE(is_settled());
    image_ = *store().find("app").value();
  }

  CheckReport check(CheckOptions options = {}) {
    lines_.clear();
    options.map = single_id();
    options.say = [&](const std::string& line) { lines_.push_back(line); };
    const auto report = engine::check_store(store(), options);
    EXPECT_TRUE(succeeded(report));
    return report.ok() ? *report : CheckReport{};
  }
  /// Finds exactly one thing, one whose line has `text`; repairs it; then all is well.
  void expect_repaired(const std::string& text) {
    EXPECT_EQ(check().damaged, 1u) << text;
    EXPECT_THAT(lines_, Contains(HasSubstr(text)));
    const CheckReport repaired = check({.repair = true});
    EXPECT_EQ(repaired.damaged, 1u);
    EXPECT_EQ(repaired.repaired, 1u);
    expect_clean();
  }
  void expect_clean() {
    const CheckReport report = check();
    EXPECT_EQ(report.damaged, 0u);
    EXPECT_EQ(report.left_over, 0u);
    EXPECT_THAT(lines_, IsEmpty());
  }
  bool is_there(const std::string& name) { return store().find(name).value().has_value(); }
  std::string blob_of(const std::string& digest) { return cat(store().path(), "/blobs/sha256/", digest.substr(7)); }
  std::string top_layer() { return store().prepare_layers(image_, single_id()).value()[0]; }

  Image image_;
  std::vector<std::string> lines_;
};

TEST_F(Check, AWholeStoreIsClean) {
  const CheckReport report = check();
  EXPECT_EQ(report.images, 2u);
  EXPECT_EQ(report.layers, 2u);
  expect_clean();
}

TEST_F(Check, AStoreThatIsNotThereIsCleanAndStaysAway) {
  engine::ImageStore none(base() + "/none");
  const auto report = engine::check_store(none, {.repair = true, .map = single_id()});
  ASSERT_TRUE(succeeded(report));
  EXPECT_EQ(report->damaged, 0u);
  EXPECT_FALSE(sys::exists(none.path()));
}

TEST_F(Check, ABlobOfOtherContentTakesItsImageAlongAndNoOther) {
  const std::string blob = blob_of(image_.layers[1].blob.digest);
  std::string bytes = sys::read_file(blob, 1 << 20).value();
  bytes[700] ^= 1;
  ASSERT_TRUE(succeeded(sys::replace_file(blob, bytes)));
  // Its size is right.
  EXPECT_EQ(check({.quick = true}).damaged, 0u);
  expect_repaired("holds something else");
  EXPECT_FALSE(is_there("app"));
  EXPECT_TRUE(is_there("other"));
  EXPECT_FALSE(sys::exists(blob));
  EXPECT_TRUE(sys::exists(blob_of(image_.layers[0].blob.digest)));
}

TEST_F(Check, ABlobThatIsGoneOrShortIsFoundInAHurryToo) {
  const std::string blob = blob_of(image_.layers[1].blob.digest);
  ASSERT_EQ(::truncate(blob.c_str(), 100), 0);
  EXPECT_EQ(check({.quick = true}).damaged, 1u);
  EXPECT_THAT(lines_, ElementsAre(AllOf(HasSubstr("image localhost/app:latest"), HasSubstr("has 100 bytes"))));
  ASSERT_EQ(::unlink(blob.c_str()), 0);
  EXPECT_EQ(check({.quick = true}).damaged, 1u);
  expect_repaired("is missing");
}

TEST_F(Check, ABrokenDocumentTakesItsImageAlong) {
  ASSERT_TRUE(succeeded(sys::replace_file(blob_of(image_.manifest_digest), "{\"schemaVersion\":2}")));
  expect_repaired("image localhost/app:latest");
  ASSERT_EQ(::unlink(blob_of(store().find("other").value()->manifest.config.digest).c_str()), 0);
  expect_repaired("image localhost/other:latest");
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Check, EachThingThatALayerHasOtherwiseIsNamedAndUnpackedAnew) {
  struct Change {
    const char* what;
    const char* told;
    std::function<void(const std::string& folder)> make;
  };
  const Change changes[] = {
      {"content", "/d/f holds something else",
       [](const std::string& d) {
         struct stat status;
         ASSERT_EQ(::stat((d + "/d/f").c_str(), &status), 0);
         const Result<Fd> file = sys::open_at(AT_FDCWD, d + "/d/f", O_WRONLY);
         ASSERT_EQ(::write(file->get(), "CONTENT", 7), 7);
         const timespec times[2] = {status.st_mtim, status.st_mtim};
         ASSERT_EQ(::futimens(file->get(), times), 0);
       }},
      {"size", "/d/f has 3 bytes, in the layer 7",
       [](const std::string& d) { ASSERT_EQ(::truncate((d + "/d/f").c_str(), 3), 0); }},
      {"mode", "/d/f has mode 0600, in the layer 0644",
       [](const std::string& d) { ASSERT_EQ(::chmod((d + "/d/f").c_str(), 0600), 0); }},
      {"missing", "/d/f is missing", [](const std::string& d) { ASSERT_EQ(::unlink((d + "/d/f").c_str()), 0); }},
      {"more", "/new is not in the layer",
       [](const std::string& d) { ASSERT_TRUE(succeeded(sys::create_file(d + "/new", ""))); }},
      {"type", "/d/f is a symbolic link, in the layer it is a file",
       [](const std::string& d) {
         ASSERT_EQ(::unlink((d + "/d/f").c_str()), 0);
         ASSERT_EQ(::symlink("content", (d + "/d/f").c_str()), 0);
       }},
      {"links", "/d/f has 2 names",
       [](const std::string& d) { ASSERT_EQ(::link((d + "/d/f").c_str(), (d + "/d/g").c_str()), 0); }},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(change.what);
    change.make(top_layer());
    EXPECT_EQ(check({.quick = true}).damaged, 0u);
    EXPECT_EQ(check().damaged, 1u);
    EXPECT_THAT(lines_, Contains(HasSubstr(change.told)));
    EXPECT_EQ(check({.repair = true}).repaired, 1u);
    EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("unpacked layer"), HasSubstr("anew"))));
    EXPECT_EQ(sys::read_file(top_layer() + "/d/f", 100).value(), "content");
    expect_clean();
  }
  EXPECT_TRUE(is_there("app"));
}

TEST_F(Check, ALayerWithoutItsFolderIsUnpackedAnew) {
  ASSERT_TRUE(succeeded(sys::remove_tree(top_layer())));
  EXPECT_EQ(check({.quick = true}).damaged, 1u);
  expect_repaired("layer");
  EXPECT_EQ(sys::read_file(top_layer() + "/d/f", 100).value(), "content");
}

TEST_F(Check, TheSizeOfALayerIsWrittenAnew) {
  const std::string path = cat(store().path(), "/layers/", image_.layers[1].diff_id.substr(7), ".size");
  const std::string before = sys::read_file(path, 64).value();
  for (const char* text : {"", "x", "12"}) {
    ASSERT_TRUE(succeeded(sys::replace_file(path, text)));
    expect_repaired("size");
    EXPECT_EQ(sys::read_file(path, 64).value(), before);
  }
}

TEST_F(Check, ADamagedIndexIsBuiltAnewWithoutNames) {
  for (const char* text : {"", "{", "{\"schemaVersion\":3,\"manifests\":[]}"}) {
    ASSERT_TRUE(succeeded(sys::replace_file(store().path() + "/index.json", text)));
    expect_repaired("index.json");
    EXPECT_EQ(store().list().value().size(), 2u);
    EXPECT_TRUE(is_there(image_.id));
  }
}

TEST_F(Check, TheLayoutsOwnFileIsWrittenAnew) {
  ASSERT_EQ(::unlink((store().path() + "/oci-layout").c_str()), 0);
  expect_repaired("oci-layout");
}

TEST_F(Check, WhatAContainerUsesIsKeptAndSaysWhy) {
  ASSERT_EQ(::unlink(blob_of(image_.layers[1].blob.digest).c_str()), 0);
  const CheckReport report = check(
      {.repair = true, .why_kept = [](const std::string&) -> Result<std::string> { return std::string("busy"); }});
  EXPECT_EQ(report.repaired, 0u);
  EXPECT_THAT(lines_, Contains(AllOf(HasSubstr("kept image localhost/app:latest"), HasSubstr("busy"))));
  EXPECT_TRUE(is_there("app"));
}

TEST_F(Check, WhatDeadCommandsLeftIsNotDamageAndIsTakenAway) {
  const std::string& path = store().path();
  ASSERT_TRUE(succeeded(sys::make_dirs(path + "/staging/12-dead/layer-0/fs")));
  ASSERT_TRUE(succeeded(sys::make_dirs(path + "/locks")));
  ASSERT_TRUE(succeeded(sys::replace_file(path + "/locks/0123", "")));
  ASSERT_TRUE(succeeded(sys::replace_file(path + "/index.json.0123", "{")));
  ASSERT_TRUE(succeeded(sys::replace_file(cat(path, "/blobs/sha256/", std::string(64, '0')), "unnamed")));
  const CheckReport report = check();
  EXPECT_EQ(report.damaged, 0u);
  EXPECT_EQ(report.left_over, 4u);
  // Unless it lies there for long.
  EXPECT_EQ(check({.max_age_s = 0}).damaged, 1u);
  check({.repair = true});
  expect_clean();
}

TEST_F(Check, WhatALivingCommandHoldsIsNotTold) {
  const std::string alive = store().path() + "/staging/12-alive";
  ASSERT_TRUE(succeeded(sys::make_dirs(alive)));
  const Result<Fd> lock = sys::open_at(AT_FDCWD, alive, O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(lock->get(), LOCK_EX), 0);
  EXPECT_EQ(check().left_over, 0u);
  check({.repair = true});
  EXPECT_TRUE(sys::exists(alive));
}

TEST_F(Check, EntriesOfOthersStay) {
  // A list, as another program may put it there.
  const std::string list =
      "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[]}";
  const std::string digest = engine::digest_of(list).value();
  ASSERT_TRUE(succeeded(sys::create_file(blob_of(digest), list)));
  std::string index = sys::read_file(store().path() + "/index.json", 1 << 20).value();
  index.insert(index.find("\"manifests\":[") + 13,
               cat("{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":\"", digest,
                   "\",\"size\":", list.size(), "},"));
  ASSERT_TRUE(succeeded(sys::replace_file(store().path() + "/index.json", index)));
  EXPECT_EQ(check({.repair = true}).damaged, 0u);
  EXPECT_TRUE(sys::exists(blob_of(digest)));
  EXPECT_THAT(sys::read_file(store().path() + "/index.json", 1 << 20).value(), HasSubstr(digest));
}

}  // namespace

}  // namespace moss::test
