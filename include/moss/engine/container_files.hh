// The files of containers and images, looked at from outside: their sizes, what was changed, all of them as one tar.
//
// A container may run meanwhile and do to its files what it likes. Nothing is mounted: the layers are walked folder by
// folder from descriptors, never through a link, in a process in the container's user namespace. So whatever a
// container puts where, nothing of the host is read, and owners are those inside.
// None may be called while the caller has threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

struct ContainerSize {
  int64_t writable = 0;  ///< bytes in the files of the writable layer
  int64_t rootfs = 0;    ///< the same and the image's
};
Result<ContainerSize> container_size(const Paths& paths, const Container& container);

struct Change {
  char kind = 'A';   ///< 'A'dded, 'C'hanged or 'D'eleted
  std::string path;  ///< "/etc/hosts"
  bool operator==(const Change&) const = default;
};
/// What a container changed of its image; sorted by path. Errors: made with --rootfs, where moss keeps no original.
Result<std::vector<Change>> container_changes(const Paths& paths, const Container& container);
/// What an image's top layer changes of those below; all of it for an image of one layer.
Result<std::vector<Change>> image_changes(ImageStore& store, const Image& image);

/// All files of a container or image, for comparing.
struct FileSet {
  std::vector<std::string> folders;  ///< of its layers, topmost first
  IdMap map;                         ///< of the namespace in which they are looked at
  bool of_container = false;
};
Result<FileSet> container_files(const Container& container);
/// The layers as a container with this map has them.
Result<FileSet> image_files(ImageStore& store, const Image& image, const IdMap& map);
/// What makes the one the other; sorted by path. What differs in size, time, mode, owner, device, link or attributes is
/// changed. The places that moss mounts in a container are left out where one of the two is that.
/// Errors: the maps are not the same.
Result<std::vector<Change>> changes_between(const FileSet& before, const FileSet& now);

/// Writes all files of a container as a tar: sorted, times in whole seconds, the same bytes for the same files.
Result<Ok> export_container(const Paths& paths, const Container& container, int to);

struct CommitOptions {
  std::string name;    ///< may be empty
  std::string author;  ///< of the image
  std::string message;
  std::vector<std::string> changes;  ///< see apply_change(); in their order
  bool docker_format = false;
  bool squash = false;           ///< one layer of everything
  bool include_volumes = false;  ///< places of mounts become volumes of the image
  bool pause = false;            ///< a running container's processes stand still while its files are read
};
/// Makes an image of a container: its image and a layer of what it changed. What it started with becomes the image's
/// config. Errors: made with --rootfs; names that would be removals in a layer (".wh.x"); `pause` where a process of it
/// is in the hands of a debugger, or the container shares the host's pid namespace.
Result<Image> commit_container(const Paths& paths, const Container& container, const CommitOptions& options);

}  // namespace moss::engine
