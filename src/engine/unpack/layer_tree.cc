// Files, links, whiteouts and their metadata, written below one directory descriptor.
#include "layer_tree.hh"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <climits>
#include <functional>
#include <ranges>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

constexpr mode_t kSpecialBits = S_ISUID | S_ISGID | S_ISVTX;
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
/// As many as the kernel follows in one path.
constexpr int kMaxSymlinks = 40;

template <typename... Parts>
Error entry_error(const std::string& path, const Parts&... reason) {
  return Error(0, "unpack ", printable(path.empty() ? "/" : path), ": ", reason...);
}

Error entry_sys_error(const std::string& path) {
  const int code = errno;
  return Error(code, "unpack ", printable(path.empty() ? "/" : path));
}

// A few descriptors are always needed beside the folders': the input, the file being written, a folder being opened.
size_t max_open_folders() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 16;
  return std::clamp<size_t>(limit.rlim_cur / 4, 2, 128);
}

}  // namespace

Result<std::string> normal_path(std::string_view path) {
  if (path.empty()) return Error(0, "unpack: an entry has no name");
  if (path.size() >= PATH_MAX) {
    return Error(ENAMETOOLONG, "unpack ", printable(path.substr(0, 60)), "…");
  }
  std::string normal;
  normal.reserve(path.size());
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return Error(0, "unpack ", printable(path), ": a layer's names must not contain \"..\"");
    if (!normal.empty()) normal += '/';
    normal += part;
  }
  return normal;
}

LayerTree::LayerTree(Fd root, const UnpackOptions& options, MemoryShare& share)
    : options_(options), share_(share), max_open_(max_open_folders()), index_(64, Hash{this}, Equal{this}) {
  struct stat status{};
  folders_.emplace_back().setgid = ::fstat(root.get(), &status) == 0 && (status.st_mode & S_ISGID) != 0;
  folders_[0].fd = std::move(root);
}

size_t LayerTree::Hash::operator()(const Key& key) const {
  return std::hash<std::string_view>()(key.second) ^ (size_t{key.first} * 0x9e3779b97f4a7c15u);
}

LayerTree::FolderId LayerTree::find(FolderId parent, std::string_view name) const {
  const auto found = index_.find(Key{parent, name});
  return found != index_.end() ? *found : kNone;
}

std::string LayerTree::path_of(FolderId id) const {
  std::vector<std::string_view> names;
  for (; id != 0; id = folders_[id].parent) names.push_back(folders_[id].name);
  std::string path;
  for (const std::string_view name : std::views::reverse(names)) {
    if (!path.empty()) path += '/';
    path += name;
  }
  return path;
}

// The folder's descriptor, good until the next call of this function.
Result<int> LayerTree::fd_of(FolderId id) {
  if (folders_[id].fd) return folders_[id].fd.get();
  // From the nearest open ancestor down; only the last one is kept, since the entries that follow are in it.
  std::vector<FolderId> way;
  FolderId ancestor = id;
  for (; !folders_[ancestor].fd; ancestor = folders_[ancestor].parent) way.push_back(ancestor);
  int dir = folders_[ancestor].fd.get();
  Fd opened;
  for (const FolderId step : std::views::reverse(way)) {
    Fd next(::openat(dir, folders_[step].name.c_str(), kFolderFlags));
    if (!next) return entry_sys_error(path_of(step));
    opened = std::move(next);
    dir = opened.get();
  }
  if (open_.size() < max_open_) {
    open_.push_back(id);
  } else {
    next_evicted_ = (next_evicted_ + 1) % open_.size();
    folders_[open_[next_evicted_]].fd.reset();
    open_[next_evicted_] = id;
  }
  folders_[id].fd = std::move(opened);
  return dir;
}

Result<Ok> LayerTree::keep(size_t bytes, std::string_view name) {
  constexpr size_t kNode = 32;  // of a hash table, or what malloc(3) adds
  kept_bytes_ += bytes + kNode + (name.size() < sizeof(std::string) / 2 ? 0 : name.size() + kNode);
  if (kept_bytes_ <= options_.max_kept_bytes) return share_.keep(kept_bytes_);
  return Error(E2BIG, "the layer has too many folders, whiteouts and devices to keep in mind; refused");
}

