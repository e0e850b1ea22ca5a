// Blobs to a registry. See the header for the order of things.
#include "upload.hh"

#include <algorithm>
#include <memory>
#include <set>

#include "moss/base/time.hh"

namespace moss::engine {

namespace {

constexpr int kIdleMs = 1000;
constexpr int64_t kProgressIntervalMs = 50;
// Up to this size a blob goes in one request with its digest: one round trip less, and little is lost by a break.
constexpr int64_t kWholeBytes = 8LL << 20;
// Pieces for who takes no larger ones, unless they ask for more.
constexpr int64_t kPieceBytes = 16LL << 20;
constexpr int64_t kMaxPieceBytes = 1LL << 30;
// A registry that takes nothing of what it is sent, again and again, is given up.
constexpr int kMaxStarts = 5;
constexpr size_t kMaxAnswerBytes = 1u << 20;

bool is_done(const HttpResponse& response) { return response.status / 100 == 2 && response.failure.empty(); }

// One blob on its way.
struct Upload {
  enum class State { queued, busy, pausing, finished };
  enum class Next { ask, begin, go_on };

  const OutgoingBlob* blob = nullptr;
  State state = State::queued;
  Next next = Next::ask;               ///< what a pause ends with
  std::vector<std::string> sources;    ///< repositories to mount from, not tried yet
  std::optional<HttpResponse> place;   ///< the answer whose Location leads to the upload
  int64_t sent = 0;                    ///< bytes the registry has
  std::optional<int64_t> piece_bytes;  ///< the most in one request
  int64_t min_piece_bytes = 0;         ///< OCI-Chunk-Min-Length
  int starts = 0;
  int corrections = 0;  ///< how often the registry said that it is elsewhere
  int attempt = 0;
  int64_t resume_at_ms = 0;
  int64_t told_at_ms = 0;

  int64_t size() const { return blob->descriptor.size; }
};

class BlobUploads {
 public:
  BlobUploads(HttpClient& http, Registry& registry, const PushOptions& options)
      : http_(http), registry_(registry), options_(options) {}
  // Transfers on their way call back into this value.
  ~BlobUploads() { http_.cancel_all(); }

  void add(const OutgoingBlob& blob, const MountSources& sources) {
    if (!digests_.insert(blob.descriptor.digest).second) return;
    auto upload = std::make_unique<Upload>();
    upload->blob = &blob;
    if (const auto known = sources.find(blob.descriptor.digest); known != sources.end()) {
      upload->sources = known->second;
    }
    uploads_.push_back(std::move(upload));
  }

  Result<Ok> run() {
    while (true) {
      auto active = std::count_if(uploads_.begin(), uploads_.end(), [](const auto& u) { return is_active(*u); });
      for (const auto& upload : uploads_) {
        // One alone until the registry knows who we are.
        const auto most = known_ ? std::max(options_.connections, 1) : 1;
        if (upload->state != Upload::State::queued || active >= most) continue;
        TRY(ask(*upload));
        ++active;
      }
      if (active == 0) return Ok{};
      TRY(http_.poll({}, wait_ms()));
      for (const auto& upload : uploads_) {
        if (!failure_ && upload->state == Upload::State::pausing && now_ms() >= upload->resume_at_ms) {
          TRY(go_on(*upload));
        }
      }
      if (failure_) return *failure_;
    }
  }

 private:
  static bool is_active(const Upload& upload) {
    return upload.state == Upload::State::busy || upload.state == Upload::State::pausing;
  }

  int wait_ms() const {
    int64_t wait = kIdleMs;
    for (const auto& upload : uploads_) {
      if (upload->state == Upload::State::pausing) {
        wait = std::clamp<int64_t>(upload->resume_at_ms - now_ms(), 1, wait);
      }
    }
    return static_cast<int>(wait);
  }

  void tell(Progress::Phase phase, const Upload& upload, int64_t done) const {
    if (!options_.progress) return;
    options_.progress({.phase = phase, .digest = upload.blob->descriptor.digest, .done = done, .total = upload.size()});
  }

