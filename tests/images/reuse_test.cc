// What a zstd:chunked layer has in common with another: its table of contents, and the plan that comes of two.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "chunked_layer.hh"
#include "moss/base/fd.hh"
#include "moss/sys/file.hh"
#include "src/engine/images/reuse_plan.hh"
#include "src/engine/images/toc_bytes.hh"

namespace moss::test {

namespace {

using engine::kFromRegistry;
using engine::Piece;
using engine::ReuseLimits;
using engine::ReusePlan;
using engine::ReusePlanner;
using engine::Stretch;
using engine::TocPlace;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

oci::Descriptor descriptor(const ChunkedLayer& layer) {
  oci::Descriptor out;
  out.size = static_cast<int64_t>(layer.blob.size());
  out.annotations.insert(layer.annotations.begin(), layer.annotations.end());
  return out;
}

Fd file_of(std::string_view text) {
  Fd file(::memfd_create("blob", MFD_CLOEXEC));
  EXPECT_TRUE(succeeded(sys::write_all(file.get(), text, "a blob")));
  return file;
}

// The layer's table, read where it is.
struct Toc {
  std::vector<Stretch> stretches;
  std::string error;
};
Toc toc_of(const ChunkedLayer& layer, size_t most = 1'000'000) {
  Toc toc;
  const std::optional<TocPlace> place = engine::toc_place(descriptor(layer));
  EXPECT_TRUE(place.has_value());
  if (!place) return toc;
  const Fd file = file_of(layer.blob);
  toc.error = error_of(engine::read_toc(file.get(), place->offset, *place, [&](const Stretch& stretch) {
    toc.stretches.push_back(stretch);
    return toc.stretches.size() < most;
  }));
  return toc;
}

// The stretches alone of a table with these entries in a blob of 1000 bytes.
std::vector<Stretch> stretches_of(const std::string& entries) {
  const std::string text = cat(R"({"version":1,"entries":[)", entries, "]}");
  const ChunkedLayer layer = around_toc(text);
  TocPlace place = engine::toc_place(descriptor(layer)).value();
  const int64_t offset = std::exchange(place.offset, 1008);
  const Fd file = file_of(layer.blob);
  std::vector<Stretch> out;
  EXPECT_TRUE(succeeded(engine::read_toc(file.get(), offset, place, [&](const Stretch& stretch) {
    out.push_back(stretch);
    return true;
  }))) << entries;
  return out;
}

std::string place_text(std::string_view position, std::string_view digest = "", int64_t size = 10'000'000) {
  oci::Descriptor layer;
  layer.size = size;
  const std::string good = cat("sha256:", std::string(64, 'a'));
  layer.annotations["io.github.containers.zstd-chunked.manifest-position"] = position;
  layer.annotations["io.github.containers.zstd-chunked.manifest-checksum"] = digest.empty() ? good : digest;
  const auto place = engine::toc_place(layer);
  return place ? cat(place->bytes, " at ", place->offset) : "none";
}

const std::string kDigestA = cat("sha256:", std::string(64, 'a'));
const std::string kDigestB = cat("sha256:", std::string(64, 'b'));
std::string entry(std::string_view name, std::string_view rest) {
  return cat(R"({"type":"reg","name":")", name, R"(","size":700,"digest":")", kDigestA, "\"", rest, "}");
}

TEST(ChunkedToc, ItsPlaceIsInTheAnnotations) {
  EXPECT_EQ(place_text("1000:200:5000:1"), "200 at 1000");
  EXPECT_FALSE(engine::toc_place({}).has_value());
  // Other tables, places outside the blob, and what is no number of bytes.
  for (const char* bad : {"", "1000:200:5000", "1000:200:5000:2", "1000:200:5000:1:1", "-1:200:5000:1", "1000:-200:5:1",
                          "1000:0:0:1", "0:200:5000:1", "9999999:2:5:1", "9223372036854775807:9223372036854775807:1:1",
                          "99999999999999999999:1:1:1", "0x10:1:1:1", " 1000:200:5000:1"}) {
    EXPECT_EQ(place_text(bad), "none") << bad;
  }
  EXPECT_EQ(place_text("1000:200:5000:1", "md5:aaaa"), "none");
  EXPECT_EQ(place_text("1000:200:5000:1", cat("sha512:", std::string(128, 'a'))), "none");
  EXPECT_EQ(place_text("1000:99000000:5000:1", "", 1'000'000'000), "none") << "more than is kept in memory";
}

TEST(ChunkedToc, EveryFrameIsKnownByWhatItUnpacksTo) {
  const std::string large = noise(1, 150'000);
  const ChunkedLayer one = chunked_layer({{"a", "x"}, {"b", large}, {"empty", ""}, {"c", "x"}});
  const Toc toc = toc_of(one);
  EXPECT_EQ(toc.error, "no error");
  // a's header, a, b's header, three chunks of b, the headers of empty and c, c.
  ASSERT_THAT(toc.stretches, SizeIs(8));
  int64_t at = 0;
  for (const Stretch& stretch : toc.stretches) {
    EXPECT_EQ(stretch.offset, at);
    at += stretch.bytes;
  }
  EXPECT_EQ(toc.stretches[1].key, toc.stretches[7].key) << "equal contents";
  // Another layer has them elsewhere; the bytes are the same.
  const ChunkedLayer other = chunked_layer({{"0", "zzz"}, {"b", large}, {"empty", ""}, {"c", "x"}});
  const Toc again = toc_of(other);
  ASSERT_THAT(again.stretches, SizeIs(8));
  for (size_t i = 3; i < 8; ++i) {
    EXPECT_EQ(again.stretches[i].key, toc.stretches[i].key) << i;
    EXPECT_EQ(other.blob.substr(again.stretches[i].offset, again.stretches[i].bytes),
              one.blob.substr(toc.stretches[i].offset, toc.stretches[i].bytes));
  }
  EXPECT_NE(again.stretches[2].key, toc.stretches[2].key) << "what fills up the block before the header of b differs";
}

TEST(ChunkedToc, AHeaderIsAnotherWhereAnythingInItIs) {
  const std::string end = R"(,"offset":100,"endOffset":200)";
  const uint64_t key = stretches_of(entry("f", end)).at(0).key;
  EXPECT_EQ(stretches_of(entry("f", R"(,"offset":100,"endOffset":300)")).at(0).key, key);
  for (const std::string& other :
       {entry("g", end), entry("f", cat(R"(,"mode":511)", end)), entry("f", cat(R"(,"uid":7)", end)),
        entry("f", cat(R"(,"xattrs":{"a":"b"})", end)), entry("f", cat(R"(,"modtime":"2020-09-13T12:26:40Z")", end)),
        cat(R"({"type":"dir","name":"d"},)", entry("f", end))}) {
    EXPECT_NE(stretches_of(other).at(0).key, key) << other;
  }
  EXPECT_NE(stretches_of(entry("f", cat(R"(,"xattrs":{"a":"b"})", end))).at(0).key,
            stretches_of(entry("f", cat(R"(,"xattrs":{"ab":""})", end))).at(0).key);
}

TEST(ChunkedToc, OffsetsThatCannotBeRightAreNoStretches) {
  for (const char* rest :
       {R"(,"offset":-5,"endOffset":200)", R"(,"offset":100,"endOffset":-1)", R"(,"offset":200,"endOffset":100)",
        R"(,"offset":100,"endOffset":100)", R"(,"offset":100,"endOffset":1001)",
        R"(,"offset":18446744073709551615,"endOffset":200)", R"(,"offset":100,"endOffset":9223372036854775807)",
        R"(,"offset":"100","endOffset":200)", R"(,"offset":1e2,"endOffset":200)", R"(,"offset":null,"endOffset":[1,2])",
        R"(,"endOffset":200)", R"(,"offset":{"offset":100},"endOffset":200)"}) {
    EXPECT_THAT(stretches_of(entry("f", rest)), IsEmpty()) << rest;
  }
  const auto chunk = [](std::string_view offset) {
    return cat(R"(,{"type":"chunk","name":"f","offset":)", offset, R"(,"chunkDigest":")", kDigestB, "\"}");
  };
  const std::string file = entry("f", cat(R"(,"offset":100,"endOffset":200,"chunkDigest":")", kDigestB, "\""));
  EXPECT_THAT(stretches_of(file + chunk("150")), SizeIs(3));
  // The first one ends where the second begins, and that is before it, or behind the end of both.
  EXPECT_THAT(stretches_of(file + chunk("50")), SizeIs(2));
  EXPECT_THAT(stretches_of(file + chunk("-50")), SizeIs(1));
  EXPECT_THAT(stretches_of(file + chunk("1001")), SizeIs(1));
  EXPECT_THAT(stretches_of(chunk("100").substr(1)), IsEmpty()) << "of no file";
  // Digests that are none say nothing of a content; its header is there.
  EXPECT_THAT(stretches_of(R"({"type":"reg","name":"f","digest":"sha256:xyz","offset":100,"endOffset":200})"),
              SizeIs(1));
  EXPECT_THAT(stretches_of(R"({"type":"reg","name":"f","digest":7,"offset":100,"endOffset":200})"), SizeIs(1));
}

TEST(ChunkedToc, WhatIsNoTableIsAnError) {
  const auto error = [](const std::string& toc) { return toc_of(around_toc(toc)).error; };
  EXPECT_THAT(error("[1,2"), HasSubstr("table of contents: it is not JSON"));
  EXPECT_THAT(error(""), HasSubstr("table of contents"));
  EXPECT_THAT(error("{\"entries\":[{\"name\":\"\xff\"}]}"), HasSubstr("not JSON"));
  EXPECT_THAT(error(cat(R"({"entries":[{"name":")", std::string(1 << 20, 'n'), "\"}]}")), HasSubstr("too long"));
  std::string escaped;
  for (int i = 0; i < 200'000; ++i) escaped += "\\\"";
  EXPECT_THAT(error(cat(R"({"entries":[{"name":")", escaped, "\"}]}")), HasSubstr("too long"));
  EXPECT_THAT(error(cat("[", std::string(1 << 20, '1'), "]")), HasSubstr("too long"));
  EXPECT_THAT(error(std::string(100'000, '[')), HasSubstr("nested too deep"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += R"({"entries":)";
  EXPECT_THAT(error(deep), HasSubstr("nested too deep"));
  // Tables of other kinds say nothing, and are no error.
  for (const char* other :
       {"{}", "[]", "7", R"({"entries":{}})", R"({"entries":[[],7,{}]})", R"({"Entries":[{"offset":1}]})"}) {
    EXPECT_EQ(error(other), "no error") << other;
  }
}

TEST(ChunkedToc, WhatIsNotZstdIsAnError) {
  ChunkedLayer layer = chunked_layer({{"f", "x"}});
  const TocPlace place = engine::toc_place(descriptor(layer)).value();
  const auto error = [&](const std::string& blob) {
    const Fd file = file_of(blob);
    return error_of(engine::read_toc(file.get(), place.offset, place, [](const Stretch&) { return true; }));
  };
  std::string spoiled = layer.blob;
  spoiled[static_cast<size_t>(place.offset)] ^= 1;
  EXPECT_THAT(error(spoiled), HasSubstr("table of contents"));
  EXPECT_THAT(error(layer.blob.substr(0, static_cast<size_t>(place.offset + 5))), HasSubstr("the file ends before it"));
  TocPlace cut = place;
  cut.bytes -= 3;
  const Fd file = file_of(layer.blob);
  EXPECT_THAT(error_of(engine::read_toc(file.get(), cut.offset, cut, [](const Stretch&) { return true; })),
              HasSubstr("cut off"));
}

TEST(ChunkedToc, OnlyTheBeginningOfAHugeOneIsRead) {
  std::string toc = R"({"entries":[)";
  const std::string one = entry("f", R"(,"offset":5,"endOffset":9)");
  toc += one;
  while (toc.size() < static_cast<size_t>(engine::kMaxTocText) + (8 << 20)) toc += "," + one;
  const ChunkedLayer layer = around_toc(toc + "]}");
  const Toc read = toc_of(layer);
  EXPECT_EQ(read.error, "no error");
  // A content each; the headers between them end before they begin.
  EXPECT_NEAR(static_cast<double>(read.stretches.size()), engine::kMaxTocText / (one.size() + 1.0), 2000);
  EXPECT_THAT(toc_of(layer, 5).stretches, SizeIs(5)) << "and no more than is wanted";
}

// --- the plan ---

constexpr uint64_t kContent = 0x101;  // odd: a content
constexpr uint64_t kHeader = 0x200;

std::string text_of(const ReusePlan& plan) {
  std::string out;
  for (const Piece& piece : plan.pieces) {
    out += cat(piece.offset, "+", piece.bytes);
    out += piece.source == kFromRegistry ? " registry\n" : cat(" source ", piece.source, " at ", piece.from, "\n");
  }
  return cat(out, "reused ", plan.reused, ", requests ", plan.requests, "\n");
}

ReusePlan plan_of(int64_t bytes, const std::vector<Stretch>& wanted, const std::vector<std::vector<Stretch>>& sources,
                  ReuseLimits limits = {.request_bytes = 10}) {
  ReusePlanner planner(bytes, limits);
  for (const Stretch& stretch : wanted) {
    if (!planner.want(stretch)) break;
  }
  uint16_t number = 0;
  for (const std::vector<Stretch>& source : sources) {
    planner.begin_source(number++);
    for (const Stretch& stretch : source) planner.offer(stretch);
    (void)planner.end_source();
  }
  return planner.finish();
}

TEST(ReusePlan, TakesWhatIsThereAndAsksForTheRest) {
  const ReusePlan plan = plan_of(1000, {{kContent, 100, 200}, {kContent + 2, 400, 300}}, {{{kContent, 5000, 200}}});
  EXPECT_EQ(text_of(plan),
            "0+100 registry\n"
            "100+200 source 0 at 5000\n"
            "300+700 registry\n"
            "reused 200, requests 2\n");
}

TEST(ReusePlan, NeighboursAreOnePiece) {
  const ReusePlan plan = plan_of(1000, {{kHeader, 0, 100}, {kContent, 100, 200}, {kContent + 2, 300, 50}},
                                 {{{kHeader, 700, 100}, {kContent, 800, 200}}, {{kContent + 2, 10, 50}}});
  EXPECT_EQ(text_of(plan),
            "0+300 source 0 at 700\n"
            "300+50 source 1 at 10\n"
            "350+650 registry\n"
            "reused 350, requests 1\n");
}

TEST(ReusePlan, AContentThatIsThereTwiceIsTakenTwice) {
  const ReusePlan plan = plan_of(400, {{kContent, 0, 100}, {kContent, 300, 100}}, {{{kContent, 7, 100}}});
  EXPECT_EQ(text_of(plan),
            "0+100 source 0 at 7\n"
            "100+200 registry\n"
            "300+100 source 0 at 7\n"
            "reused 200, requests 1\n");
}

TEST(ReusePlan, TooLittleBetweenTwoRequestsIsAskedForAsWell) {
  const std::vector<Stretch> wanted{
      {kContent, 0, 5}, {kContent + 2, 100, 9}, {kContent + 4, 200, 10}, {kContent + 6, 995, 5}};
  EXPECT_EQ(text_of(plan_of(1000, wanted, {wanted})),
            "0+5 source 0 at 0\n"
            "5+195 registry\n"
            "200+10 source 0 at 200\n"
            "210+785 registry\n"
            "995+5 source 0 at 995\n"
            "reused 20, requests 2\n");
}

TEST(ReusePlan, TheLargestAreKeptWhereThereAreTooManyRequests) {
  std::vector<Stretch> wanted;
  for (int64_t i = 0; i < 9; ++i) wanted.push_back({kContent + 2 * static_cast<uint64_t>(i), 100 + i * 100, 20 + i});
  EXPECT_EQ(text_of(plan_of(2000, wanted, {wanted}, {.request_bytes = 10, .max_requests = 3})),
            "0+800 registry\n"
            "800+27 source 0 at 800\n"
            "827+73 registry\n"
            "900+28 source 0 at 900\n"
            "928+1072 registry\n"
            "reused 55, requests 3\n");
  // Equal ones go together.
  for (Stretch& stretch : wanted) stretch.bytes = 20;
  EXPECT_EQ(text_of(plan_of(2000, wanted, {wanted}, {.request_bytes = 10, .max_requests = 3})),
            "0+2000 registry\nreused 0, requests 1\n");
  EXPECT_EQ(plan_of(2000, wanted, {wanted}, {.request_bytes = 10, .max_requests = 10}).requests, 10u);
}

TEST(ReusePlan, LiesAreLeftOut) {
  // Over one another, outside, and at the end of what a number can say.
  const int64_t huge = std::numeric_limits<int64_t>::max() - 10;
  const std::vector<Stretch> wanted{{kContent, 0, 500},       {kContent + 2, 400, 200}, {kContent + 4, 500, 100},
                                    {kContent + 6, 900, 101}, {kContent + 8, 1000, 1},  {kContent + 10, huge, 5},
                                    {kContent + 12, 500, 100}};
  EXPECT_EQ(text_of(plan_of(1000, wanted, {wanted})),
            "0+600 source 0 at 0\n"
            "600+400 registry\n"
            "reused 600, requests 1\n");
}

TEST(ReusePlan, ASourceOfAnotherToolIsNotBelieved) {
  std::vector<Stretch> wanted;
  std::vector<Stretch> source;
  for (int64_t i = 0; i < 100; ++i) {
    const auto key = 4 * static_cast<uint64_t>(i);
    wanted.push_back({kContent + key, i * 200, 100});
    wanted.push_back({kHeader + 0x1000 + key, i * 200 + 100, 100});
    source.push_back(wanted[wanted.size() - 2]);
    source.push_back(wanted.back());
  }
  const auto spoil = [&](size_t from, size_t count) {
    std::vector<Stretch> out = source;
    for (size_t i = 0; i < count; ++i) out[from + 2 * i].bytes -= 1;
    return out;
  };
  EXPECT_EQ(plan_of(20'000, wanted, {source}).reused, 20'000);
  EXPECT_EQ(plan_of(20'000, wanted, {spoil(0, 1)}).reused, 19'900) << "one content was compressed otherwise";
  EXPECT_EQ(plan_of(20'000, wanted, {spoil(0, 3)}).reused, 0) << "all were, and some are as long by chance";
  // With other headers the contents are still the same.
  EXPECT_EQ(plan_of(20'000, wanted, {spoil(1, 3)}, {.request_bytes = 1}).reused, 10'000);
  EXPECT_EQ(plan_of(20'000, wanted, {spoil(0, 3), source}).reused, 20'000) << "the next source counts";
}

TEST(ReusePlan, NoMoreStretchesThanAreAllowed) {
  std::vector<Stretch> wanted;
  for (int64_t i = 0; i < 10; ++i) wanted.push_back({kContent + 2 * static_cast<uint64_t>(i), i * 100, 100});
  EXPECT_EQ(text_of(plan_of(1000, wanted, {wanted}, {.max_stretches = 4})),
            "0+400 source 0 at 0\n400+600 registry\nreused 400, requests 1\n");
}

TEST(ReusePlan, ManyEqualOnesTakeNoLonger) {
  const ReuseLimits limits;
  const std::vector<Stretch> wanted(limits.max_stretches, {kContent, 0, 100});
  std::vector<Stretch> source(300'000, {kContent, 0, 101});
  EXPECT_EQ(plan_of(1000, wanted, {source}).reused, 0);
  for (Stretch& stretch : source) stretch.bytes = 100;
  EXPECT_EQ(plan_of(1000, wanted, {source}).reused, 100);
}

TEST(ReusePlan, AnEmptyBlobIsNoPiece) { EXPECT_EQ(text_of(plan_of(0, {}, {})), "reused 0, requests 0\n"); }

}  // namespace

}  // namespace moss::test
