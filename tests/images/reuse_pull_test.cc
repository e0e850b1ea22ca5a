// Pulling zstd:chunked layers that are partly here: from a registry that plays along, and from some that do not.
#include <algorithm>

#include "chunked_layer.hh"
#include "moss/engine/check.hh"
#include "moss/sys/file.hh"
#include "server_fixture.hh"

namespace moss::test {

namespace {

using engine::Image;
using engine::Progress;
using testing::Contains;
using testing::ElementsAre;
using testing::Gt;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Lt;
using testing::SizeIs;

using Files = std::vector<std::pair<std::string, std::string>>;

// 1.6 MB in 25 files; those of `changed` have other contents.
Files files(const std::vector<int>& changed = {}) {
  Files out;
  for (uint64_t i = 0; i < 25; ++i) {
    const bool other = std::find(changed.begin(), changed.end(), static_cast<int>(i)) != changed.end();
    out.emplace_back(cat("f", 10 + i), noise(i + (other ? 1000 : 0), 66'000));
  }
  return out;
}

class ReusePull : public ServerTest {
 protected:
  // Loads one layer, and serves another.
  void have(const ChunkedLayer& layer) {
    LayoutWriter layout(base() + "/old");
    old_ = add_chunked(layout, "old", {layer}).front();
    ASSERT_TRUE(succeeded(load(layout.path())));
  }
  void serve(const ChunkedLayer& layer) { serve(std::vector{layer}); }
  void serve(const std::vector<ChunkedLayer>& layers) {
    LayoutWriter layout(base() + "/new");
    new_ = add_chunked(layout, "new", layers).front();
    layer_ = layers.front();
    if (!start_mock(layout.path())) GTEST_SKIP() << "python3 is not installed";
  }

  struct Outcome {
    std::string error;
    int64_t reused = 0;
    std::vector<std::string> ranges;  ///< that were asked of the (first) layer; "-" for all of it
    int64_t asked = 0;                ///< bytes of them
    int64_t first = 0;                ///< bytes of the first one: the table
  };
  Outcome pull_by(const std::string& mode, int retries = 3) {
    Outcome outcome;
    const auto before = requests().size();
    const auto image = pull(cat(host(), "/", mode, "/app"),
                            {.retries = retries, .retry_delay_ms = 1, .progress = [&](const Progress& p) {
                               if (p.phase == Progress::Phase::done) outcome.reused = p.reused;
                             }});
    outcome.error = error_of(image);
    if (image.ok()) {
      // Whatever way it came: it is the blob, and the layer.
      EXPECT_EQ(sys::read_file(blob_file(new_), 16 << 20).value(), layer_.blob);
      const auto lower = store().prepare_layers(*image, single_id());
      EXPECT_TRUE(succeeded(lower));
    }
    EXPECT_THAT(sys::list_dir(store().path() + "/staging").value(), IsEmpty());
    const std::string path = cat("/v2/", mode, "/app/blobs/", new_.digest, " ");
    const std::vector<std::string> all = requests();
    for (size_t i = before; i < all.size(); ++i) {
      if (!all[i].starts_with(path)) continue;
      std::string range = all[i].substr(all[i].rfind(' ') + 1);
      const auto [begin, end] = cut(std::string_view(range).substr(range.find('=') + 1), '-');
      // "-" and "bytes=5-" go to the end.
      outcome.asked += parse_number<int64_t>(end.value_or("")).value_or(new_.size - 1) + 1 -
                       parse_number<int64_t>(begin).value_or(0);
      if (outcome.first == 0) outcome.first = outcome.asked;
      outcome.ranges.push_back(std::move(range));
    }
    return outcome;
  }

  std::string blob_file(const oci::Descriptor& blob) {
    return cat(store().path(), "/blobs/sha256/", blob.digest.substr(7));
  }

  // Every blob is hashed and every layer unpacked once more.
  void expect_clean() {
    std::vector<std::string> lines;
    ASSERT_TRUE(is_settled());
    const auto report = engine::check_store(
        store(), {.map = single_id(), .say = [&](const std::string& line) { lines.push_back(line); }});
    ASSERT_TRUE(succeeded(report));
    EXPECT_EQ(report->damaged + report->left_over, 0u);
    EXPECT_THAT(lines, IsEmpty());
  }

  oci::Descriptor old_;
  oci::Descriptor new_;
  ChunkedLayer layer_;
};

TEST_F(ReusePull, OnlyWhatIsNewIsFetched) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3, 4, 20})));
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  // The table, two runs of changed files, and what follows the last content.
  EXPECT_THAT(outcome.ranges, SizeIs(4));
  EXPECT_THAT(outcome.asked, Lt(new_.size / 7));
  // The table is small, and lies between others that are asked for.
  EXPECT_EQ(outcome.reused + outcome.asked - outcome.first, new_.size);
  expect_clean();
}

