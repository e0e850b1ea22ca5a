// Image references, cut from the right: first the digest, then the tag, and what is left is the name.
#include "moss/oci/reference.hh"

#include <algorithm>

#include "moss/oci/image.hh"

namespace moss::oci {

namespace {

/// Longer than any valid name with tag and digest.
constexpr size_t kMaxReferenceBytes = 1024;

/// Names come from command lines and files of others: an error shows no more of them than a person would read.
std::string quoted(std::string_view text) { return excerpt(text, 100); }

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_tag(std::string_view tag) {
  return !tag.empty() && tag.size() <= 128 && tag.front() != '.' && tag.front() != '-' &&
         std::all_of(tag.begin(), tag.end(), [](char c) {
           return is_lower(c) || is_upper(c) || is_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

/// Words of lower-case letters and digits, with ".", "_", "__" or any number of "-" between two of them.
bool is_component(std::string_view component) {
  const auto is_word = [](char c) { return is_lower(c) || is_digit(c); };
  if (component.empty() || !is_word(component.front()) || !is_word(component.back())) return false;
  for (size_t i = 0; i < component.size();) {
    if (is_word(component[i])) {
      ++i;
      continue;
    }
    const size_t end = static_cast<size_t>(
        std::find_if(component.begin() + static_cast<ptrdiff_t>(i), component.end(), is_word) - component.begin());
    const std::string_view separator = component.substr(i, end - i);
    const bool is_dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!is_dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end;
  }
  return true;
}

bool is_host(std::string_view host) {
  if (host.size() > 255) return false;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return std::all_of(host.begin() + 1, host.end() - 1, [](char c) {
      return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':';
    });
  }
  const std::vector<std::string_view> labels = split(host, '.');
  return !labels.empty() && std::all_of(labels.begin(), labels.end(), [](std::string_view label) {
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(),
                       [](char c) { return is_lower(c) || is_upper(c) || is_digit(c) || c == '-'; });
  });
}

bool is_registry(std::string_view registry) {
  const size_t colon = registry.rfind(':');
  const bool has_port = colon != std::string_view::npos && registry.back() != ']';
  if (!has_port) return is_host(registry);
  const auto port = parse_number<uint16_t>(registry.substr(colon + 1));
  return is_host(registry.substr(0, colon)) && port && *port != 0;
}

/// What Docker itself makes stands there, under names of one part.
bool is_in_library(std::string_view registry, std::string_view repository) {
  return registry == "docker.io" && repository.find('/') == std::string_view::npos;
}

bool is_image_id(std::string_view text) { return Digest::parse(cat("sha256:", text)).ok(); }

/// What a whole reference and each of its parts must be, whether a registry is named or not.
Result<Reference> parse_parts(std::string_view text) {
  if (text.size() > kMaxReferenceBytes) return Error(0, "bad image name: longer than ", kMaxReferenceBytes, " bytes");
  const auto wrong = [text](const auto&... what) {
    return Error(0, "bad image name \"", quoted(text), "\": ", what...);
  };
  if (text.empty()) return wrong("it is empty");
  if (text.find("://") != std::string_view::npos)
    return wrong("expected a name such as quay.io/podman/hello, found a URL");

  Reference reference;
  std::string_view name = text;
  if (const size_t at = name.find('@'); at != std::string_view::npos) {
    const Digest digest = TRY(Digest::parse(name.substr(at + 1)).context("bad image name \"", quoted(text), '"'));
    reference.digest = digest.text();
    name = name.substr(0, at);
  }

  // A ':' before a '/' belongs to a port.
  const size_t last_slash = name.rfind('/');
  const size_t tag_colon = name.find(':', last_slash == std::string_view::npos ? 0 : last_slash);
  if (tag_colon != std::string_view::npos) {
    reference.tag = name.substr(tag_colon + 1);
    if (!is_tag(reference.tag)) {
      return wrong("bad tag \"", quoted(reference.tag),
                   "\": expected at most 128 letters, digits, '_', '.' and '-', not beginning with '.' or '-'");
    }
    name = name.substr(0, tag_colon);
  } else if (reference.digest.empty()) {
    reference.tag = "latest";
  }

  std::string_view repository = name;
  if (!is_short_name(name)) {
    const size_t slash = name.find('/');
    reference.registry = name.substr(0, slash);
    repository = name.substr(slash + 1);
    if (!is_registry(reference.registry)) {
      return wrong("bad registry \"", quoted(reference.registry), "\": expected a host, perhaps with a :port");
    }
  }
  if (repository.size() > kMaxRepositoryBytes) {
    return wrong("the repository is longer than ", kMaxRepositoryBytes, " bytes");
  }
  if (std::any_of(repository.begin(), repository.end(), is_upper)) {
    return wrong("a repository is written in lower case");
  }
  size_t components = 0;
  for (const std::string_view component : split(repository, '/')) {
    ++components;
    if (is_component(component)) continue;
    return wrong("bad part \"", quoted(component),
                 "\": expected lower-case letters and digits, with '.', '_', '__' or '-' between them");
  }
  if (components == 0) return wrong("the repository is missing");
  reference.repository = repository;
  return reference;
}

}  // namespace

bool is_short_name(std::string_view name) {
  const auto [first, rest] = cut(name, '/');
  return !rest || (first.find_first_of(".:") == std::string_view::npos && first != "localhost");
}

Result<Reference> parse_reference(std::string_view name) {
  Reference reference = TRY(parse_parts(name));
  if (reference.registry.empty()) {
    return Error(0, "bad image name \"", quoted(name), "\": it names no registry; write docker.io/", quoted(name),
                 " or the like");
  }
  if (reference.registry == "index.docker.io") reference.registry = "docker.io";
  if (is_in_library(reference.registry, reference.repository)) {
    reference.repository.insert(0, "library/");
    if (reference.repository.size() > kMaxRepositoryBytes) {
      return Error(0, "bad image name \"", quoted(name), "\": the repository is longer than ", kMaxRepositoryBytes,
                   " bytes");
    }
  }
  return reference;
}

Result<Reference> parse_short_name(std::string_view name) {
  Reference reference = TRY(parse_parts(name));
  if (!reference.registry.empty()) return Error(0, "\"", quoted(name), "\" is not a short name: it names a registry");
  if (is_image_id(reference.repository)) {
    return Error(0, "bad image name \"", quoted(name), "\": 64 hex digits are an image id, not a name");
  }
  return reference;
}

std::string name_in(std::string_view registry, std::string_view repository) {
  return cat(registry, is_in_library(registry, repository) ? "/library/" : "/", repository);
}

std::string repository_name(const Reference& reference) {
  if (reference.registry.empty()) return reference.repository;
  return cat(reference.registry, '/', reference.repository);
}

std::string to_string(const Reference& reference) {
  std::string text = repository_name(reference);
  if (!reference.tag.empty()) text += cat(':', reference.tag);
  if (!reference.digest.empty()) text += cat('@', reference.digest);
  return text;
}

}  // namespace moss::oci
