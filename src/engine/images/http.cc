// HTTP by libcurl. See the header.
#include "http.hh"

#include <curl/curl.h>
#include <dlfcn.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <list>

#include "moss/sys/file.hh"
#include "registries_conf.hh"

namespace moss::engine {

namespace {

constexpr int kMaxRedirects = 10;
constexpr long kConnectTimeoutMs = 20'000;
constexpr long kStallSeconds = 60;       // a transfer that gives less than a byte a second for so long is dead
constexpr long kSlowStoreSeconds = 300;  // the same where something is sent: a registry may copy it before it answers
constexpr size_t kMaxHeaders = 200;
constexpr size_t kMaxComplaintBytes = 4u << 10;
constexpr size_t kMaxUselessBytes = 1u << 20;
constexpr size_t kMaxAllHeaderBytes = 1u << 20;
constexpr size_t kMaxHeaderBytes = 16u << 10;
constexpr const char* kAuthorities = "/etc/ssl/certs";

// The part of libcurl that is used here, found at run time.
struct Curl {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_pause) easy_pause;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_multi_init) multi_init;
  decltype(&::curl_multi_add_handle) multi_add_handle;
  decltype(&::curl_multi_remove_handle) multi_remove_handle;
  decltype(&::curl_multi_perform) multi_perform;
  decltype(&::curl_multi_poll) multi_poll;
  decltype(&::curl_multi_info_read) multi_info_read;
  decltype(&::curl_multi_cleanup) multi_cleanup;
  decltype(&::curl_multi_setopt) multi_setopt;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
};

Result<const Curl*> load_curl() {
  static Curl curl{};
  if (curl.easy_init != nullptr) return &curl;
  void* library = nullptr;
  for (const char* name : {"libcurl.so.4", "libcurl-gnutls.so.4"}) {
    if ((library = ::dlopen(name, RTLD_NOW | RTLD_LOCAL)) != nullptr) break;
  }
  if (library == nullptr) return Error(0, "pulling needs libcurl.so.4; install it (Debian: apt install libcurl4)");
  Curl found{};
  bool complete = true;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(::dlsym(library, name));
    complete = complete && function != nullptr;
  };
  find(found.global_init, "curl_global_init");
  find(found.easy_init, "curl_easy_init");
  find(found.easy_setopt, "curl_easy_setopt");
  find(found.easy_getinfo, "curl_easy_getinfo");
  find(found.easy_pause, "curl_easy_pause");
  find(found.easy_cleanup, "curl_easy_cleanup");
  find(found.easy_strerror, "curl_easy_strerror");
  find(found.multi_init, "curl_multi_init");
  find(found.multi_add_handle, "curl_multi_add_handle");
  find(found.multi_remove_handle, "curl_multi_remove_handle");
  find(found.multi_perform, "curl_multi_perform");
  find(found.multi_poll, "curl_multi_poll");
  find(found.multi_info_read, "curl_multi_info_read");
  find(found.multi_cleanup, "curl_multi_cleanup");
  find(found.multi_setopt, "curl_multi_setopt");
  find(found.slist_append, "curl_slist_append");
  find(found.slist_free_all, "curl_slist_free_all");
  if (!complete) return Error(0, "libcurl.so.4 is too old; moss needs 7.66 or newer");
  if (found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return Error(0, "libcurl cannot be started");
  curl = found;
  return &curl;
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
      return true;
    default:
      return false;
  }
}

constexpr int64_t kMaxDelaySeconds = 30;

// A registry that says "in an hour", or that a quota is used up, is not asked again in a moment.
bool may_answer_soon(const HttpResponse& response) {
  if (retry_after_seconds(response, ::time(nullptr)).value_or(0) > kMaxDelaySeconds) return false;
  return response.complaint.find("pull rate limit") == std::string::npos;
}

bool is_transient_status(int status) {
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return out;
}

