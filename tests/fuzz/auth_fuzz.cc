// What a registry answers when it does not know us: WWW-Authenticate headers and token servers' answers.
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
  return 0;
}
