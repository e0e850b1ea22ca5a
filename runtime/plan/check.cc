// What is wrong with a config, all of it at once, before anything is done.
#include <sys/mount.h>

#include <algorithm>
#include <set>

#include "runtime/plan/builder.hh"

namespace moss::runtime {

namespace {

class Checker {
 public:
  template <typename... Parts>
  void complain(const Parts&... parts) {
    complaints_.push_back(cat(parts...));
  }
  std::vector<std::string> take() && { return std::move(complaints_); }

 private:
  std::vector<std::string> complaints_;
};

void check_namespaces(Checker& c, const oci::Linux& linux) {
  std::set<std::string> seen;
  for (size_t i = 0; i < linux.namespaces.size(); ++i) {
    const oci::Namespace& entry = linux.namespaces[i];
    if (!parse_namespace(entry.type)) c.complain("linux.namespaces[", i, "].type: unknown: ", printable(entry.type));
    if (!seen.insert(entry.type).second) c.complain("linux.namespaces[", i, "]: a second ", printable(entry.type));
  }
  if (!seen.contains("mount")) c.complain("linux.namespaces: moss needs a mount namespace");
}

void check_map(Checker& c, std::string_view path, const std::vector<IdRange>& ranges) {
  for (size_t i = 0; i < ranges.size(); ++i) {
    const IdRange& a = ranges[i];
    if (a.count == 0) c.complain(path, "[", i, "].size: 0");
    if (a.count > UINT32_MAX - a.inside || a.count > UINT32_MAX - a.outside)
      c.complain(path, "[", i, "]: beyond 2^32-2");
    for (size_t k = 0; k < i; ++k) {
      const IdRange& b = ranges[k];
      const auto overlap = [&](uint32_t x, uint32_t y) {
        return x < uint64_t{y} + b.count && y < uint64_t{x} + a.count;
      };
      if (overlap(a.inside, b.inside) || overlap(a.outside, b.outside)) {
        c.complain(path, "[", i, "]: overlaps [", k, "]");
      }
    }
  }
  // user_namespaces(7): 340 lines, since Linux 4.15.
  if (ranges.size() > 340) c.complain(path, ": more than 340 ranges");
}

bool maps(const std::vector<IdRange>& ranges, uint32_t id) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IdRange& range) { return id >= range.inside && id - range.inside < range.count; });
}

void check_ids(Checker& c, const oci::Config& config, bool new_user) {
  const oci::Linux& linux = config.linux;
  check_map(c, "linux.uidMappings", linux.uid_mappings);
  check_map(c, "linux.gidMappings", linux.gid_mappings);
  if (!new_user) return;
  if (linux.uid_mappings.empty()) c.complain("linux.uidMappings: a user namespace needs one");
  if (linux.gid_mappings.empty()) c.complain("linux.gidMappings: a user namespace needs one");
  const oci::User& user = config.process.user;
  const auto unmapped = [&](const char* path, const char* map, uint32_t id) {
    c.complain(path, ": ", id, " is not in ", map, "; grant more ids in /etc/subuid and /etc/subgid or choose another");
  };
  if (!maps(linux.uid_mappings, user.uid)) unmapped("process.user.uid", "linux.uidMappings", user.uid);
  if (!maps(linux.gid_mappings, user.gid)) unmapped("process.user.gid", "linux.gidMappings", user.gid);
  for (const uint32_t gid : user.additional_gids) {
    if (!maps(linux.gid_mappings, gid)) unmapped("process.user.additionalGids", "linux.gidMappings", gid);
  }
}

bool has_dots(std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  return std::find(parts.begin(), parts.end(), "..") != parts.end();
}

void check_paths(Checker& c, const oci::Config& config) {
  if (config.root.path.empty()) c.complain("root.path: missing");
  if (!config.process.cwd.starts_with('/')) c.complain("process.cwd: not absolute: ", printable(config.process.cwd));
  for (size_t i = 0; i < config.mounts.size(); ++i) {
    const oci::Mount& mount = config.mounts[i];
    if (!mount.destination.starts_with('/')) {
      c.complain("mounts[", i, "].destination: not absolute: ", printable(mount.destination));
    }
    if (has_dots(mount.destination))
      c.complain("mounts[", i, "].destination: has \"..\": ", printable(mount.destination));
    if (!mount.uid_mappings.empty() || !mount.gid_mappings.empty()) {
      c.complain("mounts[", i, "].uidMappings: idmapped mounts are not supported");
    }
    if (mount.type != "tmpfs" &&
        std::find(mount.options.begin(), mount.options.end(), "tmpcopyup") != mount.options.end()) {
      c.complain("mounts[", i, "].options: tmpcopyup is for tmpfs only");
    }
  }
  if (!config.linux.mount_label.empty()) c.complain("linux.mountLabel: SELinux is not supported");
}

void check_sysctls(Checker& c, const oci::Config& config, const Builder& b) {
  for (const auto& [key, value] : config.linux.sysctl) {
    const std::string_view name = key;
    const bool net = name.starts_with("net.") || name.starts_with("net/");
    const bool ipc = name.starts_with("fs.mqueue.") || name.starts_with("kernel.shm") ||
                     name.starts_with("kernel.msg") || name == "kernel.sem";
    const bool uts = name == "kernel.hostname" || name == "kernel.domainname";
    if (!net && !ipc && !uts) {
      c.complain("linux.sysctl: ", printable(name),
                 " belongs to the whole host; only net.*, kernel.msg*, kernel.shm*, ",
                 "kernel.sem and fs.mqueue.* may be set");
    } else if ((net && !b.creates(Namespace::network)) || (ipc && !b.creates(Namespace::ipc)) ||
               (uts && !b.creates(Namespace::uts))) {
      c.complain("linux.sysctl: ", printable(name), " would change the host: the container shares that namespace");
    }
    if (has_dots(key) || key.find("//") != std::string::npos || printable(key) != key || printable(value) != value) {
      c.complain("linux.sysctl: bad key or value: ", printable(key));
    }
  }
}

void check_rlimits(Checker& c, const oci::Process& process) {
  std::set<std::string> seen;
  for (size_t i = 0; i < process.rlimits.size(); ++i) {
    const oci::Rlimit& limit = process.rlimits[i];
    if (!seen.insert(limit.type).second) c.complain("process.rlimits[", i, "]: a second ", printable(limit.type));
    if (limit.soft > limit.hard) c.complain("process.rlimits[", i, "]: soft above hard");
  }
}

}  // namespace

std::vector<std::string> check(const oci::Config& config, const sys::Host& host) {
  const Builder b(config, host, {});
  Checker c;
  check_namespaces(c, config.linux);
  check_ids(c, config, b.creates(Namespace::user));
  check_paths(c, config);
  check_sysctls(c, config, b);
  check_rlimits(c, config.process);
  if (!config.hostname.empty() && !b.creates(Namespace::uts)) c.complain("hostname: needs a uts namespace of its own");
  if (config.hostname.size() > 64) c.complain("hostname: longer than 64 bytes");
  if (!config.linux.time_offsets.empty() && !b.creates(Namespace::time)) {
    c.complain("linux.timeOffsets: needs a time namespace of its own");
  }
  if (b.joins(Namespace::pid) || b.joins(Namespace::mount) || b.joins(Namespace::user)) {
    c.complain("linux.namespaces: joining a pid, mount or user namespace by path is not supported");
  }
  return std::move(c).take();
}

}  // namespace moss::runtime