struct Transfer {
  HttpRequest request;
  HttpSink sink;
  HttpClient::Done done;
  HttpResponse response;
  CURL* easy = nullptr;
  curl_slist* header_list = nullptr;
  int redirects = 0;
  bool paused = false;
  bool had_enough = false;   ///< of a text that is nobody's content
  size_t header_bytes = 0;   ///< of all answers on the way
  size_t useless_bytes = 0;  ///< of what is nobody's content
  int64_t sent = 0;          ///< bytes of the body
  char reason[CURL_ERROR_SIZE] = "";
};

size_t on_header(char* data, size_t size, size_t count, void* raw) {
  auto& transfer = *static_cast<Transfer*>(raw);
  // libcurl keeps every one of them, also where the same comes for ever.
  transfer.header_bytes += size * count;
  if (transfer.header_bytes > kMaxAllHeaderBytes) return 0;
  const std::string_view line = trim(std::string_view(data, size * count));
  // A new status line: what an interim answer (100, a proxy's 200) said is not the answer.
  if (line.starts_with("HTTP/")) {
    transfer.response.headers.clear();
    const auto [version, rest] = cut(line, ' ');
    transfer.response.status = parse_number<int>(rest.value_or("").substr(0, 3)).value_or(0);
  } else if (const auto [name, value] = cut(line, ':'); value) {
    if (transfer.response.headers.size() >= kMaxHeaders || line.size() > kMaxHeaderBytes) return 0;
    transfer.response.headers[lower(name)] = std::string(trim(*value));
  }
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* raw) {
  auto& transfer = *static_cast<Transfer*>(raw);
  const int status = transfer.response.status;
  // The text of an error or a redirect is nobody's content.
  if (status / 100 != 2) {
    std::string& complaint = transfer.response.complaint;
    complaint.append(data, std::min(size * count, kMaxComplaintBytes - std::min(complaint.size(), kMaxComplaintBytes)));
    // The rest is read so that the connection can be kept; one without an end is not.
    transfer.useless_bytes += size * count;
    transfer.had_enough = transfer.useless_bytes > kMaxUselessBytes;
    if (transfer.had_enough) return 0;
    return size * count;
  }
  switch (transfer.sink(transfer.response, {data, size * count})) {
    case Taken::yes:
      return size * count;
    case Taken::later:
      transfer.paused = true;
      return CURL_WRITEFUNC_PAUSE;
    case Taken::stop:
      break;
  }
  transfer.response.stopped = true;
  return 0;
}

int64_t body_bytes(const HttpRequest& request) {
  return request.body_file >= 0 ? request.body_bytes : static_cast<int64_t>(request.body.size());
}

size_t on_read(char* to, size_t size, size_t count, void* raw) {
  auto& transfer = *static_cast<Transfer*>(raw);
  const HttpRequest& request = transfer.request;
  const auto want =
      static_cast<size_t>(std::min<int64_t>(static_cast<int64_t>(size * count), body_bytes(request) - transfer.sent));
  if (want == 0) return 0;
  if (request.body_file < 0) {
    std::memcpy(to, request.body.data() + transfer.sent, want);
  } else {
    const ssize_t got = ::pread(request.body_file, to, want, request.body_offset + transfer.sent);
    if (got <= 0) return CURL_READFUNC_ABORT;
    transfer.sent += got;
    if (request.sent) request.sent(transfer.sent);
    return static_cast<size_t>(got);
  }
  transfer.sent += static_cast<int64_t>(want);
  return want;
}

// libcurl sends a body anew where a kept connection turns out to be closed.
int on_seek(void* raw, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(raw);
  if (origin != SEEK_SET || offset < 0 || offset > body_bytes(transfer.request)) return CURL_SEEKFUNC_FAIL;
  transfer.sent = offset;
  return CURL_SEEKFUNC_OK;
}

