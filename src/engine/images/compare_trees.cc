// Two folders that should hold the same. See the header.
#include "compare_trees.hh"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "moss/base/fd.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

// A layer may nest folders deeper than descriptors reach, so each is opened from the root, by its whole path.
Result<Fd> open_below(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  Fd fd(static_cast<int>(::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how)));
  if (!fd) return sys_error("open ", path);
  return fd;
}

Result<std::vector<std::string>> names_in(int folder) {
  DIR* entries = ::fdopendir(::fcntl(folder, F_DUPFD_CLOEXEC, 3));
  if (entries == nullptr) return sys_error("list a folder");
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(entries)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(entries);
  std::sort(names.begin(), names.end());
  return names;
}

using Attributes = std::map<std::string, std::string>;

Result<Attributes> attributes_of(int fd, Owners owners) {
  Attributes attributes;
  std::string names(64u << 10, '\0');
  const ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0) {
    if (errno == ENOTSUP) return attributes;
    return sys_error("list extended attributes");
  }
  names.resize(static_cast<size_t>(size));
  for (const std::string_view name : split(names, '\0')) {
    // What the kernel or a policy adds by itself is not the layer's; a capability's owner goes with the map.
    if (!name.starts_with("user.") && (owners == Owners::ignore || name != "security.capability")) continue;
    std::string value(64u << 10, '\0');
    const ssize_t got = ::fgetxattr(fd, std::string(name).c_str(), value.data(), value.size());
    if (got < 0) return sys_error("read extended attribute ", name);
    value.resize(static_cast<size_t>(got));
    attributes.emplace(name, std::move(value));
  }
  return attributes;
}

Result<size_t> read_some(int fd, char* buffer, size_t size) {
  size_t used = 0;
  while (used < size) {
    const ssize_t got = ::read(fd, buffer + used, size - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read");
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  return used;
}

std::string octal(mode_t mode) {
  std::string digits(4, '0');
  for (size_t i = 0; i < 4; ++i) digits[i] = static_cast<char>('0' + (mode >> (9 - 3 * i) & 7));
  return digits;
}

const char* type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a folder";
    case S_IFREG:
      return "a file";
    case S_IFLNK:
      return "a symbolic link";
    case S_IFIFO:
      return "a FIFO";
    case S_IFCHR:
      return "a whiteout";
    default:
      return "something else";
  }
}

class Comparison {
 public:
  Comparison(int expected, int found, Owners owners, int64_t made_at, size_t max_lines)
      : expected_(expected),
        found_(found),
        owners_(owners),
        made_at_(made_at),
        max_lines_(max_lines),
        a_(256u << 10),
        b_(256u << 10) {}

  Result<std::vector<std::string>> run() {
    struct stat a, b;
    if (::fstat(expected_, &a) != 0 || ::fstat(found_, &b) != 0) return sys_error("stat a layer");
    compare_facts("/", a, b);
    TRY(compare_attributes(expected_, found_, "/"));
    std::vector<std::string> folders{""};
    while (!folders.empty() && lines_.size() < max_lines_) {
      const std::string folder = std::move(folders.back());
      folders.pop_back();
      TRY(compare_folder(folder, folders));
    }
    return std::move(lines_);
  }

 private:
  template <typename... Parts>
  void differ(const Parts&... parts) {
    if (lines_.size() < max_lines_) lines_.push_back(printable(cat(parts...)));
  }

  Result<Ok> compare_folder(const std::string& folder, std::vector<std::string>& folders) {
    const Fd a = TRY(open_below(expected_, folder, O_RDONLY | O_DIRECTORY));
    const Fd b = TRY(open_below(found_, folder, O_RDONLY | O_DIRECTORY));
    const std::vector<std::string> wanted = TRY(names_in(a.get()));
    const std::vector<std::string> there = TRY(names_in(b.get()));
    const auto in = [&](const std::string& name) { return cat(folder, folder.empty() ? "" : "/", name); };
    for (const std::string& name : there) {
      if (!std::binary_search(wanted.begin(), wanted.end(), name)) differ("/", in(name), " is not in the layer");
    }
    for (const std::string& name : wanted) {
      const std::string path = in(name);
      if (!std::binary_search(there.begin(), there.end(), name)) {
        differ("/", path, " is missing");
        continue;
      }
      if (TRY(compare_entry(a.get(), b.get(), name, "/" + path))) folders.push_back(path);
    }
    return Ok{};
  }

