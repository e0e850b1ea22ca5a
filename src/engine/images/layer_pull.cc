// Layers: locks, transfers, verification, and what to do where one of them fails. See the header.
#include "layer_pull.hh"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "blob_stream.hh"
#include "moss/base/time.hh"
#include "moss/sys/file.hh"
#include "pieces_fetch.hh"
#include "reuse.hh"

namespace moss::engine {

namespace {

static_assert(kMaxHttpPiece <= BlobStream::kMaxOffer);
constexpr int kIdleMs = 1000;
constexpr int kLockPollMs = 50;
constexpr int64_t kProgressIntervalMs = 50;

// One layer on its way.
struct Download {
  enum class State { queued, fetching, pausing, unpacking, finished };

  size_t index = 0;
  ImageLayer layer;
  State state = State::queued;
  std::optional<NameLock> lock;
  std::string blob_name;                ///< in staging; empty where the store has the blob
  std::unique_ptr<BlobStream> stream;   ///< until its digest is known
  std::unique_ptr<PiecesFetch> pieces;  ///< where some of its bytes are here; else it is fetched from end to end
  bool drop_pieces = false;             ///< the registry does not give them
  bool guessed = false;                 ///< bytes came from here: if they are wrong, it is fetched once more
  int64_t reused = 0;
  int64_t received = 0;           ///< bytes given to it
  int64_t skip = 0;               ///< of an answer that begins at the beginning again
  bool answered = false;          ///< this transfer has given bytes
  std::shared_ptr<int> transfer;  ///< what belongs to an earlier one is forgotten
  std::optional<UnpackJob> job;
  int attempt = 0;
  int64_t resume_at_ms = 0;
  int64_t told_at_ms = 0;
  bool waits = false;  ///< another moss has the lock
};

}  // namespace

class LayerPull::State {
 public:
  State(Ingest& ingest, HttpClient& http, Registry& registry, const PullOptions& options, const std::string& repository,
        const std::vector<oci::Descriptor>& blobs)
      : ingest_(ingest), http_(http), registry_(registry), options_(options), finder_(ingest.store(), repository) {
    for (const oci::Descriptor& blob : blobs) {
      // The same blob twice in one image is one download.
      const bool known = std::any_of(downloads_.begin(), downloads_.end(),
                                     [&](const auto& d) { return d->layer.blob.digest == blob.digest; });
      if (known) continue;
      downloads_.push_back(std::make_unique<Download>());
      downloads_.back()->index = ingest_.next_index();
      downloads_.back()->layer.blob = blob;
    }
  }

  // Transfers on their way call back into this value.
  ~State() { http_.cancel_all(); }

  Result<Ok> begin_early() { return begin_more(); }

  Result<Ok> run(const std::vector<ImageLayer>& layers) {
    for (const auto& download : downloads_) {
      download->layer = *std::find_if(layers.begin(), layers.end(), [&](const ImageLayer& layer) {
        return layer.blob.digest == download->layer.blob.digest;
      });
    }
    while (true) {
      if (failure_) return *failure_;
      TRY(begin_more());
      if (finished()) return Ok{};
      TRY(wait());
      for (const auto& download : downloads_) TRY(advance(*download));
    }
  }

  bool lost_connection() const { return lost_connection_; }

 private:
  bool finished() const {
    return std::all_of(downloads_.begin(), downloads_.end(),
                       [](const auto& d) { return d->state == Download::State::finished; });
  }
  static bool is_active(const Download& d) {
    return d.state != Download::State::queued && d.state != Download::State::finished;
  }

  bool is_alone() const {
    return std::none_of(downloads_.begin(), downloads_.end(), [](const auto& d) { return is_active(*d); });
  }

  void tell(Progress::Phase phase, const Download& download) const {
    if (!options_.progress) return;
    options_.progress({.phase = phase,
                       .digest = download.layer.blob.digest,
                       .done = download.received,
                       .total = download.layer.blob.size,
                       .reused = download.reused});
  }

