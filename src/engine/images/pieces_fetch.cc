// A blob put together. See the header.
#include "pieces_fetch.hh"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace moss::engine {

namespace {

constexpr size_t kRequestsAhead = 3;
// Bytes of the registry's that may come before the answer to a request: a server whose answer nobody takes for a minute
// hangs up.
constexpr int64_t kBytesAhead = 2 << 20;
constexpr size_t kLocalBytes = kMaxHttpPiece;

}  // namespace

PiecesFetch::PiecesFetch(HttpClient& http, Reuse reuse, int64_t blob_bytes, Caller caller)
    : http_(&http),
      reuse_(std::move(reuse)),
      blob_bytes_(blob_bytes),
      caller_(std::move(caller)),
      buffer_(kLocalBytes) {}

void PiecesFetch::begin(int64_t position) {
  turn_ = std::make_shared<Turn>();
  position_ = position;
  const auto& pieces = reuse_.plan.pieces;
  piece_ = static_cast<size_t>(std::find_if(pieces.begin(), pieces.end(),
                                            [&](const Piece& piece) { return position < piece.offset + piece.bytes; }) -
                               pieces.begin());
  next_ask_ = piece_;
  asked_.clear();
  // Those of the turn before that wait for theirs learn that it never comes.
  resume_ = true;
}

const Piece* PiecesFetch::current() const {
  return piece_ < reuse_.plan.pieces.size() ? &reuse_.plan.pieces[piece_] : nullptr;
}

void PiecesFetch::take(int64_t bytes) {
  position_ += bytes;
  const Piece* piece = current();
  if (piece == nullptr || position_ < piece->offset + piece->bytes) return;
  ++piece_;
  resume_ = true;
}

Result<bool> PiecesFetch::offer_local(const Piece& piece) {
  const int64_t done = position_ - piece.offset;
  const auto wanted = static_cast<size_t>(std::min<int64_t>(piece.bytes - done, kLocalBytes));
  const ssize_t got =
      ::pread(reuse_.files[piece.source].get(), buffer_.data(), wanted, static_cast<off_t>(piece.from + done));
  if (got < 0 && errno == EINTR) return true;
  if (got < 0) return sys_error("read a blob that has a part of the layer");
  if (got == 0) return Error(0, "a blob that has a part of the layer is shorter than it was");
  if (!caller_.offer({buffer_.data(), static_cast<size_t>(got)})) return false;
  reused_ += got;
  take(got);
  return true;
}

Result<Ok> PiecesFetch::advance() {
  TRY(ask_ahead());
  while (const Piece* piece = current()) {
    if (piece->source == kFromRegistry) break;
    if (!TRY(offer_local(*piece))) break;
  }
  TRY(ask_ahead());
  if (std::exchange(resume_, false)) http_->resume();
  return Ok{};
}

int64_t PiecesFetch::bytes_ahead() const {
  int64_t bytes = 0;
  for (const size_t piece : asked_) bytes += reuse_.plan.pieces[piece].bytes;
  return bytes;
}

Result<Ok> PiecesFetch::ask_ahead() {
  std::erase_if(asked_, [&](size_t piece) { return piece < piece_; });
  const auto& pieces = reuse_.plan.pieces;
  while (asked_.size() < kRequestsAhead && next_ask_ < pieces.size() && bytes_ahead() <= kBytesAhead) {
    const size_t piece = next_ask_++;
    if (pieces[piece].source == kFromRegistry) TRY(ask(piece));
  }
  return Ok{};
}

Result<Ok> PiecesFetch::ask(size_t index) {
  const Piece& piece = reuse_.plan.pieces[index];
  auto request = std::make_shared<Request>();
  request->piece = index;
  request->begin = request->at = std::max(piece.offset, position_);
  request->end = piece.offset + piece.bytes;
  HttpRequest http = caller_.request();
  http.from_byte = request->begin;
  http.to_byte = request->end;
  asked_.push_back(index);
  const std::weak_ptr<Turn> turn = turn_;
  return http_->start(
      http,
      [this, turn, request](const HttpResponse& response, std::string_view bytes) {
        return turn.expired() ? Taken::stop : receive(*request, response, bytes);
      },
      [this, turn, request](const HttpResponse& response) {
        if (!turn.expired()) end_request(*request, response);
      });
}

Taken PiecesFetch::receive(Request& request, const HttpResponse& response, std::string_view bytes) {
  if (!answers_range(response, request.begin, request.end, blob_bytes_)) return Taken::stop;
  if (static_cast<int64_t>(bytes.size()) > request.end - request.at) return Taken::stop;
  if (request.piece != piece_) return Taken::later;
  if (!caller_.offer(bytes)) return Taken::later;
  request.at += static_cast<int64_t>(bytes.size());
  take(static_cast<int64_t>(bytes.size()));
  return Taken::yes;
}

void PiecesFetch::end_request(const Request& request, const HttpResponse& response) {
  if (response.failure.empty() && response.status == 206 && request.at == request.end) return;
  turn_.reset();
  caller_.broke(response);
}

}  // namespace moss::engine
