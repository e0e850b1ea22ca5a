// moss export and moss commit: a container's files as a tar, and as an image.
#include <algorithm>

#include "moss/base/time.hh"
#include "moss/engine/add_layer.hh"
#include "moss/engine/container_files.hh"
#include "moss/engine/image_change.hh"
#include "moss/engine/pull.hh"
#include "moss/sys/host.hh"
#include "src/engine/containers/container_layers.hh"
#include "src/engine/containers/layered_root.hh"
#include "src/engine/containers/pause.hh"
#include "src/engine/containers/store.hh"
#include "src/engine/containers/tar_of_layers.hh"
#include "src/engine/containers/users.hh"
#include "src/engine/containers/work_inside.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxPasswdBytes = 4u << 20;
constexpr int kDefaultStopSignal = 15;

// Variables that moss sets for every container, and nobody asked for.
bool is_usual(std::string_view variable) {
  const std::string_view name = cut(variable, '=').first;
  return name == "HOME" || name == "HOSTNAME" || name == "TERM" || name == "container";
}

std::vector<std::string> env_of(const oci::Config& config, const oci::ImageRunConfig& base) {
  std::vector<std::string> env;
  for (const std::string& variable : config.process.env) {
    const bool in_base = std::find(base.env.begin(), base.env.end(), variable) != base.env.end();
    if (in_base || !is_usual(variable)) env.push_back(variable);
  }
  return env;
}

// The image's own word for the user where that is who the container ran as.
std::string user_of(const ContainerLayers& layers, const oci::ImageRunConfig& base) {
  const LayeredRoot root(layers.all());
  const auto read = [&](const char* path) {
    const Result<std::optional<std::string>> text = root.read(path, kMaxPasswdBytes);
    return text.ok() ? text->value_or("") : std::string();
  };
  const Result<ResolvedUser> usual = resolve_user(base.user, read("etc/passwd"), read("etc/group"), {});
  const auto& user = layers.config.process.user;
  if (usual.ok() && usual->uid == user.uid && usual->gid == user.gid) return base.user;
  return cat(user.uid, ":", user.gid);
}

// What the container began with, as its image would say it.
oci::ImageRunConfig run_config_of(const Container& container, const ContainerLayers& layers,
                                  const oci::ImageRunConfig& base, bool include_volumes) {
  const ContainerRecord& record = container.record;
  oci::ImageRunConfig config = base;
  config.env = env_of(layers.config, base);
  config.user = user_of(layers, base);
  const bool same_entrypoint = record.command.size() >= base.entrypoint.size() &&
                               std::equal(base.entrypoint.begin(), base.entrypoint.end(), record.command.begin());
  if (!same_entrypoint) config.entrypoint.clear();
  config.cmd.assign(record.command.begin() + static_cast<int64_t>(config.entrypoint.size()), record.command.end());
  const std::string& cwd = layers.config.process.cwd;
  if (cwd != "/" || !base.working_dir.empty()) config.working_dir = cwd;
  for (const auto& [key, value] : record.labels) config.labels[key] = value;
  if (record.stop_signal != kDefaultStopSignal) config.stop_signal = cat(record.stop_signal);
  if (include_volumes) {
    for (const oci::Mount& mount : layers.config.mounts) {
      // Binds of moss's own files lie under /etc; what a user mounted is anything else.
      const bool of_user = mount.type == "bind" && !mount.source.starts_with(container.folder + "/") &&
                           !mount.destination.starts_with("/etc/") && !mount.destination.starts_with("/dev/") &&
                           !mount.destination.starts_with("/run/.");
      if (of_user) config.volumes.push_back(mount.destination);
    }
    std::sort(config.volumes.begin(), config.volumes.end());
    config.volumes.erase(std::unique(config.volumes.begin(), config.volumes.end()), config.volumes.end());
  }
  return config;
}

// The folders that are the image's and the container's, without moss's places to mount on.
std::vector<std::string> without_skeleton(const Paths& paths, std::vector<std::string> folders) {
  std::erase(folders, paths.data + "/skeleton");
  return folders;
}

}  // namespace

Result<Ok> export_container(const Paths&, const Container& container, int to) {
  const ContainerLayers layers = TRY(container_layers(container));
  const FoldersInside folders(layers.all());
  Result<Ok> done = work_inside(
      layers.map,
      [&](int) -> Result<Ok> {
        const MergedDir root = TRY(folders.open());
        return write_all_files(root, false, to);
      },
      [](int) -> Result<Ok> { return Ok{}; });
  return std::move(done).context("export ", container.record.name);
}

Result<Image> commit_container(const Paths& paths, const Container& container, const CommitOptions& options) {
  const ContainerRecord& record = container.record;
  const ContainerLayers layers = TRY(container_layers(container));
  if (!layers.is_overlay || record.image_id.empty()) {
    return Error(0, "container ", record.name,
                 " was made of a folder (--rootfs) and not of an image; try: moss export ", record.name,
                 " | moss import - NAME");
  }
  ImageStore store(paths.data);
  const Fd hold = TRY(store.hold());
  const std::optional<Image> base = TRY(store.find("sha256:" + record.image_id));
  if (!base) return Error(0, "the image of container ", record.name, " is gone");

  if (base->read_only && !options.squash) {
    return Error(0, "the image of container ", record.name,
                 " is in a read-only store, and its layers are not here; pull ", "it, or commit with --squash");
  }
  AddLayerOptions add;
  add.name = options.name;
  add.docker_format = options.docker_format;
  const sys::Host host = TRY(sys::probe_host());
  add.map = TRY(default_id_map(host)).map;
  add.config = base->config;
  add.config.config = run_config_of(container, layers, base->config.config, options.include_volumes);
  for (const std::string& change : options.changes) TRY(apply_change(add.config.config, change));
  add.config.created = now_rfc3339();
  add.config.author = options.author;
  if (options.squash) {
    add.config.history.clear();
  } else {
    add.below = base->layers;
  }
  add.config.history.push_back({.created = add.config.created,
                                .created_by = join(record.command, " "),
                                .author = options.author,
                                .comment = options.message});

  const FoldersInside upper(layers.upper.empty() ? std::vector<std::string>() : std::vector{layers.upper});
  const FoldersInside lower(without_skeleton(paths, layers.lower));
  const FoldersInside all(without_skeleton(paths, layers.all()));
  Result<Image> image = add_layer(store, add, [&](const ReadLayer& read) -> Result<Ok> {
    // Only while its files are read.
    std::optional<Paused> paused;
    if (options.pause && container.state.status == Status::running) paused.emplace(TRY(Paused::pause(container)));
    return work_inside(
        layers.map,
        [&](int out) -> Result<Ok> {
          if (options.squash) {
            const MergedDir root = TRY(all.open());
            return write_all_files(root, true, out);
          }
          const MergedDir top = TRY(upper.open());
          if (top.empty()) return write_all_files({}, true, out);
          const MergedDir below = TRY(lower.open());
          return write_layer(top.front(), below, out);
        },
        read);
  });
  return std::move(image).context("commit ", record.name);
}

}  // namespace moss::engine
