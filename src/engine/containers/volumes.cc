// -v SOURCE:DESTINATION[:OPTIONS], --mount type=…,…, --tmpfs PATH[:OPTIONS], as Podman writes them.
#include "src/engine/containers/volumes.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>

#include "moss/sys/file.hh"

namespace moss::engine {

std::string clean_path(std::string_view path) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    parts.push_back(part);
  }
  std::string out;
  for (const std::string_view part : parts) out += cat("/", part);
  return out.empty() ? "/" : out;
}

namespace {

Result<std::string> clean_destination(std::string_view text, const std::string& option) {
  if (!text.starts_with('/')) return Error(0, option, ": the path inside must be absolute: ", printable(text));
  std::string path = clean_path(text);
  if (path == "/") return Error(0, option, ": the root itself cannot be mounted over");
  // CVE-2019-16884: who replaces /proc decides what the kernel is told about the process.
  if (path == "/proc" || path.starts_with("/proc/")) return Error(0, option, ": nothing may be mounted over /proc");
  return path;
}

Result<std::string> host_source(std::string_view text, const std::string& option) {
  std::string path(text);
  if (!path.starts_with('/')) {
    if (!path.starts_with('.')) {
      return Error(0, option, ": named volumes are not supported; give a path that starts with / or .");
    }
    char cwd[PATH_MAX];
    if (::getcwd(cwd, sizeof cwd) == nullptr) return sys_error(option, ": find the current folder");
    path = cat(std::string_view(cwd), "/", path);
  }
  path = clean_path(path);
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return sys_error(option, ": ", printable(path), " on this host");
  return path;
}

class OptionReader {
 public:
  OptionReader(std::string option, oci::Mount& mount) : option_(std::move(option)), mount_(mount) {}

  // One word after the second colon of -v.
  Result<Ok> take(std::string_view word) {
    if (word == "ro" || word == "readonly") {
      // All of it: what is mounted below the source would stay writable with "ro".
      add("rro");
      return Ok{};
    }
    if (word == "rw") return Ok{};
    if (word == "bind" || word == "rbind") {
      recursive_ = word == "rbind";
      return Ok{};
    }
    for (const char* known : {"nosuid", "suid", "nodev", "dev", "noexec", "exec", "private", "rprivate", "slave",
                              "rslave", "shared", "rshared", "unbindable", "runbindable"}) {
      if (word == known) {
        add(known);
        return Ok{};
      }
    }
    if (word == "O") {
      overlay_ = true;
      return Ok{};
    }
    if ((word == "z" || word == "Z") && !sys::exists("/sys/fs/selinux/enforce")) return Ok{};
    return Error(0, option_, ": option ", printable(word), " is not supported");
  }

  bool overlay() const { return overlay_; }
  void finish() { mount_.options.insert(mount_.options.begin(), recursive_ ? "rbind" : "bind"); }

 private:
  void add(const char* word) { mount_.options.emplace_back(word); }

  std::string option_;
  oci::Mount& mount_;
  bool recursive_ = true;
  bool overlay_ = false;
};

class Collector {
 public:
  explicit Collector(const std::string& lasting) : lasting_(lasting) {}

  Result<Ok> add_volume(const std::string& text) {
    const std::string option = cat("-v ", printable(text));
    const std::vector<std::string_view> parts = split(text, ':');
    if (parts.size() == 1) {
      return Error(0, option, ": volumes without a source are not supported; give HOST-PATH:", printable(text));
    }
    if (parts.empty() || parts.size() > 3) return Error(0, option, ": expected HOST-PATH:CONTAINER-PATH[:OPTIONS]");
    oci::Mount mount{.type = "bind"};
    mount.source = TRY(host_source(parts[0], option));
    mount.destination = TRY(clean_destination(parts[1], option));
    OptionReader reader(option, mount);
    if (parts.size() == 3) {
      for (const std::string_view word : split(parts[2], ',')) TRY(reader.take(word));
    }
    if (reader.overlay()) return add_overlay(mount, option);
    reader.finish();
    return add(std::move(mount), option);
  }