  // True for a folder on both sides.
  Result<bool> compare_entry(int a_dir, int b_dir, const std::string& name, const std::string& path) {
    struct stat a, b;
    if (::fstatat(a_dir, name.c_str(), &a, AT_SYMLINK_NOFOLLOW) != 0) return sys_error("stat ", path);
    if (::fstatat(b_dir, name.c_str(), &b, AT_SYMLINK_NOFOLLOW) != 0) return sys_error("stat ", path);
    if (!compare_facts(path, a, b)) return false;
    if (S_ISLNK(a.st_mode)) {
      const ssize_t a_size = ::readlinkat(a_dir, name.c_str(), a_.data(), a_.size());
      const ssize_t b_size = ::readlinkat(b_dir, name.c_str(), b_.data(), b_.size());
      if (a_size != b_size || (a_size > 0 && ::memcmp(a_.data(), b_.data(), static_cast<size_t>(a_size)) != 0)) {
        differ(path, " leads elsewhere");
      }
    }
    if (!S_ISDIR(a.st_mode) && !S_ISREG(a.st_mode)) return false;
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const Fd a_fd = TRY(sys::open_at(a_dir, name, flags).context(path));
    const Fd b_fd = TRY(sys::open_at(b_dir, name, flags).context(path));
    TRY(compare_attributes(a_fd.get(), b_fd.get(), path));
    if (S_ISREG(a.st_mode) && a.st_size == b.st_size) TRY(compare_contents(a_fd.get(), b_fd.get(), path));
    return S_ISDIR(a.st_mode);
  }

  // False where the types differ.
  bool compare_facts(const std::string& path, const struct stat& a, const struct stat& b) {
    if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) {
      differ(path, " is ", type_name(b.st_mode), ", in the layer it is ", type_name(a.st_mode));
      return false;
    }
    if (!S_ISLNK(a.st_mode) && a.st_mode != b.st_mode) {
      differ(path, " has mode ", octal(b.st_mode), ", in the layer ", octal(a.st_mode));
    }
    if (owners_ == Owners::compare && (a.st_uid != b.st_uid || a.st_gid != b.st_gid)) {
      differ(path, " belongs to ", b.st_uid, ":", b.st_gid, ", in the layer to ", a.st_uid, ":", a.st_gid);
    }
    if (!S_ISDIR(a.st_mode) && a.st_size != b.st_size) {
      differ(path, " has ", b.st_size, " bytes, in the layer ", a.st_size);
    }
    // A whiteout is made on the spot.
    const bool is_whiteout = S_ISCHR(a.st_mode);
    if (!is_whiteout && a.st_mtim.tv_sec < made_at_ &&
        (a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_mtim.tv_nsec != b.st_mtim.tv_nsec)) {
      differ(path, " was changed at another time than the layer says");
    }
    if (!is_whiteout && !S_ISDIR(a.st_mode) && a.st_nlink != b.st_nlink) {
      differ(path, " has ", b.st_nlink, " names, in the layer ", a.st_nlink);
    }
    if (a.st_rdev != b.st_rdev) differ(path, " is another device than in the layer");
    return true;
  }

  Result<Ok> compare_attributes(int a, int b, const std::string& path) {
    if (TRY(attributes_of(a, owners_).context(path)) != TRY(attributes_of(b, owners_).context(path))) {
      differ(path, " has other extended attributes than in the layer");
    }
    return Ok{};
  }

  Result<Ok> compare_contents(int a, int b, const std::string& path) {
    while (true) {
      const size_t a_size = TRY(read_some(a, a_.data(), a_.size()).context(path));
      const size_t b_size = TRY(read_some(b, b_.data(), b_.size()).context(path));
      if (a_size != b_size || ::memcmp(a_.data(), b_.data(), a_size) != 0) {
        differ(path, " holds something else than in the layer");
        return Ok{};
      }
      if (a_size == 0) return Ok{};
    }
  }

  int expected_;
  int found_;
  Owners owners_;
  int64_t made_at_;
  size_t max_lines_;
  std::vector<char> a_;
  std::vector<char> b_;
  std::vector<std::string> lines_;
};

}  // namespace

Result<std::vector<std::string>> tree_differences(int expected, int found, Owners owners, int64_t made_at,
                                                  size_t max_lines) {
  return Comparison(expected, found, owners, made_at, max_lines).run();
}

}  // namespace moss::engine
