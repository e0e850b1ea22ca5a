// Subordinate ids and the helpers that map them.
#include "moss/sys/ids.hh"

#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"
#include "moss/sys/user_namespace.hh"

namespace moss::sys {

namespace {

constexpr size_t kMaxSubidFileBytes = 16u << 20;

}  // namespace

std::vector<IdRange> parse_subordinate_ids(std::string_view text, const std::string& user_name, uid_t uid) {
  std::vector<IdRange> grants;
  const std::string number = std::to_string(uid);
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> parts = split(trim(line), ':');
    if (parts.size() != 3 || (parts[0] != user_name && parts[0] != number)) continue;
    const auto first = parse_number<uint32_t>(parts[1]);
    const auto count = parse_number<uint32_t>(parts[2]);
    // 2^32-1 is no id: chown(2) reads it as "leave alone".
    if (!first || !count || *count == 0 || *first > UINT32_MAX - *count) continue;
    grants.push_back({.outside = *first, .count = *count});
  }
  return grants;
}

Result<SubordinateIds> read_subordinate_ids(const std::string& user_name, uid_t uid) {
  SubordinateIds ids;
  const auto read = [&](const char* path) -> Result<std::vector<IdRange>> {
    const std::optional<std::string> text = TRY(read_file_if_exists(path, kMaxSubidFileBytes));
    return text ? parse_subordinate_ids(*text, user_name, uid) : std::vector<IdRange>{};
  };
  ids.uids = TRY(read("/etc/subuid"));
  ids.gids = TRY(read("/etc/subgid"));
  return ids;
}

std::vector<IdRange> id_ranges(uint32_t user, std::span<const IdRange> grants) {
  std::vector<IdRange> ranges{{.inside = 0, .outside = user, .count = 1}};
  uint32_t inside = 1;
  for (const IdRange& grant : grants) {
    ranges.push_back({.inside = inside, .outside = grant.outside, .count = grant.count});
    inside += grant.count;
  }
  return ranges;
}

std::string user_name(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry != nullptr ? entry->pw_name : std::to_string(uid);
}

namespace {

// CAP_SETUID and CAP_SETGID in effect, straight from the kernel: /proc may not be mounted.
bool may_write_any_map() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective & (1u << CAP_SETUID)) != 0 && (data[0].effective & (1u << CAP_SETGID)) != 0;
}

Result<Ok> write_proc(pid_t pid, const char* file, std::string_view text) {
  const std::string path = cat("/proc/", pid, "/", file);
  const Fd fd = TRY(open_at(AT_FDCWD, path, O_WRONLY));
  // The kernel takes a map in one write or not at all.
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return sys_error("write ", path);
  return Ok{};
}

std::string map_lines(const std::vector<IdRange>& ranges) {
  std::string text;
  for (const IdRange& range : ranges) text += cat(range.inside, ' ', range.outside, ' ', range.count, '\n');
  return text;
}

Result<Ok> write_maps(pid_t pid, const IdMap& map) {
  TRY(write_proc(pid, "uid_map", map_lines(map.uids)));
  return write_proc(pid, "gid_map", map_lines(map.gids));
}

}  // namespace

Result<IdMapping> IdMapping::start(pid_t pid, const IdMap& map) {
  IdMapping mapping;
  if (may_write_any_map()) {
    TRY(write_maps(pid, map).context("map the container's ids"));
    return mapping;
  }
  if (map.is_single()) {
    // user_namespaces(7): without privilege gid_map may only be written once setgroups is denied for ever.
    TRY(write_proc(pid, "setgroups", "deny").context("map one id"));
    TRY(write_maps(pid, map).context("map one id"));
    return mapping;
  }
  const auto start_helper = [&](const char* name, const std::vector<IdRange>& ranges) -> Result<Ok> {
    const std::optional<std::string> program = find_program(name);
    if (!program) {
      return Error(0, name,
                   " is not installed; install it (Debian: apt install uidmap) or map one id "
                   "only: --uidmap 0:0:1 --gidmap 0:0:1");
    }
    std::vector<std::string> argv{*program, std::to_string(pid)};
    for (const IdRange& range : ranges) {
      argv.push_back(std::to_string(range.inside));
      argv.push_back(std::to_string(range.outside));
      argv.push_back(std::to_string(range.count));
    }
    auto [reading, writing] = TRY(make_pipe());
    Child child = TRY(spawn(argv, {.stderr_fd = writing.get()}));
    mapping.helpers_.push_back({name, std::move(child), std::move(reading)});
    return Ok{};
  };
  TRY(start_helper("newuidmap", map.uids));
  TRY(start_helper("newgidmap", map.gids));
  return mapping;
}

