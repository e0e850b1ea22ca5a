// Removing whole trees.
//
// Depth by depth with one descriptor a level would run out of descriptors in a deep hostile tree, so there is a list of
// work: a folder that is not empty is moved up into the top of the tree and emptied there. Whatever resists stays
// inside the tree, for somebody with more rights to try again.
//
// The end of a file may wait for the disk. An ext4 without a journal that is mounted with `discard` tells the disk of
// each file's blocks before unlink(2) returns: 0.1 ms, and 3 where the disk is busy, so that a large layer took a
// minute. Such waits do not add up when several threads wait, so a large tree gets some. A small one never does.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "moss/sys/file.hh"
#include "moss/sys/thread.hh"

namespace moss::sys {

namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
constexpr size_t kMostThreads = 16;  // they wait, mostly: it is the disk's queue that they fill, not the processors
constexpr size_t kWorthAThread = 64;
constexpr size_t kMostWaiting = 2 * kMostThreads;  // each may keep a folder open

// Opens a folder to empty it; one that may not be read, searched or written is made so first.
Result<Fd> open_to_empty(int dir, const std::string& name) {
  Result<Fd> opened = open_at(dir, name, kFolderFlags);
  struct stat status;
  if (opened.ok() && ::fstat(opened->get(), &status) != 0) return sys_error("stat ", name);
  if (opened.ok() && (status.st_mode & 0700) == 0700) return opened;
  // Nobody else can swap the name for a symlink here: `dir` is the caller's own.
  if (::fchmodat(dir, name.c_str(), 0700, 0) != 0 && !opened.ok()) return opened;
  return open_at(dir, name, kFolderFlags);
}

// Whether it is gone now: a file or an empty folder. False for a folder that is not empty.
Result<bool> remove_entry(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR && errno != EPERM) return sys_error("remove ", name);
  if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
  if (errno != ENOTEMPTY && errno != EEXIST) return sys_error("remove folder ", name);
  return false;
}

class TreeRemover {
 public:
  /// `top` is the tree's own folder.
  explicit TreeRemover(int top) : top_(top) {}

  Result<Ok> remove_contents() {
    folders_.emplace_back();
    work();
    for (std::thread& helper : helpers_) helper.join();
    if (error_) return *std::move(error_);
    return Ok{};
  }

 private:
  // A folder that is being emptied, until the last of its entries is.
  struct Folder {
    Fd fd;                          // the top's own is not here
    std::string name;               // in the top; empty for the top itself
    std::atomic<size_t> parts = 1;  // of its entries, each seen to by one thread; the reading of them is one, too
  };
  // Some entries of a folder, for any thread.
  struct Batch {
    std::shared_ptr<Folder> folder;
    std::vector<std::string> names;
  };

  int fd_of(const Folder& folder) const { return folder.name.empty() ? top_ : folder.fd.get(); }

