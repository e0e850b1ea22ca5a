// What a user's word for an image may mean. See the header.
// Spec: distribution-spec "Pulling manifests" for the characters; containers-registries.conf(5) for what is short.
#include "names.hh"

#include <algorithm>

#include "moss/oci/image.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxNameBytes = 255;
constexpr size_t kMaxTagBytes = 128;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_letter_or_digit(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

// "[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
bool is_path_component(std::string_view text) {
  size_t i = 0;
  while (true) {
    const size_t start = i;
    while (i < text.size() && is_lower_or_digit(text[i])) ++i;
    if (i == start) return false;
    if (i == text.size()) return true;
    const char separator = text[i];
    const size_t separator_start = i;
    while (i < text.size() && text[i] == separator) ++i;
    const size_t count = i - separator_start;
    const bool allowed = separator == '-' || (separator == '.' && count == 1) || (separator == '_' && count <= 2);
    if (!allowed) return false;
  }
}

// A name, an IPv4 address, or "[::1]", with or without a port.
bool is_host(std::string_view text) {
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const bool address = std::all_of(text.begin() + 1, text.begin() + static_cast<ptrdiff_t>(end),
                                     [](char c) { return c == ':' || c == '.' || is_letter_or_digit(c); });
    if (!address || end == 1) return false;
    text.remove_prefix(end + 1);
    if (text.empty()) return true;
    return text[0] == ':' && parse_number<uint16_t>(text.substr(1)).has_value();
  }
  const auto [name, port] = cut(text, ':');
  if (port && !parse_number<uint16_t>(*port)) return false;
  return !name.empty() && is_letter_or_digit(name.front()) && is_letter_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return c == '-' || c == '.' || is_letter_or_digit(c); });
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTagBytes && text[0] != '.' && text[0] != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == '_' || c == '.' || c == '-' || is_letter_or_digit(c); });
}

// The first part is a registry where it could not be a folder of one: a dot, a port, or "localhost".
bool names_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:[") != std::string_view::npos;
}

}  // namespace

std::string ImageName::suffix() const { return digest.empty() ? ":" + tag : "@" + digest; }

Result<ImageName> parse_image_name(const std::string& text) {
  const auto wrong = [&](const auto&... why) {
    return Error(0, "\"", printable(text.substr(0, 300)), "\" is not an image's name: ", why...);
  };
  std::string_view rest = text;
  if (rest.starts_with("docker://")) rest.remove_prefix(9);
  ImageName name;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const Result<oci::Digest> digest = oci::Digest::parse(rest.substr(at + 1));
    if (!digest.ok()) return wrong(digest.error().message());
    name.digest = digest->text();
    rest = rest.substr(0, at);
  }
  const size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find('/', colon) == std::string_view::npos &&
      (rest.find('/') != std::string_view::npos || !rest.starts_with('['))) {
    const std::string_view tag = rest.substr(colon + 1);
    if (!is_tag(tag)) return wrong("after ':' it needs a tag of letters, digits, '_', '.' and '-', at most 128");
    name.tag = tag;
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) return wrong("it is empty");
  if (rest.size() > kMaxNameBytes) return wrong("it is longer than 255 bytes");
  std::vector<std::string_view> parts = split(rest, '/');
  name.is_short = parts.size() == 1 || !names_registry(parts[0]);
  if (!name.is_short) {
    if (!is_host(parts[0])) return wrong("\"", printable(parts[0]), "\" is not a registry's host");
    parts.erase(parts.begin());
  }
  for (const std::string_view part : parts) {
    if (!is_path_component(part)) {
      return wrong("it may hold lower-case letters and digits, and '.', '_' and '-' between them");
    }
  }
  name.repository = rest;
  // Docker's hub keeps its own images in a folder that nobody writes.
  if (parts.size() == 1 && name.repository == cat("docker.io/", parts[0])) name.repository = cat("docker.io/library/", parts[0]);
  if (!name.digest.empty()) name.tag.clear();
  if (name.digest.empty() && name.tag.empty()) name.tag = "latest";
  return name;
}

std::vector<std::string> local_candidates(const ImageName& name) {
  if (!name.is_short) return {name.repository};
  const bool library = name.repository.find('/') == std::string::npos;
  return {"localhost/" + name.repository, cat("docker.io/", library ? "library/" : "", name.repository)};
}

bool may_be_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace moss::engine