TEST_F(ReusePull, ALayerWithoutATableIsOneRequest) {
  have(chunked_layer(files()));
  ChunkedLayer plain = chunked_layer(files({3}));
  plain.annotations.clear();
  serve(plain);
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.ranges, ElementsAre("-"));
  EXPECT_EQ(outcome.reused, 0);
}

TEST_F(ReusePull, WhereNothingIsHereNothingIsAskedForFirst) {
  serve(chunked_layer(files()));
  EXPECT_THAT(pull_by("ranges").ranges, ElementsAre("-"));
}

TEST_F(ReusePull, TooLittleIsNotWorthIt) {
  have(chunked_layer(files()));
  std::vector<int> most;
  for (int i = 2; i < 25; ++i) most.push_back(i);
  serve(chunked_layer(files(most)));
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.ranges, SizeIs(2)) << "the table, and all of it";
  EXPECT_EQ(outcome.reused, 0);
}

TEST_F(ReusePull, ASmallLayerIsFetched) {
  Files few = files();
  few.resize(5);
  have(chunked_layer(few));
  few[0].second = "new";
  serve(chunked_layer(few));
  EXPECT_THAT(pull_by("ranges").ranges, ElementsAre("-"));
}

TEST_F(ReusePull, WhatAnotherToolCompressedIsNotTaken) {
  // Text, so that levels differ.
  Files text;
  for (uint64_t i = 0; i < 40; ++i) {
    std::string content;
    for (uint64_t j = 0; content.size() < 100'000; ++j) content += cat(noise(i * 1000 + j % 50, 20), j * j);
    text.emplace_back(cat("f", 10 + i), content);
  }
  have(chunked_layer(text, {}, 1));
  serve(chunked_layer(text, {}, 9));
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.ranges, Contains("-"));
  EXPECT_EQ(outcome.reused, 0);
}

// --- registries that do not play along ---

TEST_F(ReusePull, ARegistryThatIgnoresRangesSendsItWhole) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3})));
  const Outcome outcome = pull_by("plain");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.ranges, SizeIs(2));
  EXPECT_EQ(outcome.reused, 0);
}

// It gives the table, and then something else than what it was asked for: at most one whole download more.
TEST_F(ReusePull, ABadRegistryIsAskedForTheWhole) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3, 4, 20})));
  for (const char* mode : {"toc-only", "toc-416", "toc-403", "toc-shifted", "toc-unsaid", "toc-spoiled", "toc-long",
                           "toc-short", "spoiled-toc"}) {
    SCOPED_TRACE(mode);
    const Outcome outcome = pull_by(mode);
    EXPECT_EQ(outcome.error, "no error");
    EXPECT_THAT(outcome.asked, Lt(new_.size * 3 / 2));
    ASSERT_TRUE(succeeded(store().remove(cat(host(), "/", mode, "/app"), {.map = single_id()})));
  }
}

TEST_F(ReusePull, AConnectionThatBreaksIsTriedAgainWhereItBroke) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3, 4, 20})));
  const Outcome outcome = pull_by("hangup");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.reused, Gt(new_.size * 3 / 4));
  EXPECT_THAT(outcome.asked, Lt(new_.size / 4));
}

