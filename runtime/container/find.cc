// Finding containers: where they are kept, and what the kernel says of them now.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "moss/runtime/container.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "runtime/container/folder.hh"

namespace moss::runtime {

namespace {

// The user's number where our user namespace was made: the same for `podman unshare moss-oci` and for the user's own.
uid_t outer_uid() {
  const uid_t uid = ::geteuid();
  const Result<std::string> map = sys::read_kernel_file("/proc/self/uid_map");
  if (!map.ok()) return uid;
  for (const std::string_view line : split(*map, '\n')) {
    std::vector<uint32_t> numbers;
    for (const std::string_view word : split(line, ' ')) {
      if (const auto number = parse_number<uint32_t>(word)) numbers.push_back(*number);
    }
    if (numbers.size() == 3 && uid >= numbers[0] && uid - numbers[0] < numbers[2]) return numbers[1] + uid - numbers[0];
  }
  return uid;
}

bool is_own_dir(const char* path) {
  struct stat status;
  return ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
}

}  // namespace

Result<std::string> state_root(const std::string& given, bool rootless) {
  if (!given.empty()) return given;
  const bool is_root = ::geteuid() == 0;
  if (is_root && !rootless && sys::in_initial_user_namespace()) return std::string("/run/moss-oci");
  const char* variable = ::getenv("XDG_RUNTIME_DIR");
  if (variable != nullptr && variable[0] == '/') return cat(std::string_view(variable), "/moss-oci");
  const uid_t uid = outer_uid();
  if (const std::string path = cat("/run/user/", uid); is_own_dir(path.c_str())) return path + "/moss-oci";
  // Root of a container, whose /run is its own.
  if (is_root && is_own_dir("/run") && ::access("/run", W_OK) == 0) return std::string("/run/moss-oci");
  std::string path = cat("/tmp/moss-oci-", uid);
  struct stat status;
  if (::lstat(path.c_str(), &status) == 0 && (!is_own_dir(path.c_str()) || (status.st_mode & 0077) != 0)) {
    return Error(0, path, " is open to others or belongs to somebody else; set XDG_RUNTIME_DIR or give --root");
  }
  return path;
}

bool is_container_id(std::string_view id) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
  return !id.empty() && id.size() <= 255 && id.front() != '.' &&
         id.find_first_not_of(kAllowed) == std::string_view::npos;
}

const char* to_string(Status status) {
  switch (status) {
    case Status::creating:
      return "creating";
    case Status::created:
      return "created";
    case Status::running:
      return "running";
    case Status::paused:
      return "paused";
    case Status::stopped:
      return "stopped";
  }
  return "stopped";
}

oci::State Container::state() const {
  const bool alive = status != Status::stopped && status != Status::creating;
  return {
      .id = id,
      .status = to_string(status),
      .pid = alive ? record.pid : 0,
      .bundle = record.bundle,
      .rootfs = record.rootfs,
      .created = record.created,
      .owner = std::to_string(record.owner),
      .annotations = record.annotations,
  };
}

Result<Container> find_container(const std::string& root, const std::string& id) {
  if (!is_container_id(id)) return Error(0, "\"", printable(id), "\" is no container id: container does not exist");
  Container found{.root = root, .id = id, .folder = cat(root, "/", id)};
  Result<Fd> dir = sys::open_at(AT_FDCWD, found.folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir.ok()) {
    if (dir.error().code() == ENOENT) return Error(0, "container \"", id, "\" does not exist");
    return dir.error();
  }
  found.dir = std::move(dir).value();
  std::optional<oci::ContainerRecord> record = TRY(read_record(found.dir.get(), found.folder));
  if (record) found.record = std::move(*record);
  if (found.record.pid == 0) {
    found.status = is_init_locked(found.dir.get()) ? Status::creating : Status::stopped;
    return found;
  }
  std::optional<Fd> process = open_process(identity_of(found.record));
  if (!process) return found;
  found.pidfd = std::move(*process);
  found.status = is_init_locked(found.dir.get()) ? Status::created : Status::running;
  // A cgroup that cannot be read any more does not make the container unreadable.
  const Result<bool> frozen = is_cgroup_frozen(found.record.cgroup);
  if (frozen.ok() && *frozen) found.status = Status::paused;
  return found;
}

Result<std::vector<std::string>> list_containers(const std::string& root) {
  Result<std::vector<std::string>> names = sys::list_dir(root);
  if (!names.ok()) {
    if (names.error().code() == ENOENT) return std::vector<std::string>();
    return names.error();
  }
  std::erase_if(*names, [](const std::string& name) { return !is_container_id(name); });
  std::sort(names->begin(), names->end());
  return names;
}

Result<oci::Config> read_config(const Container& container) {
  const std::string path = container.folder + "/config.json";
  const std::string text = TRY(sys::read_file(path, kMaxConfigBytes));
  return oci::decode_config(text).context(path);
}

}  // namespace moss::runtime