  // What an answer leads to: a function of this class.
  using Handler = Result<Ok> (BlobUploads::*)(Upload&, const HttpResponse&);

  Result<Ok> start(Upload& upload, const HttpRequest& request, Handler handler) {
    upload.state = Upload::State::busy;
    return http_.start(
        request,
        [bytes = size_t{0}](const HttpResponse&, std::string_view piece) mutable {
          bytes += piece.size();
          return bytes > kMaxAnswerBytes ? Taken::stop : Taken::yes;
        },
        [this, &upload, handler](const HttpResponse& response) {
          if (failure_) return;
          Result<Ok> handled = (this->*handler)(upload, response);
          if (!handled.ok() && !failure_) failure_ = handled.error();
        });
  }

  // Whether the same thing is to be done once more, at once (with a token) or after a pause.
  Result<bool> again(Upload& upload, const HttpResponse& response, Upload::Next next) {
    if (response.status == 401 && TRY(registry_.authorize(response))) {
      upload.next = next;
      upload.resume_at_ms = now_ms();
      upload.state = Upload::State::pausing;
      return true;
    }
    const bool broke_off = response.status / 100 == 2 && !response.failure.empty();
    if ((!response.transient && !broke_off) || upload.attempt >= options_.retries) return false;
    upload.next = next;
    upload.resume_at_ms = now_ms() + retry_delay_ms(response, ++upload.attempt, options_.retry_delay_ms);
    upload.state = Upload::State::pausing;
    return true;
  }

  Result<Ok> go_on(Upload& upload) {
    switch (upload.next) {
      case Upload::Next::ask:
        return ask(upload);
      case Upload::Next::begin:
        return begin(upload);
      case Upload::Next::go_on:
        return ask_progress(upload);
    }
    return Ok{};
  }

  Error refusal(const Upload& upload, const HttpResponse& response) const {
    return registry_.describe_push(response, cat("blob ", upload.blob->descriptor.digest));
  }

  Result<Ok> ask(Upload& upload) {
    return start(upload, registry_.repository_request("HEAD", cat("blobs/", upload.blob->descriptor.digest)),
                 &BlobUploads::asked);
  }

  Result<Ok> asked(Upload& upload, const HttpResponse& response) {
    if (response.status != 401) known_ = true;
    if (is_done(response)) return finish(upload, Progress::Phase::exists);
    if (TRY(again(upload, response, Upload::Next::ask))) return Ok{};
    // A registry may hide from those who may only write whether a blob is there.
    if (response.status == 404 || response.status == 403 || response.status == 405) return begin(upload);
    return refusal(upload, response);
  }

  Result<Ok> begin(Upload& upload) {
    std::string path = "blobs/uploads/";
    if (!upload.sources.empty()) {
      path += cat("?mount=", percent_encode(upload.blob->descriptor.digest),
                  "&from=", percent_encode(upload.sources.back()));
    }
    return start(upload, registry_.repository_request("POST", path), &BlobUploads::begun);
  }

  Result<Ok> begun(Upload& upload, const HttpResponse& response) {
    if (TRY(again(upload, response, Upload::Next::begin))) return Ok{};
    const bool was_mount = !upload.sources.empty();
    if (was_mount) upload.sources.pop_back();
    if (was_mount && response.status == 201) return finish(upload, Progress::Phase::mounted);
    // What may not be read there may still be written here.
    if (was_mount && response.status != 202) return begin(upload);
    if (!is_done(response) || response.status != 202) return refusal(upload, response);
    ++upload.starts;
    if (const auto length = response.headers.find("oci-chunk-min-length"); length != response.headers.end()) {
      upload.min_piece_bytes =
          std::clamp<int64_t>(parse_number<int64_t>(length->second).value_or(0), 0, kMaxPieceBytes);
    }
    upload.place = response;
    upload.sent = 0;
    upload.attempt = 0;
    tell(Progress::Phase::sending, upload, 0);
    const bool whole = upload.size() <= std::min(kWholeBytes, upload.piece_bytes.value_or(kWholeBytes));
    return whole ? end(upload) : send_piece(upload);
  }