  Result<Ok> begin_more() {
    auto active = std::count_if(downloads_.begin(), downloads_.end(), [](const auto& d) { return is_active(*d); });
    for (const auto& download : downloads_) {
      if (download->state != Download::State::queued || active >= std::max(options_.connections, 1)) continue;
      const bool begun = TRY(begin(*download));
      if (begun && is_active(*download)) ++active;
    }
    // Somebody else may wait for what is done here while this one waits for them: show it before waiting.
    if (active == 0 && !finished()) TRY(ingest_.publish());
    return Ok{};
  }

  // False where another moss is fetching the same layer.
  Result<bool> begin(Download& download) {
    const ImageLayer& layer = download.layer;
    const auto digest = TRY(oci::Digest::parse(layer.blob.digest));
    download.lock = TRY(NameLock::try_acquire(ingest_.store(), std::string(digest.hex())));
    if (!download.lock) {
      if (!download.waits) tell(Progress::Phase::waiting, download);
      download.waits = true;
      return false;
    }
    const bool has_blob = ingest_.has_blob(layer.blob);
    // What it unpacks to must be known first.
    if (has_blob && layer.diff_id.empty()) {
      download.lock.reset();
      return true;
    }
    if (has_blob && ingest_.has_layer(layer.diff_id)) {
      download.lock.reset();
      download.state = Download::State::finished;
      download.received = layer.blob.size;
      tell(Progress::Phase::exists, download);
      return true;
    }
    if (has_blob) {
      const Fd blob = TRY(sys::open_at(AT_FDCWD, blob_path(ingest_.store(), digest), O_RDONLY | O_NONBLOCK));
      download.job = TRY(ingest_.unpack(download.index, blob.get()));
      download.received = layer.blob.size;
      download.state = Download::State::unpacking;
      tell(Progress::Phase::unpacking, download);
      return true;
    }
    if (std::optional<Reuse> reuse = find_reuse(download)) {
      download.pieces = std::make_unique<PiecesFetch>(
          http_, *std::move(reuse), layer.blob.size,
          PiecesFetch::Caller{
              .request = [this, &download] { return registry_.blob_request(download.layer.blob.digest); },
              .offer = [this, &download](std::string_view bytes) { return take(download, bytes); },
              .broke =
                  [this, &download](const HttpResponse& response) {
                    const Result<Ok> ended = end_pieces(download, response);
                    if (!ended.ok() && !failure_) failure_ = ended.error();
                  }});
      download.guessed = true;
    }
    TRY(begin_stream(download));
    return true;
  }

  // What is here of the layer's bytes, in other layers. For a layer without a table of contents this is nothing.
  std::optional<Reuse> find_reuse(const Download& download) {
    const oci::Descriptor& blob = download.layer.blob;
    return finder_.find(
        blob, [&](int64_t offset, int64_t bytes) { return registry_.get_blob_part(blob, offset, bytes); },
        [&]() -> std::optional<Fd> {
          const std::string name = cat("toc-", download.index);
          Result<Fd> file = ingest_.create_file(name);
          if (!file.ok()) return std::nullopt;
          (void)::unlinkat(ingest_.staging(), name.c_str(), 0);
          return std::move(file).value();
        });
  }

  // The line from the network to the unpacked layer, and the first bytes into it.
  Result<Ok> begin_stream(Download& download) {
    const auto digest = TRY(oci::Digest::parse(download.layer.blob.digest));
    download.blob_name = cat("blob-", download.index);
    Fd file = TRY(ingest_.create_file(download.blob_name));
    RingWriter ring = TRY(RingWriter::create(is_alone() ? BlobStream::kRingBytes : BlobStream::kSmallRingBytes));
    download.job = TRY(ingest_.unpack(download.index, ring.take_reader().get()));
    download.stream = TRY(BlobStream::start(std::move(file), std::move(ring), digest.algorithm()));
    tell(Progress::Phase::downloading, download);
    return fetch(download);
  }

  // What was put together is not the layer: once more, from the registry alone. Nobody needs to know.
  Result<Ok> begin_again(Download& download) {
    download.guessed = false;
    download.pieces.reset();
    download.transfer.reset();
    http_.resume();
    download.job.reset();
    download.stream.reset();
    download.received = download.reused = 0;
    if (::unlinkat(ingest_.staging(), download.blob_name.c_str(), 0) != 0)
      return sys_error("remove ", download.blob_name);
    download.index = ingest_.next_index();
    return begin_stream(download);
  }

