// Files that appear whole. See the header.
#include "moss/sys/new_file.hh"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moss/sys/file.hh"

namespace moss::sys {

namespace {

// Short enough that the longest name a file may have gives no name that is too long.
std::string part_prefix(const std::string& name) { return cat(".", name.substr(0, 200), ".moss-part-"); }

}  // namespace

std::pair<std::string, std::string> parent_and_name(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

std::string part_of(const std::string& path) {
  const auto [parent, name] = parent_and_name(path);
  return cat(parent, "/", part_prefix(name), random_hex(6));
}

void sweep_parts(const std::string& path) {
  const auto [parent, name] = parent_and_name(path);
  const Result<std::vector<std::string>> others = list_dir(parent);
  if (!others.ok()) return;
  for (const std::string& other : *others) {
    if (!other.starts_with(part_prefix(name))) continue;
    const Result<Fd> fd = open_at(AT_FDCWD, cat(parent, "/", other), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (fd.ok() && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) (void)remove_tree(cat(parent, "/", other));
  }
}

Result<NewFile> NewFile::create(const std::string& path) {
  sweep_parts(path);
  NewFile file;
  file.path_ = path;
  const std::string folder = parent_and_name(path).first;
  file.fd_.reset(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0644));
  if (!file.fd_ && errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return sys_error("write in ", folder);
  while (true) {
    if (!file.fd_) {
      std::string part = part_of(path);
      file.fd_ = TRY(open_at(AT_FDCWD, part, O_RDWR | O_CREAT | O_EXCL, 0644));
      file.part_ = std::move(part);
    }
    if (::flock(file.fd_.get(), LOCK_EX) != 0) return sys_error("lock what becomes ", path);
    struct stat status;
    if (::fstat(file.fd_.get(), &status) != 0) return sys_error("stat what becomes ", path);
    if (file.part_.empty() || status.st_nlink > 0) return file;
    // Somebody took it for one that is left over before it was locked.
    file.fd_.reset();
  }
}

NewFile::~NewFile() {
  if (!part_.empty()) ::unlink(part_.c_str());
}

Result<Ok> NewFile::show() {
  if (part_.empty()) {
    // A link cannot take another's place, a rename can.
    const std::string proc = cat("/proc/self/fd/", fd_.get());
    if (::linkat(AT_FDCWD, proc.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0) return Ok{};
    if (errno != EEXIST) return sys_error("write ", path_);
    std::string part = part_of(path_);
    if (::linkat(AT_FDCWD, proc.c_str(), AT_FDCWD, part.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      return sys_error("write ", path_);
    }
    part_ = std::move(part);
  }
  if (::rename(part_.c_str(), path_.c_str()) != 0) return sys_error("write ", path_);
  part_.clear();
  return Ok{};
}

}  // namespace moss::sys