  // The place's address with the digest in its query.
  Result<HttpRequest> place_request(const Upload& upload, const std::string& method, bool with_digest) {
    HttpRequest request = TRY(registry_.location_request(method, *upload.place));
    if (with_digest) {
      request.url += cat(request.url.find('?') == std::string::npos ? '?' : '&',
                         "digest=", percent_encode(upload.blob->descriptor.digest));
    }
    return request;
  }

  void attach(Upload& upload, HttpRequest& request, int64_t bytes) {
    request.body_file = upload.blob->file->get();
    request.body_offset = upload.sent;
    request.body_bytes = bytes;
    request.headers.emplace_back("Content-Type: application/octet-stream");
    request.sent = [this, &upload, from = upload.sent](int64_t done) {
      const int64_t now = now_ms();
      if (now - upload.told_at_ms < kProgressIntervalMs) return;
      upload.told_at_ms = now;
      tell(Progress::Phase::sending, upload, from + done);
    };
  }

  Result<Ok> send_piece(Upload& upload) {
    const int64_t left = upload.size() - upload.sent;
    const int64_t bytes = std::min(left, upload.piece_bytes.value_or(left));
    HttpRequest request = TRY(place_request(upload, "PATCH", false));
    attach(upload, request, bytes);
    request.headers.push_back(cat("Content-Range: ", upload.sent, "-", upload.sent + bytes - 1));
    return start(upload, request, &BlobUploads::piece_sent);
  }

  Result<Ok> piece_sent(Upload& upload, const HttpResponse& response) {
    if (!is_done(response)) return not_sent(upload, response);
    const int64_t before = upload.sent;
    TRY(learn_progress(
        upload, response,
        upload.sent + std::min(upload.size() - upload.sent, upload.piece_bytes.value_or(upload.size()))));
    if (upload.sent <= before) return start_over(upload, response);
    // What works again is as good as new.
    upload.attempt = 0;
    return upload.sent < upload.size() ? send_piece(upload) : end(upload);
  }

  // The last request of an upload; all of a small blob is in it.
  Result<Ok> end(Upload& upload) {
    HttpRequest request = TRY(place_request(upload, "PUT", true));
    if (upload.sent < upload.size()) attach(upload, request, upload.size() - upload.sent);
    return start(upload, request, &BlobUploads::ended);
  }

  Result<Ok> ended(Upload& upload, const HttpResponse& response) {
    if (is_done(response)) return finish(upload, Progress::Phase::sent);
    return not_sent(upload, response);
  }

  Result<Ok> not_sent(Upload& upload, const HttpResponse& response) {
    if (response.status == 413) {
      constexpr int64_t kSmallestPieceBytes = 256 << 10;
      const int64_t tried = std::min(upload.piece_bytes.value_or(4 * kPieceBytes), upload.size());
      const int64_t smaller = std::max({tried / 4, upload.min_piece_bytes, kSmallestPieceBytes});
      if (smaller < tried) {
        upload.piece_bytes = smaller;
        return begin(upload);
      }
    }
    // The registry and moss do not agree on how far they are: the registry is right.
    if (response.status == 416) {
      return ++upload.corrections > kMaxStarts ? refusal(upload, response) : ask_progress(upload);
    }
    if (response.status == 404) return start_over(upload, response);
    if (TRY(again(upload, response, Upload::Next::go_on))) return Ok{};
    return refusal(upload, response);
  }

  // An upload that the registry has forgotten. It may have ended, though, where only the answer was lost.
  Result<Ok> start_over(Upload& upload, const HttpResponse& response) {
    if (upload.starts >= kMaxStarts && response.status / 100 != 2) return refusal(upload, response);
    if (upload.starts >= kMaxStarts) {
      return Error(0, "send blob ", upload.blob->descriptor.digest, " to ", registry_.host(),
                   ": the registry loses what it is sent, again and again");
    }
    upload.place.reset();
    return ask(upload);
  }