  Result<Ok> add_mount(const std::string& text) {
    const std::string option = cat("--mount ", printable(text));
    std::string type = "volume";
    std::string_view source;
    std::string_view destination;
    std::vector<std::pair<std::string_view, std::optional<std::string_view>>> rest;
    for (const std::string_view part : split(text, ',')) {
      const auto [key, value] = cut(part, '=');
      if (key == "type") {
        type = value.value_or("");
      } else if (key == "source" || key == "src") {
        source = value.value_or("");
      } else if (key == "destination" || key == "dst" || key == "target") {
        destination = value.value_or("");
      } else {
        rest.emplace_back(key, value);
      }
    }
    if (destination.empty()) return Error(0, option, ": destination=PATH is missing");
    if (type == "bind") return add_bind_mount(option, source, destination, rest);
    if (type == "tmpfs") return add_tmpfs_mount(option, source, destination, rest);
    return Error(0, option, ": type ", printable(type), " is not supported; use bind or tmpfs");
  }

  Result<Ok> add_tmpfs(const std::string& text) {
    const std::string option = cat("--tmpfs ", printable(text));
    const auto [path, words] = cut(text, ':');
    oci::Mount mount = new_tmpfs(TRY(clean_destination(path, option)));
    if (words) {
      for (const std::string_view word : split(*words, ',')) TRY(add_tmpfs_word(mount, word, option));
    }
    return add(std::move(mount), option);
  }

  VolumeMounts finish() && {
    std::stable_sort(result_.mounts.begin(), result_.mounts.end(), [](const oci::Mount& a, const oci::Mount& b) {
      return std::count(a.destination.begin(), a.destination.end(), '/') <
             std::count(b.destination.begin(), b.destination.end(), '/');
    });
    return std::move(result_);
  }

 private:
  using Words = std::vector<std::pair<std::string_view, std::optional<std::string_view>>>;

  Result<Ok> add_bind_mount(const std::string& option, std::string_view source, std::string_view destination,
                            const Words& words) {
    oci::Mount mount{.type = "bind"};
    mount.source = TRY(host_source(source, option));
    mount.destination = TRY(clean_destination(destination, option));
    OptionReader reader(option, mount);
    for (const auto& [key, value] : words) {
      const std::string_view truth = value.value_or("true");
      if (key == "ro" || key == "readonly" || key == "rw") {
        if (truth != "true" && truth != "false") return Error(0, option, ": ", printable(key), " is true or false");
        if ((key == "rw") != (truth == "true")) TRY(reader.take("ro"));
      } else if (key == "bind-propagation") {
        TRY(reader.take(truth));
      } else if (key == "bind-nonrecursive") {
        if (truth == "true") TRY(reader.take("bind"));
      } else if (key == "relabel") {
        TRY(reader.take(truth == "shared" ? "z" : "Z"));
      } else if (!value) {
        TRY(reader.take(key));
      } else {
        return Error(0, option, ": option ", printable(key), " is not supported");
      }
    }
    if (reader.overlay()) return Error(0, option, ": option O is not supported here; use -v");
    reader.finish();
    return add(std::move(mount), option);
  }

  Result<Ok> add_tmpfs_mount(const std::string& option, std::string_view source, std::string_view destination,
                             const Words& words) {
    if (!source.empty()) return Error(0, option, ": a tmpfs has no source");
    oci::Mount mount = new_tmpfs(TRY(clean_destination(destination, option)));
    for (const auto& [key, value] : words) {
      std::string word(key);
      if (key == "tmpfs-size" || key == "tmpfs-mode") word = key.substr(6);
      if (value) word += cat("=", *value);
      TRY(add_tmpfs_word(mount, word, option));
    }
    return add(std::move(mount), option);
  }

