// Looking at the host.
#include "moss/sys/host.hh"

#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

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

}  // namespace

std::string boot_id() {
  const Result<std::string> text = read_kernel_file("/proc/sys/kernel/random/boot_id");
  return text.ok() ? std::string(trim(*text)) : "";
}

Result<Host> probe_host() {
  utsname name;
  if (::uname(&name) != 0) return sys_error("ask the kernel for its version");
  Host host{.uid = ::geteuid(), .gid = ::getegid(), .cgroups = probe_cgroups()};
  const std::vector<std::string_view> parts = split(name.release, '.');
  if (parts.size() < 2) return Error(0, "kernel release \"", std::string_view(name.release), "\" is no version");
  host.kernel.major = parse_number<unsigned>(parts[0]).value_or(0);
  // "18-rc1" and the like
  host.kernel.minor = parse_number<unsigned>(parts[1].substr(0, parts[1].find_first_not_of("0123456789"))).value_or(0);
  return host;
}

}  // namespace moss::sys