Result<Ok> IdMapping::finish() {
  for (Helper& helper : helpers_) {
    const Exit exit = TRY(helper.child.wait());
    if (exit.ok()) continue;
    char complaint[512];
    const ssize_t got = ::read(helper.complaint.get(), complaint, sizeof complaint);
    const std::string_view text(complaint, got > 0 ? static_cast<size_t>(got) : 0);
    return Error(0, "map the container's ids: ", helper.name, ": ",
                 text.empty() ? cat("ended with exit code ", exit.shell_code()) : printable(trim(text)));
  }
  helpers_.clear();
  return Ok{};
}

Error no_user_namespace(int code) {
  // No disk is full: ENOSPC is what clone(2) calls a closed or used-up limit.
  if (code == ENOSPC) {
    return Error(0, "make a user namespace: none is left to this user; allow more: sudo sysctl ",
                 "user.max_user_namespaces=15000");
  }
  return Error(code, "make a user namespace (allow it, where they exist: sudo sysctl ",
               "kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0)");
}

Result<NamespaceChild> NamespaceChild::start(const IdMap& map, const std::function<int()>& body,
                                             const std::function<void()>& meanwhile) {
  // The child is born in its namespaces; it waits at the pipe until its ids are mapped.
  auto [reading, writing] = TRY(make_pipe());
  const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0));
  if (pid < 0) return no_user_namespace(errno);
  if (pid == 0) {
    writing.reset();
    char step = 0;
    if (::read(reading.get(), &step, 1) != 1) ::_exit(125);
    meanwhile();
    if (::read(reading.get(), &step, 1) != 1) ::_exit(125);
    reading.reset();
    // Raw calls: glibc's setters would signal threads that do not exist on this side of the clone.
    ::syscall(SYS_setresgid, 0, 0, 0);
    ::syscall(SYS_setresuid, 0, 0, 0);
    if (!map.is_single()) ::syscall(SYS_setgroups, 0, nullptr);
    ::_exit(body());
  }
  return NamespaceChild(map, Child(pid), std::move(writing));
}

Result<Ok> NamespaceChild::begin_mapping() {
  if (mapping_ || runs()) return Ok{};
  TRY(write_all(go_.get(), "1", "pipe"));
  mapping_ = TRY(IdMapping::start(child_.pid(), map_));
  return Ok{};
}

Result<Ok> NamespaceChild::run() {
  if (runs()) return Ok{};
  TRY(begin_mapping());
  TRY(mapping_->finish());
  TRY(write_all(go_.get(), "2", "pipe"));
  go_.reset();
  return Ok{};
}

Result<Child> start_in_user_namespace(const IdMap& map, const std::function<int()>& body) {
  NamespaceChild child = TRY(NamespaceChild::start(map, body));
  TRY(child.run());
  return std::move(child).take();
}

Result<int> run_in_user_namespace(const IdMap& map, const std::function<int()>& body) {
  Child child = TRY(start_in_user_namespace(map, body));
  const Exit exit = TRY(child.wait());
  if (exit.signal != 0) return Error(0, "work in a user namespace was killed by signal ", exit.signal);
  return exit.code;
}

}  // namespace moss::sys