  Result<Ok> fetch(Download& download) {
    if (download.pieces) {
      download.state = Download::State::fetching;
      download.pieces->begin(download.received);
      return Ok{};
    }
    HttpRequest request = registry_.blob_request(download.layer.blob.digest);
    request.from_byte = download.received;
    download.skip = 0;
    download.answered = false;
    download.state = Download::State::fetching;
    download.transfer = std::make_shared<int>();
    const std::weak_ptr<int> transfer = download.transfer;
    return http_.start(
        request,
        [this, &download, transfer](const HttpResponse& response, std::string_view bytes) {
          return transfer.expired() ? Taken::stop : receive(download, response, bytes);
        },
        [this, &download, transfer](const HttpResponse& response) {
          if (transfer.expired()) return;
          Result<Ok> ended = end_fetch(download, response);
          if (!ended.ok() && !failure_) failure_ = ended.error();
        });
  }

  // Where it ends the transfer, failure_ says why.
  Taken receive(Download& download, const HttpResponse& response, std::string_view bytes) {
    // A server that does not know ranges begins again: what is here already comes once more.
    if (!std::exchange(download.answered, true) && response.status != 206) download.skip = download.received;
    const auto skipped = std::min<int64_t>(download.skip, static_cast<int64_t>(bytes.size()));
    bytes.remove_prefix(static_cast<size_t>(skipped));
    if (download.received + static_cast<int64_t>(bytes.size()) > download.layer.blob.size) {
      failure_ = Error(0, "layer ", download.layer.blob.digest, " is larger than the ", download.layer.blob.size,
                       " bytes it was promised with; refused");
      return Taken::stop;
    }
    if (!take(download, bytes)) return Taken::later;
    download.skip -= skipped;
    return Taken::yes;
  }

  // The layer's next bytes. False where there is no room for them.
  bool take(Download& download, std::string_view bytes) {
    if (!download.stream->offer(bytes)) return false;
    download.received += static_cast<int64_t>(bytes.size());
    if (const int64_t now = now_ms(); now - download.told_at_ms >= kProgressIntervalMs) {
      download.told_at_ms = now;
      tell(Progress::Phase::downloading, download);
    }
    return true;
  }

  void end_bytes(Download& download) {
    download.stream->close();
    download.state = Download::State::unpacking;
    tell(Progress::Phase::unpacking, download);
  }

  // From within a transfer's end: the pieces stay until advance_pieces().
  Result<Ok> end_pieces(Download& download, const HttpResponse& response) {
    if (response.status == 401 && TRY(registry_.authorize(response))) return fetch(download);
    download.drop_pieces = !response.transient || !try_again_soon(download, response);
    return Ok{};
  }

  Result<Ok> advance_pieces(Download& download) {
    if (!download.drop_pieces) {
      download.drop_pieces = !download.pieces->advance().ok();
      download.reused = download.pieces->reused();
    }
    if (download.drop_pieces) {
      // The rest in one, as after any broken download; whoever does not know ranges sends it from the beginning.
      download.drop_pieces = false;
      download.pieces.reset();
      if (download.received < download.layer.blob.size) return fetch(download);
    }
    if (download.received == download.layer.blob.size) {
      download.pieces.reset();
      end_bytes(download);
    }
    return Ok{};
  }

  // False where that was done often enough.
  bool try_again_soon(Download& download, const HttpResponse& response) const {
    if (download.attempt >= options_.retries) return false;
    download.resume_at_ms = now_ms() + retry_delay_ms(response, ++download.attempt, options_.retry_delay_ms);
    download.state = Download::State::pausing;
    return true;
  }

  Result<Ok> end_fetch(Download& download, const HttpResponse& response) {
    if (failure_) return *failure_;
    const oci::Descriptor& blob = download.layer.blob;
    const bool whole = response.status / 100 == 2 && response.failure.empty();
    if (whole && download.received == blob.size) {
      end_bytes(download);
      return Ok{};
    }
    if (response.status == 401 && TRY(registry_.authorize(response))) return fetch(download);
    // An answer that ends early without an error is one of HTTP's ways to break off.
    if ((response.transient || whole) && try_again_soon(download, response)) return Ok{};
    if (whole) {
      return Error(0, "layer ", blob.digest, " ends after ", download.received, " bytes of ", blob.size, "; refused");
    }
    lost_connection_ = true;
    return registry_.describe(response, cat("layer ", blob.digest));
  }

