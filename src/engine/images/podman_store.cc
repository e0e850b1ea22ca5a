// The store of containers/storage. See the header. What its files mean: containers-storage(1), storage/layers.go's
// comments, and tar-split's README.
#include "podman_store.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "moss/base/base64.hh"
#include "moss/sys/file.hh"
#include "moss/sys/path.hh"
#include "names.hh"
#include "resolve.hh"
#include "storage_conf.hh"

namespace moss::engine {

namespace {

using Json = nlohmann::json;

constexpr size_t kMaxListBytes = 64u << 20;  // images.json, layers.json
constexpr size_t kMaxLineBytes = 64u << 20;  // one header of a tar, with its extensions
constexpr size_t kBufferBytes = 256u << 10;

struct StorePlace {
  std::string root;
  std::string driver;
  std::string name;
};

// "[overlay@/root+/run:options]name", "[/root]name", "name".
Result<StorePlace> parse_place(const std::string& text) {
  StorePlace place;
  std::string_view rest = text;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return Error(0, printable(text), ": \"[\" is not closed");
    std::string_view inside = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    if (const size_t at = inside.find('@'); at != std::string_view::npos) {
      place.driver = inside.substr(0, at);
      inside.remove_prefix(at + 1);
    }
    place.root = inside.substr(0, inside.find_first_of("+:"));
  }
  place.name = rest;
  if (place.root.empty()) {
    PodmanPlace usual = TRY(podman_place());
    place.root = std::move(usual.root);
    if (place.driver.empty()) place.driver = std::move(usual.driver);
  }
  if (place.name.empty()) return Error(0, "which image of ", place.root, "?");
  if (place.driver.empty()) {
    place.driver = sys::exists(place.root + "/overlay-images/images.json") ? "overlay" : "vfs";
  }
  if (place.driver != "overlay" && place.driver != "vfs") {
    return Error(0, "storage driver ", printable(place.driver), " is not supported; moss reads overlay and vfs");
  }
  return place;
}

// How the store writes the name of a file that holds a piece of an image.
std::string file_name(const std::string& key) {
  const bool plain = std::all_of(key.begin(), key.end(),
                                 [](char c) { return c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
  if (plain) return key;
  return "=" + base64_encode(key);
}

std::string text_of(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : std::string();
}

// Nothing where it is no integer, or too large for one; 0 where there is none.
std::optional<int64_t> integer_of(const Json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end()) return 0;
  if (!member->is_number_integer()) return std::nullopt;
  const auto value = member->get<int64_t>();
  return member->is_number_unsigned() && value < 0 ? std::nullopt : std::optional(value);
}

Result<Json> read_list(const std::string& path) {
  const std::string text = TRY(sys::read_file(path, kMaxListBytes));
  Json list = Json::parse(text, nullptr, false);
  if (!list.is_array()) return Error(0, path, ": expected a list");
  return list;
}

// It names a folder and files: no more than the digits it should be.
bool is_id(std::string_view text) { return text.size() == 64 && may_be_id(text); }

std::vector<std::string> names_in(const Json& image) {
  std::vector<std::string> names;
  const auto list = image.find("names");
  if (list == image.end() || !list->is_array()) return names;
  for (const Json& name : *list) {
    if (name.is_string()) names.push_back(name.get<std::string>());
  }
  return names;
}

bool is_meant(const Json& image, const std::string& word, const std::vector<std::string>& full_names) {
  const std::vector<std::string> names = names_in(image);
  for (const std::string& full : full_names) {
    if (std::find(names.begin(), names.end(), full) != names.end()) return true;
  }
  return word.size() >= 4 && may_be_id(word) && text_of(image, "id").starts_with(word);
}

Result<std::vector<PodmanLayer>> find_layers(const StorePlace& place, std::string top) {
  const Json all = TRY(read_list(cat(place.root, "/", place.driver, "-layers/layers.json")));
  std::vector<PodmanLayer> layers;
  while (!top.empty()) {
    if (!is_id(top)) return Error(0, "a layer's id is ", printable(top.substr(0, 100)), "; refused");
    if (layers.size() >= kMaxLayers) return Error(0, "more than ", kMaxLayers, " layers; refused");
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const Json& layer) { return layer.is_object() && text_of(layer, "id") == top; });
    if (found == all.end()) return Error(0, "layer ", top, " is missing there");
    layers.push_back({top, text_of(*found, "diff-digest")});
    top = text_of(*found, "parent");
  }
  std::reverse(layers.begin(), layers.end());
  return layers;
}

std::string content_folder(const PodmanImage& image, const std::string& layer) {
  return image.driver == "vfs" ? cat(image.root, "/vfs/dir/", layer) : cat(image.root, "/overlay/", layer, "/diff");
}