// Debian's folder of authorities, which libcurl there looks into besides the one file of all of them. The names are
// hashes, as OpenSSL's c_rehash makes them.
bool has_hashed_authorities() {
  static const bool has = [] {
    const Result<std::vector<std::string>> names = sys::list_dir(kAuthorities);
    return names.ok() && std::any_of(names->begin(), names->end(),
                                     [](const std::string& name) { return name.size() == 10 && name.ends_with(".0"); });
  }();
  return has;
}

// Where we differ from libcurl, as other container tools do: this machine is never reached through a proxy, and
// HTTP_PROXY counts too (libcurl fears that a web server's client set it).
std::optional<std::string> own_choice_of_proxy(const std::string& url) {
  const std::string origin = url_origin(url);
  if (is_loopback(std::string_view(origin).substr(std::min(origin.size(), origin.find("://") + 3)))) return "";
  const char* upper = ::getenv("HTTP_PROXY");
  const bool counts = upper != nullptr && ::getenv("http_proxy") == nullptr && ::getenv("REQUEST_METHOD") == nullptr;
  if (counts && url.starts_with("http://")) return upper;
  return std::nullopt;
}

// What a redirect may make of a request: one with a body goes to the new place as it is, or nowhere.
bool may_redirect(const HttpRequest& request, int status) {
  return request.method == "GET" || request.method == "HEAD" || status == 307 || status == 308;
}

}  // namespace

struct HttpClient::State {
  const Curl* curl = nullptr;
  CURLM* multi = nullptr;
  std::list<std::unique_ptr<Transfer>> transfers;

  void launch(Transfer& transfer);
  void finish(Transfer& transfer, CURLcode code);
  void release(Transfer& transfer);
  int perform();
};

