// What a mount of type "cgroup" is on this host.
//
//   cgroup v2, or hybrid for an ordinary user   one cgroup2 mount
//   v1 and hybrid for real root                 a tmpfs with a mount for each tree, and the usual symlinks
//   the same in a user namespace, without       the same, read-only
//   a cgroup namespace, where they are known
//   v1 for an ordinary user                     nothing: sysfs leaves an empty folder there
//
// In a cgroup namespace of its own a container may be shown the real thing, whose root is its own cgroup. Without one
// the filesystem would show the host's whole tree, so the container's own folder is bound instead; where that is not
// known, the whole tree, read-only (CVE-2023-25809: it must never be writable for somebody who is no root).
// Spec: config-linux.md "Default Filesystems"; see cgroups(7), cgroup_namespaces(7).
#include <sys/mount.h>

#include "runtime/plan/builder.hh"
#include "runtime/plan/mount_options.hh"

namespace moss::runtime {

namespace {

using When = PlannedMount::When;

constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY;

PlannedMount new_filesystem(Builder& b, const char* type, const std::string& destination, std::vector<std::string> data,
                            uint64_t attributes, bool early) {
  const auto [when, slot] = b.turn(early ? When::early : When::in_turn);
  return {
      .prepare = PrepareMount{.slot = slot,
                              .type = type,
                              .source = type,
                              .options = b.plan().list(data),
                              .attributes = attributes,
                              .propagation = 0,
                              .fallback = nullptr,
                              .classic_data = b.text(join(data, ",")),
                              .classic_flags = 0},
      .attach = Attach{.slot = slot, .destination = b.text(destination)},
      .when = when,
  };
}

PlannedMount copy_of(Builder& b, const std::string& source, const std::string& destination, uint64_t attributes) {
  const auto [when, slot] = b.turn(When::in_turn);
  return {
      .prepare = PrepareBind{.slot = slot,
                             .held = false,
                             .source = b.text(source),
                             .set = 0,
                             .clear = 0,
                             .set_below = attributes,
                             .clear_below = 0,
                             .propagation = 0,
                             .propagation_recursive = false,
                             .recursive = true},
      .attach = Attach{.slot = slot, .destination = b.text(destination)},
      .when = when,
  };
}

// The container's own cgroup of one tree; the whole tree, read-only, where that is not known.
PlannedMount bind_own(Builder& b, const std::string& key, const std::string& tree, const std::string& destination,
                      uint64_t attributes) {
  const auto own = b.options().cgroup_folders.find(key);
  if (own == b.options().cgroup_folders.end()) return copy_of(b, tree, destination, attributes | kReadOnly);
  return copy_of(b, own->second, destination, b.is_real_root() ? attributes : attributes | kReadOnly);
}

void decide_v1(Builder& b, const std::string& destination, uint64_t attributes, std::vector<PlannedMount>& planned) {
  planned.push_back(new_filesystem(b, "tmpfs", destination, {"mode=755"}, attributes & ~kReadOnly, true));
  std::vector<Step> links;
  for (const std::string& tree : b.host().cgroup_trees) {
    const std::string place = cat(destination, '/', tree);
    std::vector<std::string> controllers;
    for (const std::string_view one : split(tree, ',')) controllers.emplace_back(one);
    // "cpu -> cpu,cpuacct", as every host has it.
    if (controllers.size() > 1) {
      for (const std::string& one : controllers)
        links.push_back(Symlink{b.text(tree), b.text(cat(destination, '/', one))});
    }
    if (!b.creates(Namespace::cgroup)) {
      planned.push_back(bind_own(b, tree, cat("/sys/fs/cgroup/", tree), place, attributes));
      continue;
    }
    if (tree == "systemd") controllers = {"none", "name=systemd"};
    planned.push_back(new_filesystem(b, "cgroup", place, controllers, attributes, false));
  }
  planned.back().after = std::move(links);
  if ((attributes & kReadOnly) != 0)
    planned.back().after.push_back(ChangeMount{b.text(destination), kReadOnly, 0, 0, 0});
}

}  // namespace

void decide_cgroup_mount(Builder& b, const oci::Mount& mount, std::vector<PlannedMount>& planned) {
  const MountOptions options = parse_mount_options(mount.options);
  const uint64_t attributes = options.set | options.set_below;
  const std::string destination = clean_path(mount.destination);
  const sys::CgroupMode mode = b.host().cgroups;
  // Of v1 an ordinary user sees the folders it was given, if any, and not from a cgroup namespace of its own.
  const bool has_v1 = b.is_real_root() || (!b.creates(Namespace::cgroup) && !b.options().cgroup_folders.empty());
  if (mode == sys::CgroupMode::none) {
    b.plan().warnings.push_back("mounts: this host has no cgroups to show");
  } else if (mode != sys::CgroupMode::v2 && has_v1) {
    decide_v1(b, destination, attributes, planned);
  } else if (b.creates(Namespace::cgroup)) {
    // The v2 tree may be mounted wherever the kernel has one; of v1 nothing may be seen without privilege.
    if (mode != sys::CgroupMode::v1) planned.push_back(new_filesystem(b, "cgroup2", destination, {}, attributes, true));
  } else if (mode == sys::CgroupMode::v2) {
    planned.push_back(bind_own(b, "", "/sys/fs/cgroup", destination, attributes));
  } else {
    planned.push_back(copy_of(b, "/sys/fs/cgroup", destination, attributes | kReadOnly));
  }
}

}  // namespace moss::runtime