// A file of the layer into the tar: exactly what its header promises.
Result<Ok> copy_file(const Fd& folder, const std::string& name, int64_t size, int output) {
  const Fd file = TRY(sys::open_beneath(folder.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW));
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return sys_error("stat ", printable(name));
  if (!S_ISREG(status.st_mode) || status.st_size != size) {
    return Error(0, printable(name), " was changed in Podman's store");
  }
  std::vector<char> buffer(kBufferBytes);
  while (size > 0) {
    const size_t want = static_cast<size_t>(std::min<int64_t>(size, static_cast<int64_t>(buffer.size())));
    const ssize_t got = ::read(file.get(), buffer.data(), want);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read ", printable(name));
    if (got == 0) return Error(0, printable(name), " became shorter while it was read");
    TRY(sys::write_all(output, {buffer.data(), static_cast<size_t>(got)}, "a layer"));
    size -= got;
  }
  return Ok{};
}

// One line of tar-split: bytes as they were, or a file to put in.
Result<Ok> write_piece(const Fd& folder, std::string_view line, int output) {
  constexpr int kFile = 1;
  constexpr int kBytes = 2;
  const Json piece = Json::parse(line, nullptr, false);
  if (!piece.is_object()) return Error(0, "tar-split: a line is no JSON object");
  const std::optional<int64_t> type = integer_of(piece, "type");
  if (type == kBytes) {
    const std::optional<std::string> bytes = base64_decode(text_of(piece, "payload"));
    if (!bytes) return Error(0, "tar-split: a payload is not base64");
    return sys::write_all(output, *bytes, "a layer");
  }
  if (type != kFile) return Error(0, "tar-split: a line of unknown kind");
  const std::optional<int64_t> size = integer_of(piece, "size");
  if (!size) return Error(0, "tar-split: a file's size is no integer");
  if (*size <= 0) return Ok{};
  std::string name = text_of(piece, "name");
  if (name.empty()) name = base64_decode(text_of(piece, "name_raw")).value_or("");
  return copy_file(folder, name, *size, output);
}

}  // namespace

Result<PodmanImage> find_podman_image(const std::string& text) {
  const StorePlace place = TRY(parse_place(text));
  const std::string images = cat(place.root, "/", place.driver, "-images");
  if (!sys::exists(images + "/images.json")) return Error(0, "Podman has no images in ", place.root);
  std::vector<std::string> full_names;
  if (const Result<ImageName> name = parse_image_name(place.name); name.ok()) {
    for (const std::string& candidate : local_candidates(*name)) full_names.push_back(cat(candidate, name->suffix()));
  }
  const Json list = TRY(read_list(images + "/images.json"));
  const auto found = std::find_if(list.begin(), list.end(), [&](const Json& image) {
    return image.is_object() && is_meant(image, place.name, full_names);
  });
  if (found == list.end()) return Error(0, printable(place.name), ": no such image in ", place.root);
  const std::string id = text_of(*found, "id");
  if (!is_id(id)) return Error(0, "an image's id is ", printable(id.substr(0, 100)), "; refused");
  PodmanImage image{.root = place.root, .driver = place.driver, .names = names_in(*found)};
  image.config_text = TRY(sys::read_file(cat(images, "/", id, "/", file_name("sha256:" + id)), kMaxConfigBytes));
  image.layers = TRY(find_layers(place, text_of(*found, "layer")));
  return image;
}

Result<Ok> write_podman_layer(const PodmanImage& image, const PodmanLayer& layer, int output) {
  const std::string path = cat(image.root, "/", image.driver, "-layers/", layer.id, ".tar-split.gz");
  Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  const Fd folder = TRY(sys::open_at(AT_FDCWD, content_folder(image, layer.id), O_RDONLY | O_DIRECTORY));
  const std::unique_ptr<gzFile_s, decltype(&::gzclose)> reader(::gzdopen(fd.get(), "rb"), &::gzclose);
  if (!reader) return Error(ENOMEM, "read ", path);
  // The reader closes it.
  (void)fd.release();
  std::string lines;
  std::vector<char> buffer(kBufferBytes);
  while (true) {
    const int got = ::gzread(reader.get(), buffer.data(), static_cast<unsigned>(buffer.size()));
    if (got < 0) return Error(0, path, " is damaged");
    lines.append(buffer.data(), static_cast<size_t>(got));
    size_t begin = 0;
    for (size_t end = lines.find('\n'); end != std::string::npos; end = lines.find('\n', begin)) {
      if (end > begin)
        TRY(write_piece(folder, std::string_view(lines).substr(begin, end - begin), output).context(path));
      begin = end + 1;
    }
    lines.erase(0, begin);
    if (lines.size() > kMaxLineBytes) return Error(EFBIG, path);
    if (got == 0) break;
  }
  return lines.empty() ? Result<Ok>(Ok{}) : write_piece(folder, lines, output).context(path);
}

}  // namespace moss::engine
