// Challenges and tokens. See the header.
#include "auth.hh"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "http.hh"
#include "moss/base/base64.hh"
#include "registries_conf.hh"

namespace moss::engine {

namespace {

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 9110 "tchar".
bool is_token_char(char c) {
  return is_letter_or_digit(c) || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

class ChallengeReader {
 public:
  explicit ChallengeReader(std::string_view text) : text_(text) {}

  std::vector<Challenge> read() {
    std::vector<Challenge> challenges;
    while (true) {
      skip(" \t,");
      const std::string name = lower(token());
      if (name.empty()) return challenges;
      skip(" \t");
      // "scheme" is followed by a blank and a parameter; "parameter" by "=".
      if (at('=') && !challenges.empty()) {
        ++position_;
        skip(" \t");
        challenges.back().parameters[name] = at('"') ? quoted() : token();
      } else if (at('=')) {
        return challenges;
      } else {
        challenges.push_back({name, {}});
      }
    }
  }

 private:
  bool at(char c) const { return position_ < text_.size() && text_[position_] == c; }
  void skip(std::string_view these) {
    while (position_ < text_.size() && these.find(text_[position_]) != std::string_view::npos) ++position_;
  }
  std::string token() {
    const size_t start = position_;
    while (position_ < text_.size() && is_token_char(text_[position_])) ++position_;
    return std::string(text_.substr(start, position_ - start));
  }
  std::string quoted() {
    std::string out;
    for (++position_; position_ < text_.size() && text_[position_] != '"'; ++position_) {
      if (text_[position_] == '\\' && position_ + 1 < text_.size()) ++position_;
      out += text_[position_];
    }
    // Past the closing quote, where there is one.
    if (position_ < text_.size()) ++position_;
    return out;
  }

  std::string_view text_;
  size_t position_ = 0;
};

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) { return ChallengeReader(header).read(); }

Result<std::string> token_url(const Challenge& bearer, const std::string& scope, bool allow_http) {
  const auto realm = bearer.parameters.find("realm");
  if (realm == bearer.parameters.end()) return Error(0, "the registry asks for a token but names no realm");
  const std::string& url = realm->second;
  // A registry on loopback may be plain because nobody listens in there. That says nothing of where it sends us.
  const std::string origin = url_origin(url);
  const bool may_be_plain =
      allow_http || is_loopback(std::string_view(origin).substr(std::min<size_t>(7, origin.size())));
  if (!url.starts_with("https://") && !(may_be_plain && url.starts_with("http://"))) {
    return Error(0, "the registry asks for a token from ", printable(url),
                 ", which is not https; moss sends nothing there");
  }
  std::string out = url;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  const auto add = [&](std::string_view name, std::string_view value) {
    out += cat(separator, name, "=", percent_encode(value));
    separator = '&';
  };
  if (const auto service = bearer.parameters.find("service"); service != bearer.parameters.end()) {
    add("service", service->second);
  }
  if (!scope.empty()) add("scope", scope);
  return out;
}

Result<std::string> parse_token(std::string_view json) {
  const auto document = nlohmann::json::parse(json, nullptr, false);
  if (document.is_object()) {
    for (const char* name : {"token", "access_token"}) {
      const auto member = document.find(name);
      if (member == document.end() || !member->is_string()) continue;
      const auto& token = member->get_ref<const std::string&>();
      // It becomes a header line: a line end in it would begin another one.
      const bool clean = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
      if (!token.empty() && clean) return token;
    }
  }
  return Error(0, "the token server's answer holds no token");
}

std::string basic_authorization(const Credentials& credentials) {
  return "Basic " + base64_encode(cat(credentials.user, ":", credentials.secret));
}

std::string percent_encode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_letter_or_digit(c) || std::string_view("-._~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

}  // namespace moss::engine