  // The end of the ring is the end of the layer: only what is verified may end.
  Result<Ok> verify(Download& download) {
    download.stream->clear_event();
    http_.resume();
    const std::optional<Result<std::string>> digest = download.stream->result();
    if (!digest) return Ok{};
    if (!digest->ok()) return explain(digest->error(), ingest_.store());
    const oci::Descriptor& blob = download.layer.blob;
    if (**digest != blob.digest) {
      if (download.guessed) return begin_again(download);
      return Error(0, "layer ", blob.digest, ": its content has the digest ", **digest, "; refused");
    }
    download.stream.reset();
    return Ok{};
  }

  Result<Ok> wait() {
    std::vector<pollfd> waits;
    int timeout_ms = kIdleMs;
    for (const auto& download : downloads_) {
      if (download->state == Download::State::queued && download->waits) timeout_ms = std::min(timeout_ms, kLockPollMs);
      if (download->state == Download::State::pausing) {
        timeout_ms = std::clamp<int>(static_cast<int>(download->resume_at_ms - now_ms()), 1, timeout_ms);
      }
      const bool fetching = download->state == Download::State::fetching;
      if (fetching && download->pieces && download->pieces->wants_turn()) timeout_ms = 0;
      if (download->stream) waits.push_back({download->stream->event(), POLLIN, 0});
      if (download->job) waits.push_back({download->job->fd(), POLLIN, 0});
    }
    return http_.poll(waits, timeout_ms);
  }

  Result<Ok> advance(Download& download) {
    if (failure_) return *failure_;
    if (download.state == Download::State::pausing && now_ms() >= download.resume_at_ms) TRY(fetch(download));
    if (download.stream) TRY(verify(download));
    // After the event was cleared, so that the room it tells of is not missed.
    if (download.pieces && download.state == Download::State::fetching) TRY(advance_pieces(download));
    if (!download.job) return Ok{};
    Result<std::optional<UnpackedLayer>> read =
        download.job->read().context("unpack layer ", download.layer.blob.digest);
    // With the wrong bytes it may fail, or end, before their digest is known.
    const bool verified = download.state == Download::State::unpacking && !download.stream;
    const bool ended = !read.ok() || *read;
    if (ended && !verified && download.guessed) return begin_again(download);
    if (!read.ok()) return explain(read.error(), ingest_.store());
    const std::optional<UnpackedLayer>& unpacked = *read;
    if (!unpacked) return Ok{};
    tell_warnings(options_.progress, *unpacked);
    if (!verified) {
      return Error(0, "unpack layer ", download.layer.blob.digest, ": the child ended before its input");
    }
    download.job.reset();
    TRY(ingest_.take_layer(download.index, download.layer, download.blob_name, unpacked, std::move(download.lock)));
    download.lock.reset();
    download.state = Download::State::finished;
    tell(Progress::Phase::done, download);
    return Ok{};
  }

  Ingest& ingest_;
  HttpClient& http_;
  Registry& registry_;
  const PullOptions& options_;
  ReuseFinder finder_;
  std::vector<std::unique_ptr<Download>> downloads_;
  std::optional<Error> failure_;
  bool lost_connection_ = false;
};

LayerPull::LayerPull(Ingest& ingest, HttpClient& http, Registry& registry, const PullOptions& options,
                     const std::string& repository, const std::vector<oci::Descriptor>& blobs)
    : state_(std::make_unique<State>(ingest, http, registry, options, repository, blobs)) {}
LayerPull::~LayerPull() = default;

Result<Ok> LayerPull::begin_early() { return state_->begin_early(); }
Result<Ok> LayerPull::run(const std::vector<ImageLayer>& layers) { return state_->run(layers); }
bool LayerPull::lost_connection() const { return state_->lost_connection(); }

}  // namespace moss::engine
