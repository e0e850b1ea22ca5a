// The file that lists of images are shown from: it is there or not, whole or not, ours or somebody's, and what is shown
// is the same.
#include "src/engine/images/summaries.hh"

#include <sys/stat.h>
#include <unistd.h>

#include "image_fixture.hh"
#include "moss/engine/check.hh"
#include "moss/sys/file.hh"
#include "src/engine/images/layout.hh"

namespace moss::test {

namespace {

using engine::ImageSummary;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// All that a list may show of an image.
std::string line_of(const ImageSummary& image) {
  std::string labels;
  for (const auto& [key, value] : image.labels) labels += cat(" ", key, "=", value);
  return cat(join(image.names, ","), " ", image.id.substr(0, 6), " ", image.manifest_digest.substr(0, 13), " ",
             image.created, " ", image.os, "/", image.architecture, " ", image.size, labels);
}

class Summaries : public ImageTest {
 protected:
  void SetUp() override {
    ImageTest::SetUp();
    LayoutWriter writer(base() + "/source");
    for (const char* name : {"one", "two"}) {
      const auto edit = [&](LayoutWriter::Parts& parts) {
        parts.config.created = cat("2026-01-02T03:04:05Z");
        parts.config.config.labels = {{"name", name}, {"odd", std::string("line\nand \x01", 10)}};
      };
      writer.add(writer.image({layer("below", "1"), layer(name, name)}, edit), name);
    }
    writer.write_index();
    ASSERT_TRUE(succeeded(load(writer.path())));
    ASSERT_TRUE(is_settled());
    // As the images' own documents have it.
    ASSERT_FALSE(sys::exists(file()));
    expected_ = listed();
    ASSERT_THAT(expected_, SizeIs(2));
    ASSERT_TRUE(sys::exists(file()));
  }

  std::string file() const { return path_of("summaries"); }
  std::string path_of(const std::string& name) const { return cat(base(), "/store/", name); }

  std::vector<std::string> listed() { return listed_of(store()); }
  static std::vector<std::string> listed_of(const engine::ImageStore& store) {
    const Result<std::vector<ImageSummary>> images = store.summaries();
    EXPECT_TRUE(succeeded(images));
    std::vector<std::string> lines;
    for (const ImageSummary& image : images.ok() ? *images : std::vector<ImageSummary>())
      lines.push_back(line_of(image));
    return lines;
  }
  std::string text() { return sys::read_file(file(), 1 << 20).value(); }
  Image image(const std::string& name) { return *store().find(name).value(); }
  std::string document(const std::string& digest) {
    return path_of("blobs/sha256/" + std::string(engine::hex_of(digest)));
  }

  engine::CheckReport check(bool repair = false) {
    const auto report = engine::check_store(
        store(), {.repair = repair, .map = single_id(), .say = [&](const auto& line) { lines_.push_back(line); }});
    EXPECT_TRUE(succeeded(report));
    return report.ok() ? *report : engine::CheckReport{};
  }