// Makes a folder where nothing is.
Result<LayerTree::FolderId> LayerTree::make_folder(FolderId parent, std::string_view name, mode_t mode) {
  TRY(keep(sizeof(Folder), name));
  const int dir = TRY(fd_of(parent));
  const std::string name_text(name);
  if (::mkdirat(dir, name_text.c_str(), mode) != 0) return entry_sys_error(cat(path_of(parent), '/', name));
  const FolderId id = static_cast<FolderId>(folders_.size());
  Folder& folder = folders_.emplace_back();
  folder.parent = parent;
  folder.name = name_text;
  folder.setgid = folders_[parent].setgid;
  index_.insert(id);
  return id;
}

// The folder called `path`, through the layer's own symlinks as if the destination were "/".
Result<LayerTree::FolderId> LayerTree::resolve(std::string_view path, Symlinks symlinks, Missing missing) {
  FolderId at = 0;
  int followed = 0;
  // What is still to walk; a symlink's text goes in front of it.
  std::string rest(path);
  size_t position = 0;
  while (position < rest.size()) {
    const size_t slash = rest.find('/', position);
    const size_t end = slash == std::string::npos ? rest.size() : slash;
    const std::string_view name = std::string_view(rest).substr(position, end - position);
    position = end + (end < rest.size() ? 1 : 0);
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      // Only from a symlink's text. Above the root there is the root.
      if (at != 0) at = folders_[at].parent;
      continue;
    }
    if (const FolderId known = find(at, name); known != kNone) {
      at = known;
      continue;
    }
    // Not a folder: a symlink, something else, or nothing.
    const int dir = TRY(fd_of(at));
    const std::string name_text(name);
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat(dir, name_text.c_str(), target, sizeof target);
    if (length < 0 && errno == ENOENT && missing == Missing::make && followed == 0) {
      at = TRY(make_folder(at, name, 0755));
      continue;
    }
    if (length < 0 && errno == ENOENT) return entry_error(std::string(path), printable(name), " is not in this layer");
    if (length < 0 && errno == EINVAL) return entry_error(std::string(path), printable(name), " is not a folder");
    if (length < 0) return entry_sys_error(std::string(path));
    if (symlinks == Symlinks::refuse) {
      return entry_error(std::string(path), printable(name), " is a symlink, and a whiteout must not go through one");
    }
    if (++followed > kMaxSymlinks) return Error(ELOOP, "unpack ", printable(path));
    const std::string_view text(target, static_cast<size_t>(length));
    if (text.starts_with('/')) at = 0;
    rest = cat(text, '/', std::string_view(rest).substr(position));
    position = 0;
  }
  return at;
}

Result<LayerTree::Place> LayerTree::place(const std::string& path, Symlinks symlinks, Missing missing) {
  assert(!path.empty());
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return Place{0, path};
  const std::string_view parent = std::string_view(path).substr(0, slash);
  // A parent found before is a folder still, unless a folder was removed since; clear_way() sees to that. It may have
  // been found through a symlink, which a whiteout must not.
  if (last_parent_ == kNone || parent != last_parent_path_ || symlinks == Symlinks::refuse) {
    last_parent_ = kNone;
    const FolderId found = TRY(resolve(parent, symlinks, missing));
    last_parent_path_ = parent;
    last_parent_ = found;
  }
  return Place{last_parent_, path.substr(slash + 1)};
}

