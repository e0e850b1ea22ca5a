// A step in words: one line of `moss debug plan`, and the middle of an error message.
#include <sys/mount.h>
#include <sys/stat.h>

#include "moss/runtime/capabilities.hh"
#include "runtime/plan/builder.hh"

namespace moss::runtime {

namespace {

template <typename... Lambdas>
struct Overloaded : Lambdas... {
  using Lambdas::operator()...;
};

std::string namespaces(uint64_t flags) {
  std::string out;
  for (const char* name : {"user", "mount", "pid", "network", "ipc", "uts", "cgroup", "time"}) {
    if ((flags & static_cast<uint64_t>(*parse_namespace(name))) == 0) continue;
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

std::string attributes(uint64_t bits) {
  std::string out;
  const auto add = [&](uint64_t bit, std::string_view name) {
    if ((bits & bit) != 0) out += cat(out.empty() ? " (" : ", ", name);
  };
  add(MOUNT_ATTR_RDONLY, "ro");
  add(MOUNT_ATTR_NOSUID, "nosuid");
  add(MOUNT_ATTR_NODEV, "nodev");
  add(MOUNT_ATTR_NOEXEC, "noexec");
  add(MOUNT_ATTR_NOATIME, "noatime");
  add(MOUNT_ATTR_STRICTATIME, "strictatime");
  add(MOUNT_ATTR_NODIRATIME, "nodiratime");
  add(MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow");
  return out.empty() ? out : out + ")";
}

std::string joined(Strings strings, std::string_view separator) {
  std::string out;
  for (const char* text : strings) out += cat(out.empty() ? "" : separator, printable(text));
  return out;
}

std::string capabilities(uint64_t mask) {
  std::string out;
  for (int i = 0; i < capability_count(); ++i) {
    if ((mask >> i & 1) != 0) out += cat(out.empty() ? "" : ", ", capability_name(i).substr(4));
  }
  return out.empty() ? "none" : out;
}

std::string_view word(Message message) {
  switch (message) {
    case Message::namespaces_ready:
      return "the namespaces are ready";
    case Message::ids_mapped:
      return "the ids are mapped";
    case Message::network_ready:
      return "the network is ready";
    case Message::in_cgroup:
      return "the cgroup is entered";
    case Message::before_pivot:
      return "the mounts stand";
    case Message::hooks_done:
      return "the hooks have run";
    case Message::terminal:
      return "the terminal is open";
    case Message::listener:
      return "the seccomp filter has a listener";
    case Message::listener_taken:
      return "the seccomp listener is taken";
    case Message::created:
      return "all is created";
    case Message::released:
      return "it is released";
    case Message::start:
      return "it is started";
    case Message::failed:
      return "a step failed";
  }
  return "";
}

// As everybody writes it: 022.
std::string octal(uint32_t mask) {
  std::string digits;
  for (int shift = mask > 0777 ? 9 : 6; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mask >> shift & 7));
  return digits;
}

std::string_view propagation(uint64_t type) {
  if ((type & MS_SHARED) != 0) return "shared";
  if ((type & MS_SLAVE) != 0) return "slave";
  return (type & MS_UNBINDABLE) != 0 ? "unbindable" : "private";
}

std::string_view node_kind(uint32_t mode) {
  if (S_ISFIFO(mode)) return "fifo";
  return S_ISBLK(mode) ? "block device" : "device";
}

std::string numbers(std::span<const uint32_t> values) {
  std::string out;
  for (const uint32_t value : values) out += cat(out.empty() ? "" : ",", value);
  return out;
}

std::string limit(uint64_t value) { return value == UINT64_MAX ? "unlimited" : std::to_string(value); }

}  // namespace

std::string describe(const Step& step) {
  return std::visit(
      Overloaded{
          [](const Unshare& s) { return cat("make namespaces: ", namespaces(static_cast<uint64_t>(s.flags))); },
          [](const Tell& s) { return cat("tell the parent that ", word(s.message)); },
          [](const Await& s) { return cat("wait until ", word(s.message)); },
          [](const BecomeRoot& s) {
            return cat("become id ", s.uid, ":", s.gid, s.drop_groups ? " and drop every group" : "");
          },
          [](const SetOomScore& s) { return cat("set the score for running out of memory to ", s.score); },
          [](const Hide&) { return std::string("hide from who shares the pid namespace"); },
          [](const SetPropagation&) { return std::string("keep what is mounted from reaching the host"); },
          [](const SetRootPropagation& s) { return cat("let the root's mount be ", propagation(s.type)); },
          [](const HoldStaging& s) { return cat("open folder ", s.source, " for the root"); },
          [](const HoldFolders& s) { return cat("open the root's folders: ", joined(s.sources, ":")); },
          [](const GiveToRoot& s) { return cat("give folder ", s.source, " to root inside"); },
          [](const BindRoot& s) { return cat("use folder ", s.source, " as the root"); },
          [](const MountRoot& s) {
            return cat("mount ", s.type, " as the root", attributes(s.attributes), ": ", joined(s.options, ","));
          },
          [](const MountRootClassic& s) {
            return cat("mount ", s.type, " as the root by mount(2)", attributes(s.attributes), ": ",
                       joined(s.options, ","));
          },
          [](const PrepareMount& s) {
            return cat("make a ", printable(s.type), " mount", attributes(s.attributes), s.options.empty() ? "" : ": ",
                       joined(s.options, ","), s.propagation != 0 ? cat(", ", propagation(s.propagation)) : "",
                       s.fallback != nullptr ? cat(", or show ", s.fallback) : "");
          },
          [](const HoldSource& s) { return cat("open ", printable(s.source), " to be copied later"); },
          [](const PrepareBind& s) {
            return cat("copy the mount of ", printable(s.source), s.recursive ? " and below" : "", attributes(s.set),
                       s.set_below != 0 ? cat(", everywhere", attributes(s.set_below)) : "",
                       s.propagation != 0 && s.propagation != MS_PRIVATE ? cat(", ", propagation(s.propagation)) : "");
          },
          [](const MakeNode& s) {
            return cat("make ", node_kind(s.mode), " ", printable(s.path), " ", s.major, ":", s.minor, ", mode ",
                       octal(s.mode & 07777), ", owner ", s.uid, ":", s.gid);
          },
          [](const ChangeMount& s) {
            return cat("change the mount at ", printable(s.path), attributes(s.set),
                       s.clear != 0 ? cat(", not", attributes(s.clear)) : "",
                       s.set_below != 0 ? cat(", everywhere", attributes(s.set_below)) : "");
          },
          [](const Reconfigure& s) {
            return cat("reconfigure what is mounted at ", printable(s.path), ": ", joined(s.options, ","));
          },
          [](const PrepareDevice& s) { return cat("copy the mount of device ", printable(s.source)); },
          [](const Park& s) { return cat("lay it over ", s.source, " until the root is there"); },
          [](const HoldProcFile& s) { return cat("open /proc/", s.file, " for later"); },
          [](const Attach& s) {
            return cat("mount at ", printable(s.destination), s.copy_up ? ", with what is there" : "");
          },
          [](const Detach& s) { return cat("unmount ", printable(s.destination)); },
          [](const Symlink& s) { return cat("link ", s.path, " to ", s.target); },
          [](const MakeDir& s) { return cat("make folder ", printable(s.path)); },
          [](const OpenTerminal&) { return std::string("open the terminal"); },
          [](const Mask& s) { return cat("mask ", printable(s.path)); },
          [](const ReadonlyPath& s) { return cat("make ", printable(s.path), " read-only"); },
          [](const ReadonlyRoot&) { return std::string("make the root read-only"); },
          [](const WriteProc& s) { return cat("write ", printable(s.text), " to /proc/", printable(s.file)); },
          [](const SetHostname& s) { return cat("set hostname ", printable(s.name)); },
          [](const SetDomainname& s) { return cat("set domain name ", printable(s.name)); },
          [](const LoopbackUp&) { return std::string("bring the loopback interface up"); },
          [](const PivotRoot&) { return std::string("pivot_root, leaving the host's files behind"); },
          [](const ChrootRoot& s) {
            return cat("move the root over the host's and chroot into it, away from ", s.mounts.size(), " mounts");
          },
          [](const SetRlimit& s) {
            return cat("limit resource ", s.resource, " to ", limit(s.soft), ":", limit(s.hard));
          },
          [](const SetExecLabel& s) {
            // Clients know a refusal by a security module from the file in backquotes.
            return cat("write ", printable(s.label), " to `/proc/", s.file, "`");
          },
          [](const SetScheduler& s) {
            return cat("set scheduling policy ", s.policy, ", flags ", s.flags, ", nice ", s.nice, ", priority ",
                       s.priority,
                       s.period_ns != 0 || s.runtime_ns != 0
                           ? cat(", ", s.runtime_ns, " of ", s.period_ns, " ns until ", s.deadline_ns)
                           : "");
          },
          [](const SetIoPriority& s) { return cat("set io priority ", s.priority >> 13, ":", s.priority & 7); },
          [](const SetCpuAffinity& s) { return cat("run on cpus ", numbers(s.cpus)); },
          [](const SetMemoryPolicy& s) { return cat("set memory policy ", s.mode, " on nodes ", numbers(s.nodes)); },
          [](const SetPersonality& s) { return cat("set personality ", s.persona); },
          [](const JoinKeyring& s) { return cat("start session keyring ", printable(s.name)); },
          [](const SetUmask& s) { return cat("set umask ", octal(s.mask)); },
          [](const ChangeDir& s) { return cat("change to folder ", printable(s.path)); },
          [](const SetIds& s) {
            std::string groups;
            for (const uint32_t gid : s.groups) groups += cat(groups.empty() ? ", groups " : ",", gid);
            return cat("become user ", s.uid, ":", s.gid, groups);
          },
          [](const DropBounding& s) { return cat("limit capabilities for good to: ", capabilities(s.keep)); },
          [](const SetCapabilities& s) { return cat("keep capabilities: ", capabilities(s.effective)); },
          [](const SetAmbient& s) { return cat("pass on capabilities: ", capabilities(s.capabilities)); },
          [](const NoNewPrivileges&) { return std::string("set no_new_privs"); },
          [](const LoadSeccomp& s) { return cat("load the seccomp filter of ", s.filter.size(), " instructions"); },
          [](const NewSession&) { return std::string("start a session"); },
          [](const DieWithParent&) { return std::string("die with the parent"); },
          [](const OutliveParent&) { return std::string("outlive the parent"); },
          [](const FindHome& s) { return cat("find the home folder of user ", s.uid); },
          [](const FindCommand& s) { return cat("look for ", printable(s.name)); },
          [](const WaitForRelease& s) { return cat("wait for ", s.for_start ? "the start" : "the parent's word"); },
          [](const RunHook& s) { return cat("run the ", s.kind, " hook ", printable(s.path)); },
          [](const ResetSignals&) { return std::string("reset signals"); },
          [](const CloseFds& s) { return cat("close descriptors from ", 3 + s.keep, " at execve"); },
          [](const ForkFromInit&) { return std::string("leave an init behind as process 1"); },
          [](const Finish&) { return std::string("end"); },
          [](const Exec& s) { return cat("execute ", joined(s.args, " ")); },
      },
      step);
}

std::string to_string(const Plan& plan) {
  std::string out;
  for (const Join& join : plan.joins) {
    out += cat("join ", namespaces(static_cast<uint64_t>(join.type)), " namespace ", printable(join.path), "\n");
  }
  if (plan.oom_score) out += cat(describe(*plan.oom_score), "\n");
  for (const IdmappedBind& one : plan.idmapped) {
    out += cat(describe(one.bind), ", as users ", to_string(one.map.uids), ", groups ", to_string(one.map.gids),
               one.recursive ? ", everywhere" : "", "\n");
  }
  out += cat("clone with namespaces: ", namespaces(plan.clone_flags), "\n");
  if (plan.id_map) {
    out += cat("map users ", to_string(plan.id_map->uids), ", groups ", to_string(plan.id_map->gids), "\n");
  }
  for (size_t i = 0; i < plan.steps.size(); ++i) out += cat(i + 1, ". ", describe(plan.steps[i]), "\n");
  for (const NetDeviceMove& device : plan.net_devices) {
    out += cat("move interface ", printable(device.host_name), " to ", printable(device.name), "\n");
  }
  if (plan.intel_rdt)
    out += cat("enter resctrl group ", printable(plan.intel_rdt->clos_id.empty() ? plan.id : plan.intel_rdt->clos_id),
               "\n");
  for (const std::string& warning : plan.warnings) out += cat("warning: ", warning, "\n");
  return out;
}

}  // namespace moss::runtime
