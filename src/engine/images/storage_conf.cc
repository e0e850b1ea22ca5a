// See storage_conf.hh.
#include "storage_conf.hh"

#include <unistd.h>

#include "moss/sys/file.hh"
#include "moss/sys/process.hh"
#include "toml.hh"
#include "toml_headers.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfBytes = 1u << 20;

// "$HOME", "${USER}", "$UID"; the last one is known also where the environment has none.
std::string expand(std::string_view text) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  std::string out;
  while (!text.empty()) {
    const size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.empty()) break;
    const bool braced = text.starts_with("${");
    const size_t begin = braced ? 2 : 1;
    const size_t end = std::min(text.find_first_not_of(kLetters, begin), text.size());
    const std::string name(text.substr(begin, end - begin));
    if (name == "UID") {
      out += cat(::geteuid());
    } else {
      out += sys::variable(name.c_str());
    }
    text.remove_prefix(std::min(text.size(), end + (braced ? 1 : 0)));
  }
  return out;
}

struct StorageConf {
  std::string path;  // empty: there is no file
  toml::table table;

  // A folder under [storage]; empty where none is named.
  Result<std::string> folder(const char* key) const {
    const std::optional<std::string> value = table["storage"][key].value_exact<std::string>();
    if (!value || value->empty()) return std::string();
    std::string expanded = expand(*value);
    if (!expanded.starts_with('/')) {
      return Error(0, path, ": ", key, ": ", printable(*value), " is no absolute path");
    }
    return expanded;
  }
};

// The user's own file, or what the environment names in place of any.
std::string user_conf() {
  if (std::string named = sys::variable("CONTAINERS_STORAGE_CONF"); !named.empty()) return named;
  std::string config = sys::variable("XDG_CONFIG_HOME");
  if (config.empty() && !sys::variable("HOME").empty()) config = sys::variable("HOME") + "/.config";
  std::string path = config + "/containers/storage.conf";
  return !config.empty() && sys::exists(path) ? path : "";
}
std::string system_conf() {
  for (const char* path : {"/etc/containers/storage.conf", "/usr/share/containers/storage.conf"}) {
    if (sys::exists(path)) return path;
  }
  return {};
}

Result<StorageConf> read_conf(std::string path) {
  StorageConf conf{.path = std::move(path), .table = {}};
  if (conf.path.empty()) return conf;
  const std::string text = TRY(sys::read_file(conf.path, kMaxConfBytes));
  TRY(check_toml_headers(text, conf.path));
  toml::parse_result parsed = toml::parse(text, conf.path);
  if (!parsed) {
    return Error(0, conf.path, ":", parsed.error().source().begin.line, ": ",
                 std::string_view(parsed.error().description()));
  }
  conf.table = std::move(parsed).table();
  return conf;
}

std::string driver_of(const StorageConf& conf) {
  if (std::string named = sys::variable("STORAGE_DRIVER"); !named.empty()) return named;
  return conf.table["storage"]["driver"].value_exact<std::string>().value_or("");
}

Result<std::string> users_root() {
  if (const std::string data = sys::variable("XDG_DATA_HOME"); data.starts_with('/'))
    return data + "/containers/storage";
  if (const std::string home = sys::variable("HOME"); home.starts_with('/'))
    return home + "/.local/share/containers/storage";
  return Error(0, "neither HOME nor XDG_DATA_HOME says where Podman keeps its images");
}

}  // namespace

Result<PodmanPlace> podman_place() {
  const bool is_root = ::geteuid() == 0;
  // Root has no file of its own.
  const std::string named = sys::variable("CONTAINERS_STORAGE_CONF");
  const StorageConf own = TRY(read_conf(is_root ? named : user_conf()));
  if (is_root) {
    const StorageConf conf = own.path.empty() ? TRY(read_conf(system_conf())) : own;
    const std::string root = TRY(conf.folder("graphroot"));
    return PodmanPlace{root.empty() ? "/var/lib/containers/storage" : root, driver_of(conf)};
  }
  for (const char* key : {"graphroot", "rootless_storage_path"}) {
    if (std::string root = TRY(own.folder(key)); !root.empty()) return PodmanPlace{std::move(root), driver_of(own)};
  }
  const StorageConf system = TRY(read_conf(system_conf()));
  std::string root = TRY(system.folder("rootless_storage_path"));
  if (root.empty()) root = TRY(users_root());
  return PodmanPlace{std::move(root), driver_of(own.path.empty() ? system : own)};
}

Result<std::vector<std::string>> stores_in_storage_conf() {
  std::string path = user_conf();
  if (path.empty()) path = system_conf();
  const StorageConf conf = TRY(read_conf(std::move(path)));
  std::vector<std::string> stores;
  const toml::node_view<const toml::node> list = conf.table["storage"]["options"]["additionalimagestores"];
  if (!list) return stores;
  if (!list.is_array()) return Error(0, conf.path, ": additionalimagestores: expected a list of folders");
  for (const toml::node& node : *list.as_array()) {
    const std::optional<std::string> store = node.value_exact<std::string>();
    if (!store || !store->starts_with('/')) {
      return Error(0, conf.path, ": additionalimagestores: expected a list of absolute paths");
    }
    stores.push_back(*store);
  }
  return stores;
}

}  // namespace moss::engine