  std::vector<std::string> expected_;
  std::vector<std::string> lines_;
};

TEST_F(Summaries, ShowWhatTheDocumentsSayWithoutReadingThem) {
  // Where no document is left, only the file can have said it.
  for (const char* name : {"one", "two"}) {
    const Image gone = image(name);
    ASSERT_EQ(::unlink(document(gone.manifest_digest).c_str()), 0);
    ASSERT_EQ(::unlink(document("sha256:" + gone.id).c_str()), 0);
  }
  EXPECT_THAT(listed(), ElementsAreArray(expected_));
}

TEST_F(Summaries, AreMadeAnewWhereTheyAreMissingOrTorn) {
  const std::string whole = text();
  std::string flipped = whole;
  flipped[whole.size() / 2] ^= 1;
  for (const std::string& torn :
       {std::string(), whole.substr(0, 3), whole.substr(0, 40), whole.substr(0, whole.size() - 1), whole + "x", flipped,
        std::string(whole.size(), '\0'), std::string("moss summaries 2 ") + whole.substr(17)}) {
    ASSERT_TRUE(succeeded(sys::replace_file(file(), torn)));
    EXPECT_EQ(check().damaged, 0u);
    EXPECT_THAT(lines_, Contains(HasSubstr("summaries is not whole")));
    EXPECT_THAT(listed(), ElementsAreArray(expected_));
    EXPECT_EQ(text(), whole);
  }
  ASSERT_EQ(::unlink(file().c_str()), 0);
  EXPECT_THAT(listed(), ElementsAreArray(expected_));
  EXPECT_EQ(text(), whole);
}

TEST_F(Summaries, AFifoOrAFolderInTheirPlaceIsNoFile) {
  ASSERT_EQ(::unlink(file().c_str()), 0);
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_THAT(listed(), ElementsAreArray(expected_));
  ASSERT_EQ(::unlink(file().c_str()), 0);
  ASSERT_EQ(::mkdir(file().c_str(), 0700), 0);
  EXPECT_THAT(listed(), ElementsAreArray(expected_));
  EXPECT_THAT(*sys::list_dir(path_of(".")), testing::Not(Contains(testing::StartsWith("summaries."))));
}

TEST_F(Summaries, FollowTheIndex) {
  // Another program takes an image out and puts one in.
  load(simple_layout("three", "3")).value();
  EXPECT_THAT(listed(), SizeIs(3));
  EXPECT_THAT(listed(), Contains(HasSubstr("localhost/three:latest")));
  ASSERT_TRUE(succeeded(store().tag(image("one"), "again")));
  EXPECT_THAT(listed(), Contains(HasSubstr("localhost/one:latest")));
  EXPECT_THAT(listed(), Contains(HasSubstr("localhost/again:latest")));
  ASSERT_TRUE(succeeded(store().remove("three", {.map = single_id()})));
  EXPECT_THAT(listed(), SizeIs(2));
  // What is no longer there is forgotten.
  EXPECT_THAT(engine::read_summaries(store().path()), SizeIs(2));
}

TEST_F(Summaries, GoWithTheLastImage) {
  for (const char* name : {"one", "two"}) ASSERT_TRUE(succeeded(store().remove(name, {.map = single_id()})));
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
  EXPECT_THAT(listed(), IsEmpty());
  EXPECT_THAT(store_files(), ElementsAreArray(kEmptyStore));
}

TEST_F(Summaries, TheSizeOfALayerThatIsNotUnpackedIsItsBlobsUntilItIs) {
  const auto sizes = [&] {
    const std::vector<ImageSummary> images = store().summaries().value();
    return std::vector<int64_t>{images.at(0).size, images.at(1).size};
  };
  const std::vector<int64_t> before = sizes();
  ASSERT_EQ(::unlink(file().c_str()), 0);
  const oci::Descriptor blob = image("one").layers[0].blob;
  const std::string size = engine::layer_size_path(store().path(), image("one").layers[0].diff_id);
  ASSERT_EQ(::unlink(size.c_str()), 0);
  // The blob is a tar as it is.
  EXPECT_EQ(sizes(), before);
  EXPECT_FALSE(engine::read_summaries(store().path()).begin()->second.bytes.has_value());
  ASSERT_TRUE(succeeded(sys::replace_file(size, std::to_string(blob.size + 7))));
  EXPECT_THAT(sizes(), ElementsAre(before[0] + 7, before[1] + 7));
  EXPECT_TRUE(engine::read_summaries(store().path()).begin()->second.bytes.has_value());
  EXPECT_EQ(sizes()[0], store().size(image("two")));
}

TEST_F(Summaries, WhatTheyLieIsFoundAndNotBelieved) {
  engine::Summaries lies = engine::read_summaries(store().path());
  const std::string other = image("two").id;
  lies.at(image("one").manifest_digest).id = other;
  engine::write_summaries(store().path(), lies);
  // By its id an image is what its own documents say.
  EXPECT_EQ(store().find(other).value()->id, other);
  EXPECT_EQ(check().damaged, 1u);
  EXPECT_THAT(lines_, Contains(HasSubstr("summaries: says of image localhost/one:latest")));
  EXPECT_EQ(check(true).repaired, 1u);
  EXPECT_FALSE(sys::exists(file()));
  EXPECT_EQ(check().damaged, 0u);
  EXPECT_THAT(listed(), ElementsAreArray(expected_));
  EXPECT_EQ(check().damaged, 0u);
}

TEST_F(Summaries, AnotherUsersFileCannotNamePaths) {
  for (const auto& spoil : {+[](engine::Summary& summary) { summary.id = "../../etc/passwd"; },
                            +[](engine::Summary& summary) {
                              summary.bytes.reset();
                              summary.layers = {{"sha256:../../x", 1}};
                            }}) {
    engine::Summaries hostile = engine::read_summaries(store().path());
    ASSERT_THAT(hostile, SizeIs(2));
    spoil(hostile.begin()->second);
    engine::write_summaries(store().path(), hostile);
    EXPECT_TRUE(engine::summaries_are_torn(store().path()));
    EXPECT_THAT(listed(), ElementsAreArray(expected_));
  }
}

TEST_F(Summaries, AnAdditionalStoresAreReadAndNeverWritten) {
  ASSERT_EQ(::unlink(file().c_str()), 0);
  ASSERT_EQ(::setenv("MOSS_ADDITIONAL_STORES", store().path().c_str(), 1), 0);
  engine::ImageStore own(base() + "/own");
  EXPECT_THAT(listed_of(own), ElementsAreArray(expected_));
  EXPECT_TRUE(own.summaries()->at(0).read_only);
  EXPECT_FALSE(sys::exists(file()));
  EXPECT_FALSE(sys::exists(base() + "/own"));
  ::unsetenv("MOSS_ADDITIONAL_STORES");
}

TEST_F(Summaries, WhatAKilledOneLeftIsReclaimed) {
  ASSERT_TRUE(succeeded(sys::replace_file(file() + ".0123456789ab", "half")));
  EXPECT_EQ(check().left_over, 1u);
  ASSERT_TRUE(succeeded(store().collect_garbage(single_id())));
  EXPECT_FALSE(sys::exists(file() + ".0123456789ab"));
  EXPECT_TRUE(sys::exists(file()));
}

}  // namespace

}  // namespace moss::test