// Removes what an earlier entry put there.
Result<Ok> LayerTree::clear_way(const Place& at, const std::string& path) {
  const int dir = TRY(fd_of(at.folder));
  // A parent path that went through a symlink must be looked up again once that symlink is gone.
  last_parent_ = kNone;
  const FolderId folder = find(at.folder, at.name);
  if (folder == kNone) {
    if (::unlinkat(dir, at.name.c_str(), 0) != 0 && errno != ENOENT) return entry_sys_error(path);
    return Ok{};
  }
  if (::unlinkat(dir, at.name.c_str(), AT_REMOVEDIR) != 0) {
    if (errno == ENOTEMPTY) return entry_error(path, "it would replace a folder of this layer that is not empty");
    return entry_sys_error(path);
  }
  index_.erase(folder);
  Folder& removed = folders_[folder];
  removed.gone = true;
  if (removed.fd) {
    removed.fd.reset();
    const auto kept = std::find(open_.begin(), open_.end(), folder);
    *kept = open_.back();
    open_.pop_back();
    next_evicted_ = 0;
  }
  return Ok{};
}

bool LayerTree::needs_owner(const Metadata& metadata, bool inherits_group) const {
  return inherits_group || (!options_.single_id && (metadata.uid != 0 || metadata.gid != 0));
}

// Of `name` in `dir`, or of `dir` itself where the name is empty.
Result<Ok> LayerTree::set_owner_at(int dir, const char* name, const Metadata& metadata, bool inherits_group,
                                   const std::string& path) {
  if (!needs_owner(metadata, inherits_group)) return Ok{};
  // The single id is the caller's, under whatever number: keep-id has no 0.
  const int64_t uid = options_.single_id ? ::geteuid() : metadata.uid;
  const int64_t gid = options_.single_id ? ::getegid() : metadata.gid;
  const auto beyond = [&] {
    return entry_error(path, "its owner ", uid, ":", gid,
                       " is not among the ids that are mapped; map more of yours (--uidmap, --gidmap), or "
                       "get more in /etc/subuid and /etc/subgid");
  };
  // 2^32-1 means "leave alone" to the kernel.
  if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX) return beyond();
  if (::fchownat(dir, name, static_cast<uid_t>(uid), static_cast<gid_t>(gid), AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ==
      0) {
    return Ok{};
  }
  if (errno == EINVAL) return beyond();
  return entry_sys_error(path);
}

Result<Ok> LayerTree::set_xattrs(int fd, const Metadata& metadata, const std::string& path) {
  for (const auto& [name, value] : metadata.xattrs) {
    const bool capability = name == "security.capability";
    // "user.overlay." would steer overlayfs itself; everything else belongs to the machine, not to an image.
    if (!capability && (!name.starts_with("user.") || name.starts_with("user.overlay."))) continue;
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) == 0) continue;
    if (capability && (errno == EPERM || errno == ENOTSUP || errno == EINVAL)) {
      ++lost_capabilities_;
    } else if (errno == ENOTSUP) {
      ++lost_xattrs_;
    } else {
      const int code = errno;
      return Error(code, "unpack ", printable(path), ": set ", printable(name));
    }
  }
  return Ok{};
}

Result<Ok> LayerTree::add_folder(const std::string& path, const Metadata& metadata) {
  FolderId id = 0;
  bool inherits_group = false;
  const mode_t plain_mode = metadata.mode & 01777;
  bool mode_is_set = false;
  if (!path.empty()) {
    const Place at = TRY(place(path));
    inherits_group = folders_[at.folder].setgid;
    id = find(at.folder, at.name);
    if (id == kNone) {
      Result<FolderId> made = make_folder(at.folder, at.name, plain_mode);
      if (!made.ok() && made.error().code() == EEXIST) {
        TRY(clear_way(at, path));
        made = make_folder(at.folder, at.name, plain_mode);
      }
      id = TRY(std::move(made));
      // A folder in a set-group-id one is born with that bit.
      mode_is_set = !inherits_group && plain_mode == metadata.mode;
    }
  }
  // Most folders are root's, with a plain mode, and need no descriptor now.
  const bool new_owner = needs_owner(metadata, inherits_group) || !mode_is_set;
  if (new_owner || !mode_is_set || !metadata.xattrs.empty()) {
    const int fd = TRY(fd_of(id));
    if (new_owner) TRY(set_owner_at(fd, "", metadata, true, path));
    if (!mode_is_set && ::fchmod(fd, metadata.mode) != 0) return entry_sys_error(path);
    TRY(set_xattrs(fd, metadata, path));
  }
  folders_[id].setgid = (metadata.mode & S_ISGID) != 0;
  folders_[id].mtime = metadata.mtime;
  return Ok{};
}

