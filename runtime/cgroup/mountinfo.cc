// /proc/self/mountinfo and /proc/self/cgroup. See proc(5), cgroups(7).
#include "runtime/cgroup/mountinfo.hh"

#include <algorithm>

#include "moss/sys/path.hh"

namespace moss::runtime {

namespace {

// One cgroup mount of mountinfo: "31 23 0:28 / /sys/fs/cgroup/cpu rw,nosuid shared:9 - cgroup cgroup rw,cpu".
struct Mount {
  std::string root;   // which cgroup is mounted
  std::string point;  // where
  bool unified = false;
  std::vector<std::string_view> options;  // of the filesystem: its controllers among them

  bool is_usual() const { return point.starts_with("/sys/fs/cgroup"); }
};

std::vector<Mount> cgroup_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> fields = split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> kind = split(line.substr(dash + 3), ' ');
    if (fields.size() < 6 || kind.size() < 3 || (kind[0] != "cgroup" && kind[0] != "cgroup2")) continue;
    Mount mount{.root = sys::unescape_mount(fields[3]),
                .point = sys::unescape_mount(fields[4]),
                .unified = kind[0] == "cgroup2",
                .options = split(kind[2], ',')};
    // Later mounts cover earlier ones at the same place.
    std::erase_if(mounts, [&](const Mount& other) { return other.point == mount.point; });
    mounts.push_back(std::move(mount));
  }
  std::stable_sort(mounts.begin(), mounts.end(), [](const Mount& a, const Mount& b) {
    return std::pair(a.root != "/", !a.is_usual()) < std::pair(b.root != "/", !b.is_usual());
  });
  return mounts;
}

// The caller's cgroup as seen through a mount, which may show only a part of the tree.
std::string own_below(const Mount& mount, const std::string& own) {
  if (mount.root == "/") return own;
  if (!is_within(own, mount.root)) return "/";
  const std::string rest = own.substr(mount.root.size());
  return rest.empty() ? "/" : rest;
}

bool has(const Mount& mount, std::string_view option) {
  return std::find(mount.options.begin(), mount.options.end(), option) != mount.options.end();
}

}  // namespace

OwnCgroups own_cgroups(std::string_view proc_cgroup) {
  OwnCgroups own;
  for (const std::string_view line : split(proc_cgroup, '\n')) {
    const auto [number, rest] = cut(line, ':');
    if (!rest) continue;
    const auto [controllers, path] = cut(*rest, ':');
    if (!path) continue;
    // The container's own process may have left a cgroup that is gone since.
    constexpr std::string_view kDeleted = " (deleted)";
    const std::string_view clean = path->ends_with(kDeleted) ? path->substr(0, path->size() - kDeleted.size()) : *path;
    if (number == "0" && controllers.empty()) {
      own.unified = std::string(clean);
    } else {
      own.v1[std::string(controllers)] = std::string(clean);
    }
  }
  return own;
}

CgroupMounts parse_cgroup_mounts(std::string_view mountinfo, std::string_view proc_cgroup) {
  const std::vector<Mount> mounts = cgroup_mounts(mountinfo);
  const OwnCgroups own = own_cgroups(proc_cgroup);
  CgroupMounts found;
  for (const auto& [key, path] : own.v1) {
    const std::vector<std::string_view> names = split(key, ',');
    const auto mount = std::find_if(mounts.begin(), mounts.end(),
                                    [&](const Mount& m) { return !m.unified && !names.empty() && has(m, names[0]); });
    if (mount == mounts.end()) continue;
    found.v1.push_back({.controllers = {names.begin(), names.end()},
                        .mount = mount->point,
                        .own = own_below(*mount, path),
                        .delegated = {},
                        .key = key});
  }
  const auto unified = std::find_if(mounts.begin(), mounts.end(), [](const Mount& m) { return m.unified; });
  if (own.unified && unified != mounts.end()) {
    found.v2 = CgroupTree{.controllers = {},
                          .mount = unified->point,
                          .own = own_below(*unified, *own.unified),
                          .delegated = {},
                          .key = {}};
  }
  return found;
}

}  // namespace moss::runtime
