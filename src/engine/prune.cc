// Removing what nobody uses.
#include <algorithm>

#include "moss/base/sizes.hh"
#include "moss/base/time.hh"
#include "moss/engine/housekeeping.hh"

namespace moss::engine {

bool PruneFilter::matches(const std::string& created, const std::map<std::string, std::string>& its_labels) const {
  const auto has = [&](const std::pair<std::string, std::optional<std::string>>& label) {
    const auto found = its_labels.find(label.first);
    return found != its_labels.end() && (!label.second || found->second == *label.second);
  };
  if (until && epoch_of(created).value_or(0) >= *until) return false;
  return std::all_of(labels.begin(), labels.end(), has) && std::none_of(not_labels.begin(), not_labels.end(), has);
}

Result<PruneFilter> parse_prune_filter(std::span<const std::string> words) {
  PruneFilter filter;
  for (const std::string& word : words) {
    const auto label_of = [](std::string_view text) {
      const auto [name, value] = cut(text, '=');
      return std::pair(std::string(name), value ? std::optional(std::string(*value)) : std::nullopt);
    };
    const std::string_view text = word;
    if (text.starts_with("until=")) {
      filter.until = TRY(parse_epoch(text.substr(6)).context("--filter until"));
    } else if (text.starts_with("label=") && text.size() > 6) {
      filter.labels.push_back(label_of(text.substr(6)));
    } else if (text.starts_with("label!=") && text.size() > 7) {
      filter.not_labels.push_back(label_of(text.substr(7)));
    } else {
      return Error(0, "--filter ", printable(word),
                   " is not supported; use until=TIME, label=NAME[=VALUE] or label!=…");
    }
  }
  return filter;
}

Result<Pruned> prune_images(const Paths& paths, bool all, const PruneFilter& filter, const IdMap& map) {
  ImageStore store(paths.data);
  Pruned pruned;
  const DiskUsage before = TRY(disk_usage(paths, map));
  for (const Image& image : TRY(store.list_parts())) {
    if (!all && !image.names.empty()) continue;
    if (!filter.matches(image.config.created, image.config.config.labels)) continue;
    // Asked while nobody can look the image up: whoever did has recorded its use by then.
    bool is_used = false;
    const auto used_by_some = [&](const std::string& image_id) {
      const Result<std::vector<Container>> containers = list_containers(paths);
      is_used = !containers.ok() ||
                std::any_of(containers->begin(), containers->end(),
                            [&](const Container& container) { return container.record.image_id == image_id; });
      return is_used;
    };
    const RemoveOptions how{.force = true, .is_used = used_by_some, .map = map};
    const Result<Removed> removed = store.remove(image.id, how);
    if (removed.ok() && !removed->deleted.empty()) {
      pruned.ids.insert(pruned.ids.end(), removed->deleted.begin(), removed->deleted.end());
      continue;
    }
    if (is_used || used_by_some(image.id)) continue;
    // In a list it has the list's name, and goes with it.
    for (const std::string& name : image.names) (void)store.remove(name, how);
    const Result<std::vector<Image>> left = store.list_parts();
    const bool is_left =
        !left.ok() || std::any_of(left->begin(), left->end(), [&](const Image& other) { return other.id == image.id; });
    if (!is_left) {
      pruned.ids.push_back(image.id);
    } else {
      pruned.errors.push_back(removed.ok() ? Error(0, "image ", image.id.substr(0, 12), " is in a list that stays")
                                           : removed.error());
    }
  }
  const DiskUsage after = TRY(disk_usage(paths, map));
  pruned.bytes = std::max<int64_t>(0, before.image_bytes - after.image_bytes);
  return pruned;
}

Result<Pruned> prune_containers(const Paths& paths, const PruneFilter& filter, const IdMap& map) {
  Pruned pruned;
  const DiskUsage all = TRY(disk_usage(paths, map));
  for (const ContainerUsage& usage : all.containers) {
    const Container& container = usage.container;
    if (container.state.status == Status::running) continue;
    if (!filter.matches(container.record.created, container.record.labels)) continue;
    if (const Result<Ok> removed = remove_container(paths, container, false, 0); !removed.ok()) {
      // It was being made when it was listed, and runs now.
      const Result<std::optional<Container>> now = look_up_container(paths, container.record.id);
      if (!now.ok() || !*now || (*now)->state.status != Status::running) pruned.errors.push_back(removed.error());
      continue;
    }
    pruned.ids.push_back(container.record.id);
    pruned.bytes = add_sizes(pruned.bytes, usage.size);
  }
  return pruned;
}

}  // namespace moss::engine
