// Archives that are named by a URL: load -i https://…, import https://….
#pragma once

#include <string>
#include <string_view>

#include "http.hh"
#include "ingest.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// Whether it begins with http:// or https://.
bool is_url(std::string_view text);

/// Sends a request whose answer's body goes into `file`, and gives the answer, whatever its status. `what` is its
/// bytes, for messages. Errors: larger than `max_bytes`; no space.
Result<HttpResponse> receive_file(HttpClient& http, const HttpRequest& request, int file, int64_t max_bytes,
                                  const std::string& what);

/// Fetches it into a file in staging, and gives that, to be read from its beginning. Nothing vouches for the bytes but
/// the server's certificate: with http:// nobody does. Errors: larger than `max_bytes`; any answer but 2xx.
Result<Fd> download_to_staging(Ingest& ingest, const std::string& url, int64_t max_bytes);

}  // namespace moss::engine
