// A blob put together: pieces of files that are here, and pieces that a registry is asked for.
//
// The pieces go out in their order, as the bytes of an ordinary download do. The next few of the registry's are asked
// for before their turn comes, so that nobody waits for an answer each time: what arrives too early is refused, and
// waits in libcurl (at most one piece of its buffer) and in the network.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "http.hh"
#include "reuse.hh"

namespace moss::engine {

class PiecesFetch {
 public:
  /// What it needs of whoever wants the blob.
  struct Caller {
    std::function<HttpRequest()> request;  ///< for the blob, whole
    /// Takes the next bytes, or none of them where there is no room now.
    std::function<bool(std::string_view bytes)> offer;
    /// Told once, from within HttpClient::poll(): an answer that was not what was asked for, or broke off. Nothing is
    /// offered after it until begin().
    std::function<void(const HttpResponse& response)> broke;
  };
  PiecesFetch(HttpClient& http, Reuse reuse, int64_t blob_bytes, Caller caller);

  /// From that byte of the blob on; requests on their way are of no more interest.
  void begin(int64_t position);
  /// Goes on: call it whenever something may have happened. Errors: a file that is here cannot be read. Then, as
  /// after broke(), the blob can be had from where it is on as any other.
  Result<Ok> advance();
  /// advance() has something to do, without anything having happened.
  bool wants_turn() const { return resume_; }
  /// Bytes that came from here.
  int64_t reused() const { return reused_; }

 private:
  struct Turn {};
  struct Request {
    size_t piece;
    int64_t begin;  ///< of the bytes asked for, in the blob
    int64_t end;
    int64_t at;  ///< where its next byte belongs
  };
  const Piece* current() const;
  int64_t bytes_ahead() const;
  void take(int64_t bytes);
  Result<bool> offer_local(const Piece& piece);
  Result<Ok> ask_ahead();
  Result<Ok> ask(size_t piece);
  Taken receive(Request& request, const HttpResponse& response, std::string_view bytes);
  void end_request(const Request& request, const HttpResponse& response);

  HttpClient* http_;
  Reuse reuse_;
  int64_t blob_bytes_;
  Caller caller_;
  std::shared_ptr<Turn> turn_;  ///< what belongs to another one is forgotten
  int64_t position_ = 0;
  int64_t reused_ = 0;
  size_t piece_ = 0;     ///< that position_ is in
  size_t next_ask_ = 0;  ///< the first piece that was not asked for
  std::vector<size_t> asked_;
  bool resume_ = false;  ///< somebody's turn may have come, a transfer's or a file's
  std::vector<char> buffer_;
};

}  // namespace moss::engine
