// A container's layers, by the bundle it was started from.
#include "src/engine/containers/container_layers.hh"

#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfigBytes = 16u << 20;

}  // namespace

std::vector<std::string> ContainerLayers::all() const {
  std::vector<std::string> folders;
  if (!upper.empty()) folders.push_back(upper);
  folders.insert(folders.end(), lower.begin(), lower.end());
  return folders;
}

Result<ContainerLayers> container_layers(const Container& container) {
  const std::string path = container.folder + "/config.json";
  ContainerLayers layers;
  const std::string text = TRY(sys::read_file(path, kMaxConfigBytes));
  layers.config = TRY(oci::decode_config(text).context(path));
  layers.map = id_map_of(container.folder);
  for (const oci::Mount& mount : layers.config.mounts) {
    if (mount.type != "overlay" || mount.destination != "/") continue;
    layers.is_overlay = true;
    for (const std::string& option : mount.options) {
      const auto [name, value] = cut(option, '=');
      if (name == "upperdir") layers.upper = value.value_or("");
      if (name != "lowerdir" || !value) continue;
      for (const std::string_view folder : split(*value, ':')) layers.lower.emplace_back(folder);
    }
  }
  if (!layers.is_overlay) layers.lower = {layers.config.root.path};
  return layers;
}

}  // namespace moss::engine
