// Looking at the host.
#include "moss/sys/host.hh"

#include <dirent.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>

#include "moss/base/text.hh"
#include "moss/sys/file.hh"

namespace moss::sys {

const char* to_string(CgroupMode mode) {
  switch (mode) {
    case CgroupMode::none:
      return "none";
    case CgroupMode::v1:
      return "v1";
    case CgroupMode::hybrid:
      return "hybrid";
    case CgroupMode::v2:
      return "v2";
  }
  return "none";
}

namespace {

CgroupMode probe_cgroups() {
  struct statfs status;
  if (::statfs("/sys/fs/cgroup", &status) != 0) return CgroupMode::none;
  if (status.f_type == CGROUP2_SUPER_MAGIC) return CgroupMode::v2;
  if (status.f_type != TMPFS_MAGIC) return CgroupMode::none;
  if (::statfs("/sys/fs/cgroup/unified", &status) == 0 && status.f_type == CGROUP2_SUPER_MAGIC) {
    return CgroupMode::hybrid;
  }
  return CgroupMode::v1;
}

// A tree is a mount of its own; "cpu -> cpu,cpuacct" is a symlink and "unified" is not v1.
std::vector<std::string> probe_cgroup_trees() {
  std::vector<std::string> names;
  DIR* folder = ::opendir("/sys/fs/cgroup");
  if (folder == nullptr) return names;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type != DT_DIR || name == "." || name == "..") continue;
    struct statfs status;
    if (::statfs(cat("/sys/fs/cgroup/", name).c_str(), &status) == 0 && status.f_type == CGROUP_SUPER_MAGIC) {
      names.emplace_back(name);
    }
  }
  ::closedir(folder);
  std::sort(names.begin(), names.end());
  return names;
}

// proc_ns.h: the machine's own user namespace has this inode number on every kernel. The shape of uid_map proves
// nothing: a nested namespace may map every id too.
constexpr ino_t kInitialUserNamespace = 0xEFFFFFFD;

}  // namespace

bool in_initial_user_namespace() {
  struct stat status;
  return ::stat("/proc/self/ns/user", &status) != 0 || status.st_ino == kInitialUserNamespace;
}

std::string boot_id() {
  const Result<std::string> text = read_kernel_file("/proc/sys/kernel/random/boot_id");
  return text.ok() ? std::string(trim(*text)) : "";
}

Result<Host> probe_host() {
  utsname name;
  if (::uname(&name) != 0) return sys_error("ask the kernel for its version");
  Host host{.uid = ::geteuid(), .gid = ::getegid(), .cgroups = probe_cgroups()};
  host.initial_user_namespace = in_initial_user_namespace();
  if (!host.initial_user_namespace) {
    const Result<std::string> setgroups = read_kernel_file("/proc/self/setgroups");
    host.may_set_groups = !setgroups.ok() || !setgroups->starts_with("deny");
  }
  if (host.uid == 0 && (host.cgroups == CgroupMode::v1 || host.cgroups == CgroupMode::hybrid)) {
    host.cgroup_trees = probe_cgroup_trees();
  }
  struct statfs selinux;
  host.selinux = ::statfs("/sys/fs/selinux", &selinux) == 0 && selinux.f_type == SELINUX_MAGIC;
  const std::vector<std::string_view> parts = split(name.release, '.');
  if (parts.size() < 2) return Error(0, "kernel release \"", std::string_view(name.release), "\" is no version");
  host.kernel.major = parse_number<unsigned>(parts[0]).value_or(0);
  // "18-rc1" and the like
  host.kernel.minor = parse_number<unsigned>(parts[1].substr(0, parts[1].find_first_not_of("0123456789"))).value_or(0);
  return host;
}

}  // namespace moss::sys
