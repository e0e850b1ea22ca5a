// HTTP by libcurl, which is loaded when the first pull needs it: linked in, it would cost every start 3 ms.
//
// Redirects are followed here and not by libcurl, so that credentials never go to another host and https never becomes
// http. All transfers run on the caller's thread.
#pragma once

#include <poll.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "certificates.hh"
#include "moss/base/result.hh"

namespace moss::engine {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::string> headers;  ///< "Name: value"
  std::string authorization;         ///< the header's value; sent to the URL's own host and no other
  bool allow_http = false;           ///< plain HTTP will do
  bool verify_tls = true;
  std::string unix_socket = {};  ///< where the server listens, instead of at the URL's host
  /// Whom TLS believes and what it shows; a redirect to another host is not shown the client's certificate.
  std::shared_ptr<const Certificates> certificates = {};
  int64_t from_byte = 0;  ///< asks for the rest of something
  int64_t to_byte = 0;    ///< with that, or alone: for no more than what comes before this byte
  /// What is sent along with POST, PUT and PATCH: a text, or a part of a file, which is borrowed until the end.
  std::string body;
  int body_file = -1;
  int64_t body_offset = 0;
  int64_t body_bytes = 0;
  std::function<void(int64_t bytes)> sent = {};  ///< told how much of the body went out so far
};

/// What came back.
struct HttpResponse {
  int status = 0;                              ///< 0 where nothing came back
  std::map<std::string, std::string> headers;  ///< names in lower case; the last one of a name
  std::string url;                             ///< after redirects
  std::string failure;      ///< why there is no status, or why the body broke off, in libcurl's words
  bool transient = false;   ///< the same request may work in a moment
  bool not_tls = false;     ///< the other end does not speak TLS or there is none
  bool unresolved = false;  ///< there is no host of that name
  bool stopped = false;     ///< the sink had enough
  std::string complaint;    ///< the beginning of a body that came with another status than 2xx
};

/// What a sink does with a piece of a 2xx body.
enum class Taken {
  yes,
  later,  ///< none of it: the transfer pauses, and the same piece comes again after resume()
  stop,   ///< the transfer ends
};
using HttpSink = std::function<Taken(const HttpResponse& response, std::string_view bytes)>;

inline constexpr int kRetryDelayMs = 300;

class HttpClient {
 public:
  /// Errors: libcurl.so.4 is not installed.
  static Result<HttpClient> create();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) = delete;
  ~HttpClient();

  /// A transfer on its way; `done` is called once, from poll() or get().
  using Done = std::function<void(HttpResponse response)>;
  Result<Ok> start(const HttpRequest& request, HttpSink sink, Done done);
  /// Goes on with what paused.
  void resume();
  /// Ends every transfer without a word to who asked.
  void cancel_all();
  /// Lets transfers go on, and waits at most `timeout_ms` for them or one of `others`.
  Result<Ok> poll(std::span<pollfd> others, int timeout_ms);

  /// A whole small body; other transfers go on meanwhile. `transient` failures are tried again `retries` times.
  struct Body {
    HttpResponse response;
    std::string bytes;
  };
  /// Errors: larger than `max_bytes`.
  Result<Body> get(const HttpRequest& request, size_t max_bytes, int retries, int delay_ms = kRetryDelayMs);

 private:
  struct State;
  explicit HttpClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The most bytes that a sink is given at a time.
inline constexpr size_t kMaxHttpPiece = 512u << 10;

/// How long to wait before try number `attempt` (from 1): what Retry-After says, else `delay_ms`, three times that and
/// so on (0.3, 0.9, 2.7 s), at most 30 s.
int retry_delay_ms(const HttpResponse& response, int attempt, int delay_ms = kRetryDelayMs);

/// The seconds that Retry-After asks for, by number or by date. `now` is a time(2). Pure.
std::optional<int64_t> retry_after_seconds(const HttpResponse& response, int64_t now);

/// Whether an answer is the bytes [begin, end) of something of `total` bytes, by its status and its Content-Range.
/// Pure.
bool answers_range(const HttpResponse& response, int64_t begin, int64_t end, int64_t total);

/// The same without what only its own host may see.
std::shared_ptr<const Certificates> for_another_host(const std::shared_ptr<const Certificates>& certificates);

/// "https://host:port" of a URL: what must stay the same for credentials to go along. Pure.
std::string url_origin(std::string_view url);

}  // namespace moss::engine
