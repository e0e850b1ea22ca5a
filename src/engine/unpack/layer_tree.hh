// The folder that a layer is written into, reached by directory descriptors only.
//
// The destination starts empty and nobody else writes to it, so every folder in it is one that was made here, and a
// tree of them in memory answers most questions without the kernel. What is not in that tree is opened with O_NOFOLLOW
// from its parent's descriptor: a symlink that a layer brought along is never followed by the kernel, only by
// resolve(), which stays inside the destination.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "memory_share.hh"
#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/engine/unpack.hh"

namespace moss::engine {

/// What an entry says about itself, beside its name.
struct Metadata {
  mode_t mode = 0;  ///< permission bits and 07000
  int64_t uid = 0;
  int64_t gid = 0;
  timespec mtime{};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

/// An entry's path without "/", "." and trailing slashes; empty for the root.
/// Errors: "..", an empty name, one longer than the kernel could ever open.
Result<std::string> normal_path(std::string_view path);

class LayerTree {
 public:
  /// `share`, which is borrowed, covers what is kept in mind.
  LayerTree(Fd root, const UnpackOptions& options, MemoryShare& share);

  // Every function takes a normal path. A later entry replaces an earlier one of the same name, but not a folder that
  // has something in it.

  /// Makes the folder, or gives an existing one new metadata. The root is "".
  Result<Ok> add_folder(const std::string& path, const Metadata& metadata);
  Result<Ok> add_symlink(const std::string& path, const char* target, const Metadata& metadata);
  Result<Ok> add_hard_link(const std::string& path, const std::string& target);
  Result<Ok> add_fifo(const std::string& path, const Metadata& metadata);
  /// A device is left out: nobody but real root can make one. Later hard links to it are left out too.
  Result<Ok> skip_device(const std::string& path);
  /// Hides `path` of the layers below.
  Result<Ok> add_whiteout(const std::string& path);
  /// Hides everything that the layers below have in the folder.
  Result<Ok> add_opaque(const std::string& folder);

  /// A regular file: begin, write what there is of it (holes are left out), end.
  Result<Fd> begin_file(const std::string& path, const Metadata& metadata);
  Result<Ok> end_file(const Fd& fd, const std::string& path, const Metadata& metadata);

  /// Whiteouts, opaque marks and the folders' times, which every entry below them would change.
  Result<Ok> finish();

  bool opaque_root() const { return folders_[0].opaque; }
  std::vector<std::string> warnings() const;

 private:
  using FolderId = uint32_t;
  static constexpr FolderId kNone = std::numeric_limits<FolderId>::max();

  struct Folder {
    FolderId parent = kNone;
    std::string name;
    Fd fd;
    timespec mtime{.tv_sec = 0, .tv_nsec = UTIME_OMIT};
    bool setgid = false;  ///< new files in it take its group
    bool opaque = false;
    bool gone = false;
  };
  struct Place {
    FolderId folder;
    std::string name;
  };
  using Key = std::pair<FolderId, std::string_view>;
  struct Hash {
    using is_transparent = void;
    const LayerTree* tree;
    size_t operator()(const Key& key) const;
    size_t operator()(FolderId id) const { return (*this)(tree->key(id)); }
  };
  struct Equal {
    using is_transparent = void;
    const LayerTree* tree;
    bool operator()(const Key& a, FolderId b) const { return a == tree->key(b); }
    bool operator()(FolderId a, const Key& b) const { return tree->key(a) == b; }
    bool operator()(FolderId a, FolderId b) const { return a == b; }
  };

  enum class Symlinks { follow, refuse };
  enum class Missing { make, fail };

  /// Counts what is remembered until finish(); a layer could have it grow for ever. Error: beyond max_kept_bytes.
  Result<Ok> keep(size_t bytes, std::string_view name);
  Key key(FolderId id) const { return {folders_[id].parent, folders_[id].name}; }
  FolderId find(FolderId parent, std::string_view name) const;
  std::string path_of(FolderId id) const;
  Result<FolderId> resolve(std::string_view path, Symlinks symlinks, Missing missing);
  Result<Place> place(const std::string& path, Symlinks symlinks = Symlinks::follow, Missing missing = Missing::make);
  Result<int> fd_of(FolderId id);
  Result<FolderId> make_folder(FolderId parent, std::string_view name, mode_t mode);
  Result<Ok> clear_way(const Place& at, const std::string& path);
  /// What `make(folder, name)` makes, without contents: with its owner and time.
  template <typename Make>
  Result<Ok> make_at(const std::string& path, const Metadata& metadata, const Make& make);
  Result<Ok> set_owner_at(int dir, const char* name, const Metadata& metadata, bool inherits_group,
                          const std::string& path);
  Result<Ok> set_xattrs(int fd, const Metadata& metadata, const std::string& path);
  bool needs_owner(const Metadata& metadata, bool inherits_group) const;
  Result<Ok> make_whiteout(FolderId folder, const std::string& name);
  Result<Ok> mark_opaque(FolderId folder, std::string_view value);

  const UnpackOptions options_;
  MemoryShare& share_;
  const size_t max_open_;
  std::deque<Folder> folders_;
  std::unordered_set<FolderId, Hash, Equal> index_;
  std::vector<FolderId> open_;  ///< folders whose descriptor is kept
  size_t next_evicted_ = 0;

  // The last parent, since most entries come folder by folder.
  std::string last_parent_path_;
  FolderId last_parent_ = kNone;

  std::vector<std::pair<FolderId, std::string>> whiteouts_;
  std::unordered_set<std::string> skipped_devices_;
  bool whiteouts_as_xattrs_ = false;

  uint64_t kept_bytes_ = 0;
  uint64_t devices_ = 0;
  uint64_t lost_capabilities_ = 0;
  uint64_t lost_xattrs_ = 0;
};

}  // namespace moss::engine