void HttpClient::State::launch(Transfer& transfer) {
  CURL* easy = curl->easy_init();
  transfer.easy = easy;
  transfer.response = {};
  transfer.response.url = transfer.request.url;
  const auto set = curl->easy_setopt;
  set(easy, CURLOPT_URL, transfer.request.url.c_str());
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  // Other schemes (file, ftp, gopher) are never spoken, whatever a registry redirects to.
  const char* protocols = transfer.request.allow_http ? "http,https" : "https";
  if (set(easy, CURLOPT_PROTOCOLS_STR, protocols) != CURLE_OK) {
    const long bits = transfer.request.allow_http ? 3 : 2;  // CURLPROTO_HTTP | CURLPROTO_HTTPS, before 7.85
    set(easy, static_cast<CURLoption>(181), bits);
  }
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
  const bool sends = transfer.request.method != "GET" && transfer.request.method != "HEAD";
  set(easy, CURLOPT_LOW_SPEED_TIME, sends ? kSlowStoreSeconds : kStallSeconds);
  set(easy, CURLOPT_BUFFERSIZE, static_cast<long>(kMaxHttpPiece));
  set(easy, CURLOPT_USERAGENT, "moss");
  set(easy, CURLOPT_ERRORBUFFER, transfer.reason);
  set(easy, CURLOPT_HEADERFUNCTION, on_header);
  set(easy, CURLOPT_HEADERDATA, &transfer);
  set(easy, CURLOPT_WRITEFUNCTION, on_body);
  set(easy, CURLOPT_WRITEDATA, &transfer);
  set(easy, CURLOPT_PRIVATE, &transfer);
  set(easy, CURLOPT_SSL_VERIFYPEER, transfer.request.verify_tls ? 1L : 0L);
  set(easy, CURLOPT_SSL_VERIFYHOST, transfer.request.verify_tls ? 2L : 0L);
  if (!transfer.request.unix_socket.empty()) {
    set(easy, CURLOPT_UNIX_SOCKET_PATH, transfer.request.unix_socket.c_str());
    // What stands between us and the network has no say here.
    set(easy, CURLOPT_PROXY, "");
  }
  if (transfer.request.method == "HEAD") set(easy, CURLOPT_NOBODY, 1L);
  if (sends) {
    transfer.sent = 0;
    set(easy, CURLOPT_UPLOAD, 1L);
    set(easy, CURLOPT_CUSTOMREQUEST, transfer.request.method.c_str());
    set(easy, CURLOPT_UPLOAD_BUFFERSIZE, static_cast<long>(kMaxHttpPiece));
    set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body_bytes(transfer.request)));
    set(easy, CURLOPT_READFUNCTION, on_read);
    set(easy, CURLOPT_READDATA, &transfer);
    set(easy, CURLOPT_SEEKFUNCTION, on_seek);
    set(easy, CURLOPT_SEEKDATA, &transfer);
  }
  // Authorities by their hash, one at a time as they are needed: to read all of them takes 20 ms.
  if (has_hashed_authorities()) {
    set(easy, CURLOPT_CAINFO, nullptr);
    set(easy, CURLOPT_CAPATH, kAuthorities);
  }
  if (const Certificates* certificates = transfer.request.certificates.get()) {
    if (const std::string& pem = certificates->authorities; !pem.empty()) {
      curl_blob blob{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_NOCOPY};
      set(easy, CURLOPT_CAINFO_BLOB, &blob);
    }
    if (!certificates->client_certificate.empty()) {
      set(easy, CURLOPT_SSLCERT, certificates->client_certificate.c_str());
      set(easy, CURLOPT_SSLKEY, certificates->client_key.c_str());
    }
  }
  // Else libcurl reads http_proxy, https_proxy, all_proxy and no_proxy by itself.
  if (const std::optional<std::string> proxy = own_choice_of_proxy(transfer.request.url)) {
    set(easy, CURLOPT_PROXY, proxy->c_str());
  }
  curl_slist* list = nullptr;
  for (const std::string& header : transfer.request.headers) list = curl->slist_append(list, header.c_str());
  if (!transfer.request.authorization.empty()) {
    list = curl->slist_append(list, cat("Authorization: ", transfer.request.authorization).c_str());
  }
  if (const HttpRequest& asked = transfer.request; asked.from_byte > 0 || asked.to_byte > 0) {
    const std::string last = asked.to_byte > 0 ? std::to_string(asked.to_byte - 1) : "";
    list = curl->slist_append(list, cat("Range: bytes=", asked.from_byte, "-", last).c_str());
  }
  transfer.header_list = list;
  set(easy, CURLOPT_HTTPHEADER, list);
  curl->multi_add_handle(multi, easy);
}

void HttpClient::State::release(Transfer& transfer) {
  curl->multi_remove_handle(multi, transfer.easy);
  curl->easy_cleanup(transfer.easy);
  curl->slist_free_all(transfer.header_list);
  transfer.easy = nullptr;
  transfer.header_list = nullptr;
}

