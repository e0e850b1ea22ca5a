// Challenges, tokens and stored credentials. See the header.
#include "auth.hh"

#include <strings.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "http.hh"
#include "moss/sys/file.hh"
#include "registries_conf.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxAuthFileBytes = 1u << 20;
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

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

std::optional<std::string> base64_decode(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 0xff);
    }
  }
  return out;
}

std::string base64_encode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (i + j < text.size() ? static_cast<unsigned char>(text[i + j]) : 0u);
    }
    for (size_t j = 0; j < 4; ++j) out += i + j > text.size() ? '=' : kBase64[bits >> (18 - 6 * j) & 63];
  }
  return out;
}

// Docker writes its hub as a URL.
std::string key_repository(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) key = cut(key.substr(scheme.size()), '/').first;
  }
  if (key == "index.docker.io" || key == "registry-1.docker.io") return "docker.io";
  return std::string(key);
}

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
  add("scope", scope);
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

Result<std::optional<std::string>> find_credentials(std::string_view auth_json, const std::string& repository) {
  const auto document = nlohmann::json::parse(auth_json, nullptr, false);
  if (!document.is_object()) return Error(0, "not a JSON object");
  const auto auths = document.find("auths");
  if (auths == document.end() || !auths->is_object()) return std::optional<std::string>();
  size_t best = 0;
  std::optional<std::string> found;
  for (const auto& [key, entry] : auths->items()) {
    const std::string prefix = key_repository(key);
    const bool leads = repository == prefix || repository.starts_with(prefix + "/");
    if (!leads || prefix.size() <= best || !entry.is_object()) continue;
    const auto auth = entry.find("auth");
    if (auth == entry.end() || !auth->is_string()) continue;
    std::optional<std::string> decoded = base64_decode(auth->get_ref<const std::string&>());
    if (!decoded || decoded->find(':') == std::string::npos)
      return Error(0, "the entry for ", printable(key.substr(0, 200)), " is not base64 of user:password");
    best = prefix.size();
    found = std::move(decoded);
  }
  return found;
}

Result<std::optional<std::string>> read_credentials(const std::string& repository, const std::string& auth_file) {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
  };
  std::vector<std::string> files;
  if (!auth_file.empty()) {
    files.push_back(auth_file);
  } else if (const std::string named = variable("REGISTRY_AUTH_FILE"); !named.empty()) {
    files.push_back(named);
  } else {
    if (const std::string run = variable("XDG_RUNTIME_DIR"); !run.empty())
      files.push_back(run + "/containers/auth.json");
    if (const std::string home = variable("HOME"); !home.empty()) {
      files.push_back(home + "/.config/containers/auth.json");
      files.push_back(home + "/.docker/config.json");
    }
  }
  for (const std::string& file : files) {
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(file, kMaxAuthFileBytes));
    if (!text) continue;
    std::optional<std::string> found = TRY(find_credentials(*text, repository).context("read ", file));
    if (found) return found;
  }
  return std::optional<std::string>();
}

std::string basic_authorization(std::string_view user_and_password) {
  return "Basic " + base64_encode(user_and_password);
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