  static oci::Mount new_tmpfs(std::string destination) {
    return {.destination = std::move(destination),
            .type = "tmpfs",
            .source = "tmpfs",
            .options = {"rprivate", "nosuid", "nodev", "tmpcopyup"}};
  }

  static Result<Ok> add_tmpfs_word(oci::Mount& mount, std::string_view word, const std::string& option) {
    const auto [key, value] = cut(word, '=');
    if (key == "size" && value) {
      mount.options.push_back(cat("size=", TRY(parse_size(*value).context(option))));
      return Ok{};
    }
    if (key == "notmpcopyup") {
      std::erase(mount.options, "tmpcopyup");
      return Ok{};
    }
    for (const char* known : {"mode", "uid", "gid", "nr_inodes"}) {
      if (key != known || !value) continue;
      if (!parse_number<uint64_t>(*value))
        return Error(0, option, ": ", known, " is a number, not ", printable(*value));
      mount.options.emplace_back(word);
      return Ok{};
    }
    for (const char* known : {"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "noatime", "relatime",
                              "tmpcopyup", "rprivate", "private"}) {
      if (word == known) {
        mount.options.emplace_back(word);
        return Ok{};
      }
    }
    return Error(0, option, ": option ", printable(word), " is not supported");
  }

  // -v …:O: the host's folder below, what the container writes in the container's own folder.
  Result<Ok> add_overlay(oci::Mount& mount, const std::string& option) {
    if (mount.source.find_first_of(":,\\") != std::string::npos) {
      return Error(0, option, ": overlayfs takes no \":\", \",\" or \"\\\" in the source's path");
    }
    const std::string folder = cat(lasting_, "/overlays/", result_.mounts.size());
    mount.type = "overlay";
    mount.options = {cat("lowerdir=", mount.source), cat("upperdir=", folder, "/upper"),
                     cat("workdir=", folder, "/work"), "userxattr"};
    mount.source = "overlay";
    result_.folders.push_back(folder + "/upper");
    result_.folders.push_back(folder + "/work");
    return add(std::move(mount), option);
  }

  Result<Ok> add(oci::Mount mount, const std::string& option) {
    for (const oci::Mount& other : result_.mounts) {
      if (other.destination == mount.destination) {
        return Error(0, option, ": something is mounted at ", printable(mount.destination), " already");
      }
    }
    result_.mounts.push_back(std::move(mount));
    return Ok{};
  }

  const std::string& lasting_;
  VolumeMounts result_;
};

}  // namespace

Result<VolumeMounts> volume_mounts(const RunOptions& options, const std::string& lasting) {
  Collector collector(lasting);
  for (const std::string& text : options.volumes) TRY(collector.add_volume(text));
  for (const std::string& text : options.mounts) TRY(collector.add_mount(text));
  for (const std::string& text : options.tmpfs) TRY(collector.add_tmpfs(text));
  return std::move(collector).finish();
}

Result<uint64_t> parse_size(std::string_view text) {
  std::string_view digits = text;
  if (digits.ends_with('b') || digits.ends_with('B')) digits.remove_suffix(1);
  uint64_t unit = 1;
  if (!digits.empty()) {
    switch (digits.back()) {
      case 'k':
      case 'K':
        unit = 1ull << 10;
        break;
      case 'm':
      case 'M':
        unit = 1ull << 20;
        break;
      case 'g':
      case 'G':
        unit = 1ull << 30;
        break;
      case 't':
      case 'T':
        unit = 1ull << 40;
        break;
      default:
        break;
    }
  }
  if (unit != 1) digits.remove_suffix(1);
  const auto number = parse_number<uint64_t>(digits);
  if (!number || *number > UINT64_MAX / unit) {
    return Error(0, "size ", printable(text), ": expected a number of bytes, or one with k, m, g or t behind it");
  }
  return *number * unit;
}

}  // namespace moss::engine