Result<Fd> LayerTree::begin_file(const std::string& path, const Metadata& metadata) {
  const Place at = TRY(place(path));
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Fd fd(::openat(TRY(fd_of(at.folder)), at.name.c_str(), kFlags, metadata.mode & 0777));
  if (!fd && errno == EEXIST) {
    TRY(clear_way(at, path));
    fd.reset(::openat(TRY(fd_of(at.folder)), at.name.c_str(), kFlags, metadata.mode & 0777));
  }
  if (!fd) return entry_sys_error(path);
  TRY(set_owner_at(fd.get(), "", metadata, folders_[at.folder].setgid, path));
  return fd;
}

Result<Ok> LayerTree::end_file(const Fd& fd, const std::string& path, const Metadata& metadata) {
  // Writing and chown(2) take the set-user-id bit away, and chown(2) the capabilities: both come last.
  if ((metadata.mode & kSpecialBits) != 0 && ::fchmod(fd.get(), metadata.mode) != 0) return entry_sys_error(path);
  if (!metadata.xattrs.empty()) TRY(set_xattrs(fd.get(), metadata, path));
  const timespec times[] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, metadata.mtime};
  if (::futimens(fd.get(), times) != 0) return entry_sys_error(path);
  return Ok{};
}

Result<Ok> LayerTree::add_symlink(const std::string& path, const char* target, const Metadata& metadata) {
  if (*target == '\0') return entry_error(path, "a symlink to nowhere");
  return make_at(path, metadata, [&](int dir, const char* name) { return ::symlinkat(target, dir, name); });
}

Result<Ok> LayerTree::add_fifo(const std::string& path, const Metadata& metadata) {
  return make_at(path, metadata,
                 [&](int dir, const char* name) { return ::mknodat(dir, name, S_IFIFO | (metadata.mode & 0777), 0); });
}

