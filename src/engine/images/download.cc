// See download.hh.
#include "download.hh"

#include <unistd.h>

#include <optional>

#include "moss/sys/file.hh"

namespace moss::engine {

bool is_url(std::string_view text) { return text.starts_with("https://") || text.starts_with("http://"); }

Result<HttpResponse> receive_file(HttpClient& http, const HttpRequest& request, int file, int64_t max_bytes,
                                  const std::string& what) {
  std::optional<Error> failure;
  std::optional<HttpResponse> answer;
  int64_t bytes = 0;
  const auto sink = [&](const HttpResponse&, std::string_view piece) {
    bytes += static_cast<int64_t>(piece.size());
    const Result<Ok> written = bytes > max_bytes ? Result<Ok>(Error(EFBIG, what)) : sys::write_all(file, piece, what);
    if (written.ok()) return Taken::yes;
    failure = written.error();
    return Taken::stop;
  };
  TRY(http.start(request, sink, [&](HttpResponse response) { answer = std::move(response); }));
  while (!answer) TRY(http.poll({}, 1000));
  if (failure) return *failure;
  return *std::move(answer);
}

Result<Fd> download_to_staging(Ingest& ingest, const std::string& url, int64_t max_bytes) {
  HttpClient http = TRY(HttpClient::create());
  HttpRequest request;
  request.url = url;
  request.allow_http = url.starts_with("http://");
  Fd file = TRY(ingest.create_file("download"));
  const Result<HttpResponse> answer = receive_file(http, request, file.get(), max_bytes, "what comes from there");
  if (!answer.ok()) return explain(answer.error(), ingest.store());
  if (answer->status == 0) return Error(0, "download it: ", printable(answer->failure));
  if (answer->status / 100 != 2) return Error(0, "download it: the server answered ", answer->status);
  if (!answer->failure.empty()) return Error(0, "download it: ", printable(answer->failure));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys_error("read what was downloaded");
  return file;
}

}  // namespace moss::engine
