// A Docker daemon's images. See the header.
#include "docker_daemon.hh"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "auth.hh"
#include "download.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxAnswerBytes = 1u << 20;

HttpRequest request_to(const std::string& socket, const std::string& method, const std::string& path) {
  HttpRequest request;
  request.method = method;
  request.url = "http://localhost" + path;
  request.allow_http = true;
  request.unix_socket = socket;
  return request;
}

// {"message": "…"}
Error describe(const std::string& doing, const HttpResponse& response) {
  const auto document = nlohmann::json::parse(response.complaint, nullptr, false);
  if (document.is_object() && document.contains("message") && document["message"].is_string()) {
    return Error(0, doing, ": Docker says: ", excerpt(document["message"].get_ref<const std::string&>(), 300));
  }
  if (response.status == 0) return Error(0, doing, ": ", printable(response.failure));
  return Error(0, doing, ": Docker answered ", response.status, response.failure.empty() ? "" : ", ",
               printable(response.failure));
}

}  // namespace

Result<std::string> find_docker_socket() {
  std::vector<std::string> places;
  if (const char* host = std::getenv("DOCKER_HOST"); host != nullptr && *host != 0) {
    const std::string_view text = host;
    if (!text.starts_with("unix://"))
      return Error(0, "DOCKER_HOST is ", printable(text), "; only unix:// is supported");
    places.emplace_back(text.substr(7));
  } else {
    if (const char* run = std::getenv("XDG_RUNTIME_DIR"); run != nullptr && *run == '/') {
      places.push_back(cat(run, "/docker.sock"));
    }
    places.emplace_back("/var/run/docker.sock");
  }
  for (const std::string& place : places) {
    if (!sys::exists(place)) continue;
    if (::access(place.c_str(), R_OK | W_OK) != 0) return sys_error("use Docker's socket ", place);
    return place;
  }
  return Error(0, "no Docker daemon: ", places.back(), " is not there");
}

Result<Ok> export_from_docker(const std::string& socket, const std::string& name, int file, int64_t max_bytes) {
  HttpClient http = TRY(HttpClient::create());
  const HttpRequest request = request_to(socket, "GET", "/images/get?names=" + percent_encode(name));
  const HttpResponse answer =
      TRY(receive_file(http, request, file, max_bytes, cat("Docker's archive of ", printable(name))));
  if (answer.status / 100 == 2 && answer.failure.empty()) return Ok{};
  return describe(cat("get ", printable(name), " from Docker"), answer);
}

Result<Ok> import_into_docker(const std::string& socket, int file, int64_t bytes) {
  HttpClient http = TRY(HttpClient::create());
  HttpRequest request = request_to(socket, "POST", "/images/load?quiet=1");
  request.headers.emplace_back("Content-Type: application/x-tar");
  request.body_file = file;
  request.body_bytes = bytes;
  const HttpClient::Body body = TRY(http.get(request, kMaxAnswerBytes, 0));
  if (body.response.status / 100 != 2 || !body.response.failure.empty()) {
    return describe("give an image to Docker", body.response);
  }
  // One JSON document a line; an error may be among them.
  for (const std::string_view line : split(body.bytes, '\n')) {
    const auto document = nlohmann::json::parse(line, nullptr, false);
    if (document.is_object() && document.contains("error")) {
      return Error(0, "give an image to Docker: it says: ", excerpt(document["error"].dump(), 300));
    }
  }
  return Ok{};
}

}  // namespace moss::engine