// Goes on with a redirect, or tells who asked.
void HttpClient::State::finish(Transfer& transfer, CURLcode code) {
  if (code == CURLE_WRITE_ERROR && transfer.had_enough) code = CURLE_OK;
  char* location = nullptr;
  curl->easy_getinfo(transfer.easy, CURLINFO_REDIRECT_URL, &location);
  const std::string next = location != nullptr ? location : "";
  const int status = transfer.response.status;
  release(transfer);
  if (code == CURLE_OK && status / 100 == 3 && !next.empty()) {
    const bool was_https = transfer.request.url.starts_with("https://");
    if (!next.starts_with("https://") && !(next.starts_with("http://") && transfer.request.allow_http && !was_https)) {
      transfer.response.failure = cat("the server redirects to ", printable(next), ", which is not https");
      transfer.response.status = 0;
    } else if (!may_redirect(transfer.request, status)) {
      transfer.response.failure = cat("the server redirects what is sent to ", printable(next), " (", status, ")");
      transfer.response.status = 0;
    } else if (++transfer.redirects > kMaxRedirects) {
      transfer.response.failure = "too many redirects";
      transfer.response.status = 0;
    } else {
      if (url_origin(next) != url_origin(transfer.request.url)) {
        transfer.request.authorization.clear();
        transfer.request.certificates = for_another_host(transfer.request.certificates);
      }
      transfer.request.url = next;
      launch(transfer);
      return;
    }
  } else if (code != CURLE_OK) {
    transfer.response.failure = *transfer.reason != '\0' ? transfer.reason : curl->easy_strerror(code);
    transfer.response.transient = !transfer.response.stopped && is_transient(code);
    transfer.response.not_tls = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_COULDNT_CONNECT;
    transfer.response.unresolved = code == CURLE_COULDNT_RESOLVE_HOST;
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
      transfer.response.failure +=
          "; put the registry's CA into /etc/containers/certs.d/HOST/ca.crt or "
          "~/.config/containers/certs.d/HOST/ca.crt";
    }
    if (code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT) {
      transfer.response.failure +=
          "; look at the registry's name and your network, or bring the image as a file: moss load -i FILE";
    }
  } else {
    transfer.response.transient = is_transient_status(status) && may_answer_soon(transfer.response);
  }
  const auto self =
      std::find_if(transfers.begin(), transfers.end(), [&](const auto& t) { return t.get() == &transfer; });
  const std::unique_ptr<Transfer> finished = std::move(*self);
  transfers.erase(self);
  finished->done(std::move(finished->response));
}

// Lets libcurl work, and says how many transfers came to an end.
int HttpClient::State::perform() {
  int running = 0;
  curl->multi_perform(multi, &running);
  int ended = 0;
  int left = 0;
  while (const CURLMsg* message = curl->multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* transfer = nullptr;
    const CURLcode code = message->data.result;
    curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    finish(*reinterpret_cast<Transfer*>(transfer), code);
    ++ended;
  }
  return ended;
}

HttpClient::HttpClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
HttpClient::HttpClient(HttpClient&&) noexcept = default;

HttpClient::~HttpClient() {
  if (!state_) return;
  for (const auto& transfer : state_->transfers) state_->release(*transfer);
  state_->curl->multi_cleanup(state_->multi);
}

Result<HttpClient> HttpClient::create() {
  auto state = std::make_unique<State>();
  state->curl = TRY(load_curl());
  // OpenSSL writes to sockets in ways that raise it when the other end is gone.
  ::signal(SIGPIPE, SIG_IGN);
  state->multi = state->curl->multi_init();
  if (state->multi == nullptr) return Error(0, "libcurl cannot be started");
  // One connection a layer: several streams in one connection share its window and are slower.
  state->curl->multi_setopt(state->multi, CURLMOPT_PIPELINING, 0L);
  return HttpClient(std::move(state));
}

Result<Ok> HttpClient::start(const HttpRequest& request, HttpSink sink, Done done) {
  if (!request.url.starts_with("https://") && !(request.allow_http && request.url.starts_with("http://"))) {
    return Error(0, "get ", printable(request.url), ": only https is spoken");
  }
  auto transfer = std::make_unique<Transfer>();
  transfer->request = request;
  transfer->sink = std::move(sink);
  transfer->done = std::move(done);
  state_->launch(*transfer);
  state_->transfers.push_back(std::move(transfer));
  return Ok{};
}

void HttpClient::resume() {
  for (const auto& transfer : state_->transfers) {
    // libcurl may hand out what it held back right here, and the sink may refuse once more.
    if (std::exchange(transfer->paused, false)) state_->curl->easy_pause(transfer->easy, CURLPAUSE_CONT);
  }
}

void HttpClient::cancel_all() {
  for (const auto& transfer : state_->transfers) state_->release(*transfer);
  state_->transfers.clear();
}