template <typename Make>
Result<Ok> LayerTree::make_at(const std::string& path, const Metadata& metadata, const Make& make) {
  const Place at = TRY(place(path));
  int made = make(TRY(fd_of(at.folder)), at.name.c_str());
  if (made != 0 && errno == EEXIST) {
    TRY(clear_way(at, path));
    made = make(TRY(fd_of(at.folder)), at.name.c_str());
  }
  if (made != 0) return entry_sys_error(path);
  const int dir = TRY(fd_of(at.folder));
  TRY(set_owner_at(dir, at.name.c_str(), metadata, folders_[at.folder].setgid, path));
  const timespec times[] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, metadata.mtime};
  if (::utimensat(dir, at.name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return entry_sys_error(path);
  return Ok{};
}

Result<Ok> LayerTree::skip_device(const std::string& path) {
  ++devices_;
  if (skipped_devices_.insert(path).second) TRY(keep(sizeof(std::string), path));
  return Ok{};
}

Result<Ok> LayerTree::add_hard_link(const std::string& path, const std::string& target) {
  if (target.empty()) return entry_error(path, "a hard link to /");
  if (skipped_devices_.contains(target)) {
    return skip_device(path);
  }
  const Place from = TRY(place(target, Symlinks::follow, Missing::fail).context("unpack ", printable(path)));
  const Place at = TRY(place(path));
  const auto missing = [&] {
    return entry_error(path, "a hard link to ", printable(target), ", which is not in this layer");
  };
  if (find(from.folder, from.name) != kNone) return entry_error(path, "a hard link to the folder ", printable(target));
  // The second descriptor may push the first out of the cache.
  const Fd from_dir(::fcntl(TRY(fd_of(from.folder)), F_DUPFD_CLOEXEC, 0));
  if (!from_dir) return entry_sys_error(path);
  struct stat status{};
  if (::fstatat(from_dir.get(), from.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return missing();
    return entry_sys_error(path);
  }
  // GNU tar writes a file that was named twice as a link to itself.
  if (from.folder == at.folder && from.name == at.name) return Ok{};
  // linkat(2) does not follow a symlink at the end: the link is one to the symlink itself.
  int made = ::linkat(from_dir.get(), from.name.c_str(), TRY(fd_of(at.folder)), at.name.c_str(), 0);
  if (made != 0 && errno == EEXIST) {
    TRY(clear_way(at, path));
    made = ::linkat(from_dir.get(), from.name.c_str(), TRY(fd_of(at.folder)), at.name.c_str(), 0);
  }
  if (made != 0) return entry_sys_error(path);
  return Ok{};
}

Result<Ok> LayerTree::add_whiteout(const std::string& path) {
  Place at = TRY(place(path, Symlinks::refuse));
  TRY(keep(sizeof whiteouts_[0], at.name));
  whiteouts_.emplace_back(at.folder, std::move(at.name));
  return Ok{};
}

Result<Ok> LayerTree::add_opaque(const std::string& folder) {
  const FolderId id = TRY(resolve(folder, Symlinks::refuse, Missing::make));
  folders_[id].opaque = true;
  return Ok{};
}

Result<Ok> LayerTree::mark_opaque(FolderId folder, std::string_view value) {
  const int fd = TRY(fd_of(folder));
  if (::fsetxattr(fd, "user.overlay.opaque", value.data(), value.size(), 0) == 0) return Ok{};
  const int code = errno;
  return Error(code, "unpack ", printable(path_of(folder)),
               ": mark it opaque with a user.* attribute; the layers' folder must be on a file system that has them");
}

// A whiteout hides the layers below and nothing in its own: what the layer has under the same name stays.
Result<Ok> LayerTree::make_whiteout(FolderId folder, const std::string& name) {
  if (folders_[folder].opaque) return Ok{};
  if (const FolderId same = find(folder, name); same != kNone) {
    // The lower folder is gone and this is a new one, which shows nothing of the old.
    folders_[same].opaque = true;
    return mark_opaque(same, "y");
  }
  const int dir = TRY(fd_of(folder));
  if (!whiteouts_as_xattrs_) {
    if (::mknodat(dir, name.c_str(), S_IFCHR, makedev(0, 0)) == 0 || errno == EEXIST) return Ok{};
    if (errno != EPERM) return entry_sys_error(cat(path_of(folder), "/.wh.", name));
    // Before Linux 5.8 only real root makes this device; from 6.7 on an empty file with an attribute does as well.
    whiteouts_as_xattrs_ = true;
  }
  const Fd file(::openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file && errno == EEXIST) return Ok{};
  if (!file || ::fsetxattr(file.get(), "user.overlay.whiteout", "y", 1, 0) != 0) {
    return entry_sys_error(cat(path_of(folder), "/.wh.", name));
  }
  return mark_opaque(folder, "x");
}

Result<Ok> LayerTree::finish() {
  for (FolderId id = 0; id < folders_.size(); ++id) {
    if (folders_[id].opaque && !folders_[id].gone) TRY(mark_opaque(id, "y"));
  }
  for (const auto& [folder, name] : whiteouts_) {
    if (!folders_[folder].gone) TRY(make_whiteout(folder, name));
  }
  for (FolderId id = 0; id < folders_.size(); ++id) {
    const Folder& folder = folders_[id];
    if (folder.gone || folder.mtime.tv_nsec == UTIME_OMIT) continue;
    const timespec times[] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, folder.mtime};
    if (::futimens(TRY(fd_of(id)), times) != 0) return entry_sys_error(path_of(id));
  }
  return Ok{};
}

std::vector<std::string> LayerTree::warnings() const {
  std::vector<std::string> lines;
  if (devices_ > 0) lines.push_back(cat(devices_, " device files left out: only real root can make them"));
  if (lost_capabilities_ > 0) lines.push_back(cat(lost_capabilities_, " file capabilities could not be kept"));
  if (lost_xattrs_ > 0) lines.push_back(cat(lost_xattrs_, " user.* attributes left out: the file system has none"));
  return lines;
}

}  // namespace moss::engine