  // Every thread's life: until nothing is left to do and nobody is at work that may leave something.
  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [&] { return error_ || !batches_.empty() || !folders_.empty() || busy_ == 0; });
      if (error_ || (batches_.empty() && folders_.empty())) return;
      std::optional<Batch> batch;
      std::string folder;
      // What keeps a folder open goes first.
      if (!batches_.empty()) {
        batch = std::move(batches_.front());
        batches_.pop_front();
      } else {
        folder = std::move(folders_.back());
        folders_.pop_back();
      }
      ++busy_;
      lock.unlock();
      Result<Ok> done = batch ? remove_batch(*batch) : empty(folder);
      batch.reset();
      lock.lock();
      if (!done.ok() && !error_) error_ = std::move(done).error();
      if (--busy_ == 0 || error_) changed_.notify_all();
      if (removed_ >= kWorthAThread * (helpers_.size() + 1) && !(batches_.empty() && folders_.empty())) call_help();
    }
  }

  Result<Ok> empty(const std::string& name) {
    auto folder = std::make_shared<Folder>();
    folder->name = name;
    if (!name.empty()) {
      Result<Fd> opened = open_to_empty(top_, name);
      // Two may find the same folder, one who moved it and one who reads the top.
      if (!opened.ok()) return opened.error().code() == ENOENT ? Result<Ok>(Ok{}) : opened.error();
      folder->fd = *std::move(opened);
    }
    DIR* entries = ::fdopendir(::fcntl(fd_of(*folder), F_DUPFD_CLOEXEC, 3));
    if (entries == nullptr) return sys_error("list ", name.empty() ? "the folder" : name);
    Result<Ok> result = Ok{};
    Batch batch{folder, {}};
    while (const dirent* entry = ::readdir(entries)) {
      const std::string_view child = entry->d_name;
      if (child == "." || child == "..") continue;
      batch.names.emplace_back(child);
      if (batch.names.size() < kWorthAThread) continue;
      if (!leave_to_others(batch)) result = remove_names(*folder, batch.names);
      if (!result.ok()) break;
      batch.names.clear();
    }
    ::closedir(entries);
    if (result.ok()) result = remove_batch(batch);
    return result;
  }

  // False where everybody has enough to do.
  bool leave_to_others(Batch& batch) {
    const std::lock_guard lock(mutex_);
    if (error_ || batches_.size() >= kMostWaiting) return false;
    ++batch.folder->parts;
    batches_.push_back({batch.folder, std::exchange(batch.names, {})});
    call_help();
    return true;
  }

  // With the mutex.
  void call_help() {
    changed_.notify_one();
    // After an error the helpers there are may be being waited for.
    if (error_ || helpers_.size() + 1 >= kMostThreads) return;
    Result<std::thread> helper = start_thread([this] { work(); });
    // Where it is not allowed, those that are there will do.
    if (helper.ok()) helpers_.push_back(std::move(helper).value());
  }

  Result<Ok> remove_batch(const Batch& batch) {
    Folder& folder = *batch.folder;
    TRY(remove_names(folder, batch.names));
    // The last one removes the folder. Should it have got new entries, it is emptied once more.
    if (--folder.parts > 0 || folder.name.empty()) return Ok{};
    if (::unlinkat(top_, folder.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return Ok{};
    if (errno != ENOTEMPTY && errno != EEXIST) return sys_error("remove folder ", folder.name);
    const std::lock_guard lock(mutex_);
    folders_.push_back(folder.name);
    return Ok{};
  }

  // Removes what can be removed at once; the rest is moved up, where it does not lie at the top already.
  Result<Ok> remove_names(const Folder& folder, const std::vector<std::string>& names) {
    const int fd = fd_of(folder);
    for (const std::string& name : names) {
      if (TRY(remove_entry(fd, name))) continue;
      const std::string moved = folder.name.empty() ? name : cat(".moss-removing-", random_hex(8));
      if (!folder.name.empty() && ::renameat(fd, name.c_str(), top_, moved.c_str()) != 0) {
        if (errno == ENOENT) continue;  // another process that removes this tree was quicker
        // A folder may only be moved by who may write to it ("..") as well.
        if (::fchmodat(fd, name.c_str(), 0700, 0) != 0 || ::renameat(fd, name.c_str(), top_, moved.c_str()) != 0) {
          return sys_error("remove folder ", name);
        }
      }
      const std::lock_guard lock(mutex_);
      folders_.push_back(moved);
      changed_.notify_one();
    }
    removed_ += names.size();
    return Ok{};
  }

  const int top_;
  std::atomic<size_t> removed_ = 0;  // entries of folders, by all threads
  std::mutex mutex_;                 // for all below
  std::condition_variable changed_;
  std::deque<Batch> batches_;
  std::vector<std::string> folders_;  // names in the top; "" is the top itself
  size_t busy_ = 0;
  std::optional<Error> error_;  // the first
  std::vector<std::thread> helpers_;
};

}  // namespace

Result<Ok> remove_tree_at(int dir, const std::string& name) {
  if (TRY(remove_entry(dir, name))) return Ok{};
  while (true) {
    Result<Fd> opened = open_to_empty(dir, name);
    if (!opened.ok() && opened.error().code() == ENOENT) return Ok{};
    const Fd top = TRY(std::move(opened));
    TRY(TreeRemover(top.get()).remove_contents());
    if (::unlinkat(dir, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return Ok{};
    // Not empty again: another process that removes this tree has moved a folder up meanwhile.
    if (errno != ENOTEMPTY && errno != EEXIST) return sys_error("remove folder ", name);
  }
}

Result<Ok> remove_tree(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  assert(slash != std::string::npos && slash + 1 < path.size());
  Result<Fd> parent = open_at(AT_FDCWD, path.substr(0, slash + 1), O_RDONLY | O_DIRECTORY);
  if (!parent.ok() && parent.error().code() == ENOENT) return Ok{};
  const Fd dir = TRY(std::move(parent));
  return remove_tree_at(dir.get(), path.substr(slash + 1)).context("remove ", path);
}

}  // namespace moss::sys
