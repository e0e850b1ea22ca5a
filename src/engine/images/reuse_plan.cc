// Which bytes of a blob to take from where. See the header.
#include "reuse_plan.hh"

#include <algorithm>
#include <functional>
#include <utility>

namespace moss::engine {

namespace {

// Puts a piece at the end, as a part of the last one where it is the same run.
void append(std::vector<Piece>& pieces, const Piece& piece) {
  if (piece.bytes <= 0) return;
  if (!pieces.empty() && pieces.back().source == piece.source &&
      (piece.source == kFromRegistry || pieces.back().from + pieces.back().bytes == piece.from)) {
    pieces.back().bytes += piece.bytes;
    return;
  }
  pieces.push_back(piece);
}

// Pieces that are here, between two of the registry's.
struct Island {
  size_t begin;
  size_t end;
  int64_t bytes;
};

std::vector<Island> islands(const std::vector<Piece>& pieces) {
  std::vector<Island> out;
  for (size_t i = 0; i < pieces.size();) {
    Island island{.begin = i, .end = i, .bytes = 0};
    while (island.end < pieces.size() && pieces[island.end].source != kFromRegistry) {
      island.bytes += pieces[island.end++].bytes;
    }
    // At the blob's ends they save bytes and cost no request.
    if (island.begin > 0 && island.end > island.begin && island.end < pieces.size()) out.push_back(island);
    i = island.end + 1;
  }
  return out;
}

// The size below which an island is not worth its request.
int64_t least_island(const std::vector<Island>& found, const ReuseLimits& limits) {
  if (found.size() < limits.max_requests) return limits.request_bytes;
  std::vector<int64_t> sizes;
  for (const Island& island : found) sizes.push_back(island.bytes);
  // One more run than islands between them; equal ones go together.
  const size_t kept = limits.max_requests - 1;
  std::nth_element(sizes.begin(), sizes.begin() + static_cast<ptrdiff_t>(kept), sizes.end(), std::greater<>());
  return std::max(limits.request_bytes, sizes[kept] + 1);
}

}  // namespace

bool ReusePlanner::want(const Stretch& stretch) {
  if (wanted_.size() >= limits_.max_stretches) return false;
  wanted_.push_back({stretch.key, stretch.offset, 0, static_cast<uint32_t>(stretch.bytes), kFromRegistry});
  sorted_ = false;
  return true;
}

void ReusePlanner::have(const Stretch& stretch, uint16_t source, int64_t from) {
  wanted_.push_back({stretch.key, stretch.offset, from, static_cast<uint32_t>(stretch.bytes), source});
  sorted_ = false;
}

void ReusePlanner::sort_by_key() {
  if (std::exchange(sorted_, true)) return;
  std::sort(wanted_.begin(), wanted_.end(),
            [](const Wanted& a, const Wanted& b) { return std::pair(a.key, a.bytes) < std::pair(b.key, b.bytes); });
}

void ReusePlanner::begin_source(uint16_t source) {
  sort_by_key();
  source_ = source;
  contents_ = headers_ = {};
}

void ReusePlanner::offer(const Stretch& stretch) {
  const auto bytes = static_cast<uint32_t>(stretch.bytes);
  auto found = std::lower_bound(
      wanted_.begin(), wanted_.end(), std::pair(stretch.key, bytes),
      [](const Wanted& wanted, const auto& what) { return std::pair(wanted.key, wanted.bytes) < what; });
  const auto has_key = [&](auto place) { return place != wanted_.end() && place->key == stretch.key; };
  Agreement& agreement = is_content(stretch.key) ? contents_ : headers_;
  if (!has_key(found) || found->bytes != bytes) {
    if (has_key(found) || (found != wanted_.begin() && has_key(found - 1))) ++agreement.other;
    return;
  }
  ++agreement.same;
  // Where one of them has a source, its equals have it, too: a table that has everything twice is not read in squares.
  for (; has_key(found) && found->bytes == bytes && found->source == kFromRegistry; ++found) {
    found->source = source_;
    found->from = stretch.offset;
  }
}

// One in fifty: a content may have been compressed twice, by the tool of today and that of last year.
bool ReusePlanner::Agreement::is_trusted() const { return other * 50 <= same; }

void ReusePlanner::forget(bool content) {
  for (Wanted& wanted : wanted_) {
    if (wanted.source == source_ && is_content(wanted.key) == content) wanted.source = kFromRegistry;
  }
}

bool ReusePlanner::end_source() {
  if (!contents_.is_trusted()) forget(true);
  if (!contents_.is_trusted() || !headers_.is_trusted()) forget(false);
  return std::any_of(wanted_.begin(), wanted_.end(), [&](const Wanted& wanted) { return wanted.source == source_; });
}

int64_t ReusePlanner::missing() const {
  int64_t bytes = blob_bytes_;
  for (const Wanted& wanted : wanted_) {
    if (wanted.source != kFromRegistry) bytes -= wanted.bytes;
  }
  return bytes;
}

ReusePlan ReusePlanner::finish() {
  std::erase_if(wanted_, [](const Wanted& wanted) { return wanted.source == kFromRegistry; });
  std::sort(wanted_.begin(), wanted_.end(), [](const Wanted& a, const Wanted& b) { return a.offset < b.offset; });
  std::vector<Piece> all;
  int64_t at = 0;
  for (const Wanted& wanted : wanted_) {
    // What lies over the one before, or outside the blob, is a lie.
    if (wanted.offset < at || wanted.bytes > blob_bytes_ - wanted.offset) continue;
    append(all, {.offset = at, .bytes = wanted.offset - at});
    append(all, {.offset = wanted.offset, .bytes = wanted.bytes, .source = wanted.source, .from = wanted.from});
    at = wanted.offset + wanted.bytes;
  }
  append(all, {.offset = at, .bytes = blob_bytes_ - at});
  wanted_ = {};

  const std::vector<Island> found = islands(all);
  const int64_t least = least_island(found, limits_);
  for (const Island& island : found) {
    if (island.bytes >= least) continue;
    for (size_t i = island.begin; i < island.end; ++i) all[i].source = kFromRegistry;
  }
  ReusePlan plan;
  for (const Piece& piece : all) append(plan.pieces, piece);
  for (Piece& piece : plan.pieces) {
    if (piece.source == kFromRegistry) {
      piece.from = 0;
      ++plan.requests;
    } else {
      plan.reused += piece.bytes;
    }
  }
  return plan;
}

}  // namespace moss::engine