TEST_F(ReusePull, AFailureOfTheNetworkIsToldAsAlways) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3, 4, 20})));
  EXPECT_THAT(pull_by("toc-503", 0).error, HasSubstr("the registry is in trouble (503)"));
}

TEST_F(ReusePull, ATokenIsFetchedForTheParts) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3})));
  const Outcome outcome = pull_by("token-ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.reused, Gt(new_.size * 3 / 4));
}

// --- tables that lie ---

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// The digests of two files' contents change places: the right lengths, the wrong bytes.
std::string swapped(std::string toc) {
  const size_t a = toc.find("chunkDigest\":\"sha256:");
  const size_t b = toc.find("chunkDigest\":\"sha256:", toc.find("\"f20\""));
  std::swap_ranges(toc.begin() + static_cast<ptrdiff_t>(a) + 21, toc.begin() + static_cast<ptrdiff_t>(a) + 85,
                   toc.begin() + static_cast<ptrdiff_t>(b) + 21);
  return toc;
}

TEST_F(ReusePull, WrongBytesAreFetchedOnceMore) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3, 4}), swapped));
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_EQ(outcome.reused, 0) << "what is told in the end is how it came in the end";
  EXPECT_THAT(outcome.ranges, Contains("-"));
  EXPECT_THAT(outcome.asked, Lt(new_.size * 3 / 2));
  expect_clean();
}

TEST_F(ReusePull, TheOldTableMayLieAsWell) {
  have(chunked_layer(files(), swapped));
  serve(chunked_layer(files({3, 4})));
  EXPECT_EQ(pull_by("ranges").error, "no error");
}

TEST_F(ReusePull, ABlobThatIsDamagedHereIsFetchedAnew) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3})));
  std::string blob = sys::read_file(blob_file(old_), 16 << 20).value();
  blob[1'000'000] ^= 1;
  ASSERT_TRUE(succeeded(sys::replace_file(blob_file(old_), blob)));
  const Outcome outcome = pull_by("ranges");
  EXPECT_EQ(outcome.error, "no error");
  EXPECT_THAT(outcome.ranges, Contains("-"));
}

TEST_F(ReusePull, ABlobThatIsCutOffOrGoneIsNoSource) {
  have(chunked_layer(files()));
  serve(chunked_layer(files({3})));
  ASSERT_TRUE(succeeded(sys::replace_file(blob_file(old_), "short")));
  EXPECT_EQ(pull_by("ranges").error, "no error");
}

TEST_F(ReusePull, WhateverATableSaysTheLayerIsWhatItIs) {
  std::vector<ChunkedLayer> lies;
  const auto lie = [&](const EditToc& edit) {
    // Other layers, as equal ones are fetched once.
    const int number = static_cast<int>(lies.size());
    lies.push_back(chunked_layer(files({number, number + 1}), edit));
  };
  lie([](const std::string&) { return std::string("\x7f garbage"); });
  lie([](const std::string& toc) { return toc.substr(0, toc.size() / 2); });
  lie([](const std::string& toc) { return replaced(toc, "]}", R"(],"entries":[]})"); });
  lie([](const std::string& toc) { return replaced(toc, "Offset\":", "Offset\":-"); });
  lie([](const std::string& toc) { return replaced(toc, "Offset\":", "Offset\":99999999"); });
  lie([](const std::string& toc) { return replaced(toc, "\"offset\":1", "\"offset\":2"); });
  lie([](const std::string& toc) { return replaced(toc, "\"offset\":", "\"offset\":1,\"was\":"); });
  lie([](std::string toc) {
    const std::string one = toc.substr(toc.find("chunkDigest"), 85);
    for (size_t at = 0; (at = toc.find("chunkDigest", at)) != std::string::npos; ++at) toc.replace(at, 85, one);
    return toc;
  });
  lie([](const std::string&) { return std::string(50'000, '['); });
  lie([](const std::string& toc) { return toc + std::string(40 << 20, ' '); });
  have(chunked_layer(files()));
  serve(lies);
  EXPECT_EQ(pull_by("ranges").error, "no error");
  expect_clean();
}

}  // namespace

}  // namespace moss::test