  Result<Ok> ask_progress(Upload& upload) {
    if (!upload.place) return ask(upload);
    return start(upload, TRY(place_request(upload, "GET", false)), &BlobUploads::told_progress);
  }

  Result<Ok> told_progress(Upload& upload, const HttpResponse& response) {
    if (TRY(again(upload, response, Upload::Next::go_on))) return Ok{};
    if (!is_done(response)) return start_over(upload, response);
    TRY(learn_progress(upload, response, 0));
    // "0-0" is what some say of nothing and others of one byte; what began as one request goes so again.
    if (upload.sent <= 1) return start_over(upload, response);
    tell(Progress::Phase::sending, upload, upload.sent);
    return upload.sent < upload.size() ? send_piece(upload) : end(upload);
  }

  // "Range: 0-1023" means 1,024 bytes.
  Result<Ok> learn_progress(Upload& upload, const HttpResponse& response, int64_t otherwise) {
    // An answer without a Location leaves the upload where it was.
    if (response.headers.contains("location")) upload.place = response;
    upload.sent = otherwise;
    if (const auto range = response.headers.find("range"); range != response.headers.end()) {
      std::string_view text = range->second;
      if (text.starts_with("bytes=")) text.remove_prefix(6);
      const std::optional<int64_t> last = parse_number<int64_t>(cut(text, '-').second.value_or(""));
      if (last) upload.sent = *last + 1;
    }
    if (upload.sent >= 0 && upload.sent <= upload.size()) return Ok{};
    return Error(0, "send blob ", upload.blob->descriptor.digest, " to ", registry_.host(),
                 ": the registry says it has ", upload.sent, " bytes of ", upload.size());
  }

  Result<Ok> finish(Upload& upload, Progress::Phase phase) {
    upload.state = Upload::State::finished;
    tell(phase, upload, upload.size());
    return Ok{};
  }

  HttpClient& http_;
  Registry& registry_;
  const PushOptions& options_;
  std::vector<std::unique_ptr<Upload>> uploads_;
  std::set<std::string> digests_;
  bool known_ = false;  ///< a first request was answered
  std::optional<Error> failure_;
};

}  // namespace

Result<Ok> upload_blobs(HttpClient& http, Registry& registry, const std::vector<const OutgoingBlob*>& blobs,
                        const MountSources& sources, const PushOptions& options) {
  BlobUploads uploads(http, registry, options);
  for (const OutgoingBlob* blob : blobs) uploads.add(*blob, sources);
  return uploads.run();
}

Result<Ok> upload_manifest(HttpClient& http, Registry& registry, const std::string& tag_or_digest,
                           const oci::Descriptor& descriptor, const std::string& text, const PushOptions& options,
                           HttpResponse* answer) {
  for (int attempt = 1;;) {
    HttpRequest request = registry.repository_request("PUT", cat("manifests/", tag_or_digest));
    request.headers.push_back(cat("Content-Type: ", descriptor.media_type));
    request.body = text;
    HttpResponse response = TRY(http.get(request, kMaxAnswerBytes, 0)).response;
    if (response.status == 401 && TRY(registry.authorize(response))) continue;
    if (is_done(response)) {
      const auto digest = response.headers.find("docker-content-digest");
      if (digest != response.headers.end() && digest->second != descriptor.digest) {
        return Error(0, "send manifest ", descriptor.digest, " to ", registry.host(),
                     ": the registry has stored something else, ", printable(digest->second));
      }
      if (answer != nullptr) *answer = std::move(response);
      return Ok{};
    }
    if (!response.transient || attempt > options.retries) {
      return registry.describe_push(response, cat("manifest ", tag_or_digest));
    }
    const int delay_ms = retry_delay_ms(response, attempt++, options.retry_delay_ms);
    const timespec pause{.tv_sec = delay_ms / 1000, .tv_nsec = delay_ms % 1000 * 1'000'000L};
    ::nanosleep(&pause, nullptr);
  }
}

}  // namespace moss::engine
