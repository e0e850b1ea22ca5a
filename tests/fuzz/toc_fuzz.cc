// The table of contents of a zstd:chunked layer, and the plan that comes of it and of another: whatever a table says,
// the pieces are the whole blob, once.
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hh"
#include "moss/base/fd.hh"
#include "src/engine/images/reuse_plan.hh"

namespace {

using namespace moss;
using namespace moss::engine;

constexpr int64_t kBlob = 100'000;

std::vector<Stretch> read(std::string_view packed) {
  std::vector<Stretch> out;
  const Fd file(::memfd_create("table", MFD_CLOEXEC));
  must(::write(file.get(), packed.data(), packed.size()) == static_cast<ssize_t>(packed.size()), "a table is written");
  const TocPlace place{.offset = kBlob + 8, .bytes = static_cast<int64_t>(packed.size())};
  (void)read_toc(file.get(), 0, place, [&](const Stretch& stretch) {
    must(stretch.offset >= 0 && stretch.bytes > 0 && stretch.bytes <= kBlob - stretch.offset, "stretches are within");
    out.push_back(stretch);
    return true;
  });
  return out;
}

std::string packed(std::string_view text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 1));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  // As it is: zstd's own damage. Compressed: JSON's, with another in its second half.
  (void)read(input);
  const std::vector<Stretch> wanted = read(packed(input.substr(0, size / 2)));
  const std::vector<Stretch> source = read(packed(input.substr(size / 2)));
  ReusePlanner planner(kBlob, {.request_bytes = 16, .max_requests = 4, .max_stretches = 100});
  for (const Stretch& stretch : wanted) {
    if (!planner.want(stretch)) break;
  }
  planner.begin_source(0);
  for (const Stretch& stretch : source) planner.offer(stretch);
  for (const Stretch& stretch : wanted) planner.offer(stretch);
  (void)planner.end_source();
  const ReusePlan plan = planner.finish();
  int64_t at = 0;
  size_t requests = 0;
  for (const Piece& piece : plan.pieces) {
    must(piece.offset == at && piece.bytes > 0, "pieces follow one another");
    must(piece.source == 0 || piece.source == kFromRegistry, "they have a source");
    must(piece.source != 0 || (piece.from >= 0 && piece.bytes <= kBlob - piece.from), "and are within it");
    requests += piece.source == kFromRegistry ? 1 : 0;
    at += piece.bytes;
  }
  must(at == kBlob && requests == plan.requests && requests <= 4, "all of it in few requests");
  return 0;
}