Result<Ok> HttpClient::poll(std::span<pollfd> others, int timeout_ms) {
  const Curl& curl = *state_->curl;
  std::vector<curl_waitfd> waits;
  for (const pollfd& other : others) {
    waits.push_back({.fd = other.fd,
                     .events = static_cast<short>(((other.events & POLLIN) != 0 ? CURL_WAIT_POLLIN : 0) |
                                                  ((other.events & POLLOUT) != 0 ? CURL_WAIT_POLLOUT : 0)),
                     .revents = 0});
  }
  // What is done already must not wait for something else to happen.
  if (state_->perform() > 0) return Ok{};
  curl.multi_poll(state_->multi, waits.data(), static_cast<unsigned>(waits.size()), timeout_ms, nullptr);
  state_->perform();
  return Ok{};
}

Result<HttpClient::Body> HttpClient::get(const HttpRequest& request, size_t max_bytes, int retries,
                                         int first_delay_ms) {
  for (int attempt = 1;; ++attempt) {
    Body body;
    bool done = false;
    bool too_large = false;
    const auto sink = [&](const HttpResponse&, std::string_view bytes) {
      too_large = body.bytes.size() + bytes.size() > max_bytes;
      if (too_large) return Taken::stop;
      body.bytes += bytes;
      return Taken::yes;
    };
    TRY(start(request, sink, [&](HttpResponse response) {
      body.response = std::move(response);
      done = true;
    }));
    while (!done) TRY(poll({}, 1000));
    if (too_large) return Error(EFBIG, "get ", printable(request.url), ": larger than ", max_bytes, " bytes");
    if (!body.response.transient || attempt > retries) return body;
    const int delay_ms = retry_delay_ms(body.response, attempt, first_delay_ms);
    const timespec pause{.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1'000'000L};
    ::nanosleep(&pause, nullptr);
  }
}

int retry_delay_ms(const HttpResponse& response, int attempt, int delay_ms) {
  if (const std::optional<int64_t> seconds = retry_after_seconds(response, ::time(nullptr))) {
    return static_cast<int>(std::min(*seconds, kMaxDelaySeconds) * 1000);
  }
  int64_t wait_ms = delay_ms;
  for (int i = 1; i < attempt; ++i) wait_ms = std::min(wait_ms * 3, kMaxDelaySeconds * 1000);
  return static_cast<int>(wait_ms);
}

std::optional<int64_t> retry_after_seconds(const HttpResponse& response, int64_t now) {
  const auto after = response.headers.find("retry-after");
  if (after == response.headers.end()) return std::nullopt;
  if (const auto seconds = parse_number<int64_t>(after->second)) {
    return *seconds >= 0 ? seconds : std::nullopt;
  }
  std::tm parts{};
  const char* end = ::strptime(after->second.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::max<int64_t>(::timegm(&parts) - now, 0);
}

bool answers_range(const HttpResponse& response, int64_t begin, int64_t end, int64_t total) {
  if (response.status != 206) return false;
  const auto header = response.headers.find("content-range");
  if (header == response.headers.end()) return false;
  const std::string expected = cat("bytes ", begin, "-", end - 1, "/");
  return header->second == cat(expected, total) || header->second == cat(expected, "*");
}

std::shared_ptr<const Certificates> for_another_host(const std::shared_ptr<const Certificates>& certificates) {
  if (!certificates || certificates->client_certificate.empty()) return certificates;
  return std::make_shared<Certificates>(Certificates{.authorities = certificates->authorities});
}

std::string url_origin(std::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string();
  const size_t end = url.find_first_of("/?#", scheme + 3);
  std::string_view authority = url.substr(scheme + 3, end == std::string_view::npos ? end : end - scheme - 3);
  // A user's name in the address does not make it another host.
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);
  std::string out = lower(cat(url.substr(0, scheme), "://", authority));
  if (out.starts_with("https://") && out.ends_with(":443")) out.resize(out.size() - 4);
  if (out.starts_with("http://") && out.ends_with(":80")) out.resize(out.size() - 3);
  return out;
}

}  // namespace moss::engine
