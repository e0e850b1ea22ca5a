// Locks and staging folders. See the header.
#include "locks.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

// False where somebody else holds it and `operation` says not to wait.
Result<bool> flock_fd(int fd, int operation, const std::string& name) {
  while (::flock(fd, operation) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return sys_error("lock ", name);
  }
  return true;
}

}  // namespace

Error keep_images_elsewhere(Error error, const std::string& store) {
  if (error.code() != EROFS && error.code() != EACCES && error.code() != EPERM) return error;
  return Error(error.code(), "images are kept in ", store,
               ", which cannot be written to; name another folder in XDG_DATA_HOME");
}

Result<NameLock> NameLock::acquire(const std::string& store, const std::string& name) {
  std::string path = cat(store, "/locks/", name);
  Result<sys::FileLock> lock = sys::FileLock::acquire(path);
  if (!lock.ok()) return keep_images_elsewhere(std::move(lock).error(), store);
  return NameLock(std::move(path), std::move(lock).value());
}

Result<std::optional<NameLock>> NameLock::try_acquire(const std::string& store, const std::string& name) {
  std::string path = cat(store, "/locks/", name);
  std::optional<sys::FileLock> lock = TRY(sys::FileLock::try_acquire(path));
  if (!lock) return std::optional<NameLock>();
  return std::optional<NameLock>(NameLock(std::move(path), std::move(*lock)));
}

NameLock::~NameLock() {
  // Removed while still locked: whoever waits for this file looks again after getting the lock.
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<Fd> hold_folder(const std::string& folder, Hold hold) {
  Fd fd = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
  TRY(flock_fd(fd.get(), hold == Hold::alone ? LOCK_EX : LOCK_SH, folder));
  return fd;
}

Result<std::optional<Fd>> try_hold_folder(const std::string& folder, Hold hold) {
  Fd fd = TRY(sys::open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY));
  if (!TRY(flock_fd(fd.get(), LOCK_NB | (hold == Hold::alone ? LOCK_EX : LOCK_SH), folder))) return std::optional<Fd>();
  return std::optional<Fd>(std::move(fd));
}

Result<Staging> Staging::create(const std::string& store, TreeRemover remove) {
  const std::string parent = store + "/staging";
  // Held while the new folder has no lock of its own, so that nobody takes it for garbage.
  const Fd gate = TRY(sys::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY));
  TRY(flock_fd(gate.get(), LOCK_EX, parent));
  std::string name = cat(::getpid(), "-", sys::random_hex(6));
  if (::mkdirat(gate.get(), name.c_str(), 0700) != 0) return sys_error("make a staging folder in ", parent);
  Fd dir = TRY(sys::open_at(gate.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(flock_fd(dir.get(), LOCK_EX | LOCK_NB, name));
  return Staging(store, std::move(name), std::move(dir), std::move(remove));
}

Staging::~Staging() {
  // What cannot be removed now is removed by the next command: the lock goes with this process.
  if (!name_.empty()) (void)remove_(store_ + "/staging", name_);
}

namespace {

constexpr std::string_view kRemoving = "removing-";
// Below this much of free space a command that adds an image waits for what others are removing.
constexpr uint64_t kScarceBytes = 4ULL << 30;

}  // namespace

void Staging::remove_in_background() && {
  const std::string parent = store_ + "/staging";
  // Told apart from what is being filled: whoever is short of space waits for these.
  const std::string name = cat(kRemoving, name_);
  if (::rename(path().c_str(), cat(parent, "/", name).c_str()) == 0) name_ = name;
  const TreeRemover& remove = remove_;
  const std::string& removed = name_;
  if (sys::run_in_background({dir_.get()}, [&] { (void)remove(parent, removed); })) name_.clear();
}

void wait_for_removals(const std::string& store) {
  const std::string parent = store + "/staging";
  struct statvfs disk;
  if (::statvfs(parent.c_str(), &disk) != 0 || uint64_t{disk.f_bavail} * disk.f_frsize >= kScarceBytes) return;
  const Result<std::vector<std::string>> names = sys::list_dir(parent);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!name.starts_with(kRemoving)) continue;
    const Result<Fd> dir = sys::open_at(AT_FDCWD, cat(parent, "/", name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (dir.ok()) (void)flock_fd(dir->get(), LOCK_SH, name);
  }
}

Result<Ok> reclaim_staging(const std::string& store, const TreeRemover& remove) {
  const std::string parent = store + "/staging";
  Result<Fd> gate = sys::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
  if (!gate.ok()) return gate.error().code() == ENOENT ? Result<Ok>(Ok{}) : gate.error();
  TRY(flock_fd(gate->get(), LOCK_EX, parent));
  // Each is kept locked until it is gone, so that nobody else removes it too.
  std::vector<std::pair<std::string, Fd>> dead;
  for (const std::string& name : TRY(sys::list_dir(parent))) {
    Result<Fd> dir = sys::open_at(gate->get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (dir.ok() && !TRY(flock_fd(dir->get(), LOCK_EX | LOCK_NB, name))) continue;
    dead.emplace_back(name, dir.ok() ? std::move(dir).value() : Fd());
  }
  // Removing may take long; nobody needs to wait for it.
  gate->reset();
  for (const auto& [name, lock] : dead) {
    TRY(remove(parent, name).context("remove what a killed moss left in ", parent));
  }
  return Ok{};
}

}  // namespace moss::engine
