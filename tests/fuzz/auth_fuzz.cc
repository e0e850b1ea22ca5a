// What a registry answers when it does not know us, WWW-Authenticate headers and token servers' answers; and when it
// has no time for us.
#include "fuzz.hh"
#include "src/engine/images/auth.hh"
#include "src/engine/images/http.hh"
#include "src/engine/images/registries_conf.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const engine::Challenge& challenge : engine::parse_challenges(input)) {
    must(!challenge.scheme.empty(), "a challenge has a scheme");
    for (const bool allow_http : {false, true}) {
      const auto url = engine::token_url(challenge, "repository:a/b:pull", allow_http);
      must_be_short_and_printable(url);
      if (!url.ok()) continue;
      const std::string host = engine::url_origin(*url).substr(std::string_view("http://").size());
      must(url->starts_with("https://") || (url->starts_with("http://") && (allow_http || engine::is_loopback(host))),
           "tokens come by https");
    }
  }
  const auto token = engine::parse_token(input);
  must_be_short_and_printable(token);
  if (token.ok()) {
    must(!token->empty(), "a token is not empty");
    for (const char c : *token) must(c > ' ' && c < 127, "a token is one word of a header");
  }
  const engine::HttpResponse busy{
      .status = 206, .headers = {{"retry-after", std::string(input)}, {"content-range", std::string(input)}}};
  must(engine::retry_after_seconds(busy, 1'000'000).value_or(0) >= 0, "time goes forward");
  const int delay_ms = engine::retry_delay_ms(busy, 3);
  must(delay_ms >= 0 && delay_ms <= 30'000, "nobody waits for longer than 30 s");
  must(!engine::answers_range(busy, 0, 10, 20) || input.starts_with("bytes 0-9/"), "a range is the one asked for");
  return 0;
}
