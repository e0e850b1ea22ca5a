// A container's folder of state.
#include "runtime/container/folder.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "moss/runtime/cgroup.hh"
#include "moss/sys/file.hh"
#include "runtime/container/notify.hh"

namespace moss::runtime {

namespace {

constexpr size_t kMaxRecordBytes = 4u << 20;

// Socket addresses are short (108 bytes) and folders need not be: the folder's descriptor is its short name.
sockaddr_un start_address(int dir) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = cat("/proc/self/fd/", dir, "/start.sock");
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

Result<Ok> lock_file(int fd, int operation, const std::string& name) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return sys_error("lock ", name);
  }
  return Ok{};
}

// What stands under a name that is taken: a container, somebody who is making one, or what a killed one left. The last
// is cleared. True: try again.
Result<bool> clear_stale(const std::string& folder) {
  const Result<Fd> dir = sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!dir.ok()) return dir.error().code() == ENOENT ? Result<bool>(true) : Result<bool>(dir.error());
  const std::optional<oci::ContainerRecord> record = TRY(read_record(dir->get(), folder));
  if (record && record->pid != 0) return false;
  const Result<Fd> lock = sys::open_at(dir->get(), "init.lock", O_RDWR | O_NOFOLLOW);
  if (!lock.ok()) {
    if (lock.error().code() != ENOENT) return lock.error();
    // Empty, if its maker was killed; or has not come further, and will find it gone and begin again.
    return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
  }
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) return false;
  struct stat status;
  // Another one cleared it and had the lock before us.
  if (::fstat(lock->get(), &status) != 0 || status.st_nlink == 0) return true;
  if (record && !(record->cgroup == oci::CgroupRecord{})) TRY(remove_cgroup(record->cgroup));
  TRY(remove_folder(folder, dir->get()));
  return true;
}

}  // namespace

Result<NewFolder> NewFolder::claim(const std::string& root, const std::string& id) {
  const std::string folder = cat(root, "/", id);
  // Each round somebody else got ahead of us; nobody does that for long.
  for (int round = 0; round < 100; ++round) {
    if (::mkdir(folder.c_str(), 0700) != 0) {
      if (errno == ENOENT) {
        TRY(sys::make_dirs(root, 0700));
        continue;
      }
      if (errno != EEXIST) return sys_error("make ", folder);
      if (TRY(clear_stale(folder).context("container \"", id, "\" exists already"))) continue;
      return Error(0, "container \"", id, "\" exists already");
    }
    Result<Fd> dir = sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!dir.ok()) {
      if (dir.error().code() == ENOENT) continue;
      ::rmdir(folder.c_str());
      return dir.error();
    }
    Result<Fd> lock = sys::open_at(dir->get(), "init.lock", O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!lock.ok()) {
      // Ours was taken for a dead one's, and the one that we opened is of who cleared it.
      if (lock.error().code() == ENOENT || lock.error().code() == EEXIST) continue;
      ::rmdir(folder.c_str());
      return lock.error();
    }
    NewFolder made(folder, std::move(dir).value(), std::move(lock).value());
    TRY(lock_file(made.lock_.get(), LOCK_EX, folder));
    struct stat status;
    if (::fstat(made.lock_.get(), &status) != 0) return sys_error("look at ", folder);
    if (status.st_nlink > 0) return made;
    made.keep();  // cleared before we had the lock: it is not ours any more
  }
  return Error(EBUSY, "take the name \"", id, "\"");
}

NewFolder::~NewFolder() {
  if (!path_.empty()) (void)remove_folder(path_, dir_.get());
}

void NewFolder::keep() {
  path_.clear();
  lock_.reset();
}

Result<Ok> NewFolder::write_config(std::string_view text) {
  return sys::create_file(path_ + "/config.json", text, 0600);
}

Result<Ok> NewFolder::write_record(const oci::ContainerRecord& record) {
  return sys::replace_file(path_ + "/state.json", oci::encode_record(record), 0600);
}

Result<Fd> NewFolder::listen_for_start() {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = start_address(dir_.get());
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    return sys_error("make ", path_, "/start.sock");
  }
  return socket;
}

Result<Fd> connect_to_init(int dir) {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const sockaddr_un address = start_address(dir);
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sys_error("speak to the container's process");
  }
  return socket;
}

bool is_init_locked(int dir) {
  const Fd lock(::openat(dir, "init.lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return lock && ::flock(lock.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<std::optional<oci::ContainerRecord>> read_record(int dir, const std::string& folder) {
  const std::string path = folder + "/state.json";
  const Result<Fd> file = sys::open_at(dir, "state.json", O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file.ok()) {
    if (file.error().code() == ENOENT) return std::optional<oci::ContainerRecord>();
    return Error(file.error().code(), "open ", path);
  }
  const std::string text = TRY(sys::read_fd(file->get(), path, kMaxRecordBytes));
  Result<oci::ContainerRecord> record = oci::decode_record(text);
  if (!record.ok()) return std::move(record).context(path).error();
  return std::optional(std::move(record).value());
}

Result<Ok> remove_folder(const std::string& folder, int dir) {
  remove_notify_folder(dir);
  // By the descriptor: under the folder's name there may be another container by now, if somebody cleared this one with
  // us.
  for (const std::string& name : TRY(sys::list_dir(cat("/proc/self/fd/", dir)))) {
    if (name != "state.json") (void)::unlinkat(dir, name.c_str(), 0);
  }
  if (::unlinkat(dir, "state.json", 0) != 0 && errno != ENOENT) return sys_error("remove ", folder, "/state.json");
  if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return Ok{};
  Error error = sys_error("remove ", folder);
  struct stat status;
  if (::fstat(dir, &status) == 0 && status.st_nlink == 0) return Ok{};
  return error;
}

}  // namespace moss::runtime
