// Which images --filter leaves.
#include "src/cli/image_filters.hh"

#include <fnmatch.h>

#include <algorithm>

#include "moss/base/time.hh"
#include "src/cli/text.hh"

namespace moss::cli {

namespace {

using engine::ImageStore;
using engine::ImageSummary;
using Fits = std::function<bool(const ImageSummary&)>;

// A pattern fits the whole name or its end from some "/" on, with the tag or without: "alpine", "library/al*:3".
bool name_fits(const std::string& name, const std::string& pattern) {
  const auto [repository, tag] = repository_and_tag(name);
  for (const std::string& whole : {name, repository}) {
    for (size_t start = 0; start != std::string::npos;) {
      if (::fnmatch(pattern.c_str(), whole.c_str() + start, FNM_PATHNAME) == 0) return true;
      const size_t slash = whole.find('/', start);
      start = slash == std::string::npos ? slash : slash + 1;
    }
  }
  return false;
}

Result<bool> parse_bool(std::string_view key, std::string_view value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  return Error(0, "--filter ", key, "=", printable(value), ": use true or false");
}

bool has_label(const ImageSummary& image, std::string_view wanted) {
  const auto [key, value] = cut(wanted, '=');
  const auto label = image.labels.find(std::string(key));
  return label != image.labels.end() && (!value || label->second == *value);
}

int64_t created(const ImageSummary& image) { return epoch_of(image.created).value_or(0); }

class Parser {
 public:
  Parser(const ImageStore& store, const ImageFilters& filters) : store_(store), filters_(filters) {}

  Result<Fits> parse(std::string_view key, const std::string& value) {
    if (key == "id") {
      return Fits(
          [id = std::string(engine::id_digits(value))](const ImageSummary& image) { return image.id.starts_with(id); });
    }
    if (key == "digest") return digest(value);
    if (key == "label") return Fits([value](const ImageSummary& image) { return has_label(image, value); });
    if (key == "before" || key == "since" || key == "after") {
      const std::optional<engine::Image> other = TRY(store_.find(value));
      if (!other) return Error(0, "--filter ", key, "=", printable(value), ": no such image");
      return Fits([at = epoch_of(other->config.created).value_or(0), key](const ImageSummary& image) {
        return key == "before" ? created(image) < at : created(image) > at;
      });
    }
    if (key == "until") {
      const int64_t until = TRY(parse_epoch(value).context("--filter until"));
      return Fits([until](const ImageSummary& image) { return created(image) < until; });
    }
    if (key == "dangling") {
      const bool wanted = TRY(parse_bool(key, value));
      return Fits([wanted](const ImageSummary& image) { return image.names.empty() == wanted; });
    }
    // There are no images here that only serve to build others.
    if (key == "intermediate") {
      const bool wanted = TRY(parse_bool(key, value));
      return Fits([wanted](const ImageSummary&) { return !wanted; });
    }
    if (key == "readonly") {
      const bool wanted = TRY(parse_bool(key, value));
      return Fits([wanted](const ImageSummary& image) { return image.read_only == wanted; });
    }
    if (key == "containers") return containers(value);
    return Error(0, "--filter ", printable(key),
                 " is not supported; use reference, before, since, until, label, dangling, id, digest, containers, "
                 "intermediate or readonly");
  }

 private:
  static Result<Fits> digest(const std::string& value) {
    if (!value.starts_with("sha256:") && !value.starts_with("sha512:")) {
      return Error(0, "--filter digest=", printable(value), ": a digest begins with sha256:");
    }
    return Fits([value](const ImageSummary& image) {
      return image.manifest_digest.starts_with(value) ||
             std::any_of(image.digests.begin(), image.digests.end(),
                         [&](const std::string& digest) { return digest.starts_with(value); });
    });
  }

  Result<Fits> containers(const std::string& value) {
    // Podman's "external" means containers that other programs made in its store; here are none.
    if (value == "external") return Fits([](const ImageSummary&) { return false; });
    const bool wanted = TRY(parse_bool("containers", value));
    return Fits([wanted, count = filters_.containers](const ImageSummary& image) {
      const Result<size_t> containers = count(image);
      return (containers.ok() && *containers > 0) == wanted;
    });
  }

  const ImageStore& store_;
  const ImageFilters& filters_;
};

}  // namespace

std::pair<std::string, std::string> repository_and_tag(const std::string& name) {
  const auto [repository, suffix] = engine::split_name(name);
  return {repository.empty() ? "<none>" : std::string(repository),
          suffix.starts_with(':') ? std::string(suffix.substr(1)) : "<none>"};
}

Result<std::vector<ImageSummary>> ImageFilters::apply(const ImageStore& store, std::vector<ImageSummary> images) const {
  std::vector<std::string> patterns = names;
  std::vector<std::string> unwanted;
  for (const std::string& word : words) {
    const auto [whole_key, value] = cut(word, '=');
    if (!value) return Error(0, "--filter ", printable(word), ": expected NAME=VALUE");
    const bool negated = whole_key.ends_with('!');
    const std::string_view key = whole_key.substr(0, whole_key.size() - (negated ? 1 : 0));
    if (key == "reference") {
      (negated ? unwanted : patterns).emplace_back(*value);
      continue;
    }
    const Fits fits = TRY(Parser(store, *this).parse(key, std::string(*value)));
    std::erase_if(images, [&](const ImageSummary& image) { return fits(image) == negated; });
  }
  const auto is_any = [](const std::vector<std::string>& of, const std::string& name) {
    return std::any_of(of.begin(), of.end(), [&](const std::string& pattern) { return name_fits(name, pattern); });
  };
  if (!patterns.empty()) {
    std::erase_if(images, [&](ImageSummary& image) {
      // An id chooses all of an image.
      if (std::any_of(names.begin(), names.end(), [&](const std::string& name) {
            const std::string_view id = engine::id_digits(name);
            return !id.empty() && image.id.starts_with(id);
          })) {
        return false;
      }
      std::erase_if(image.names, [&](const std::string& name) { return !is_any(patterns, name); });
      return image.names.empty();
    });
  }
  if (!unwanted.empty()) {
    std::erase_if(images, [&](const ImageSummary& image) {
      return std::any_of(image.names.begin(), image.names.end(),
                         [&](const std::string& name) { return is_any(unwanted, name); });
    });
  }
  return images;
}

}  // namespace moss::cli
