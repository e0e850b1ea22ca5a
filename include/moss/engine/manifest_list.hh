// Lists of images for several platforms: one name, and everybody gets the image for their machine.
//
// A list is in the store as an OCI index under its name, and keeps its images there: all their blobs are local, so that
// it can be pushed, saved and copied as a whole. Looked up as an image, it is the one for this machine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

/// What to say of an entry instead of what its image says. Empty members leave that alone.
struct ListEntryChange {
  std::string architecture;
  std::string os;
  std::string variant;
  std::string os_version;
  std::vector<std::string> os_features;
  std::vector<std::string> features;
  std::map<std::string, std::string> annotations;  ///< added to those it has
};

struct ListAddOptions {
  bool all = false;  ///< of an image that is a list itself: all of its images, not the one for this machine
  ListEntryChange change;
  PullOptions pull;  ///< for images that are not in the store
};

struct ListCreateOptions {
  bool amend = false;                              ///< a list of that name is taken as it is
  std::map<std::string, std::string> annotations;  ///< of the list
  ListAddOptions add;
};

/// Each gives the digest of the list as it is then. A list's name is completed as an image's: "x" is
/// localhost/x:latest. `image` is looked for in the store first, then pulled; "docker://…" is always pulled. What was
/// pulled for the list has no name of its own in the store. Errors: no such list, no such image; the name is an
/// image's; a name that exists already.
Result<std::string> create_list(ImageStore& store, const std::string& name, const std::vector<std::string>& images,
                                const ListCreateOptions& options);
Result<std::string> add_to_list(ImageStore& store, const std::string& list, const std::string& image,
                                const ListAddOptions& options);
/// `entry` is an image of the list: its digest, or a name or id in the store.
Result<std::string> change_list_entry(ImageStore& store, const std::string& list, const std::string& entry,
                                      const ListEntryChange& change);
/// Changes what the list says of itself. `subject`, where it is not empty, is a digest or an image in the store.
Result<std::string> change_list(ImageStore& store, const std::string& list,
                                const std::map<std::string, std::string>& annotations, const std::string& subject);
Result<std::string> remove_from_list(ImageStore& store, const std::string& list, const std::string& entry);
/// Removes the list, and the images that only it kept. Gives its full name.
Result<std::string> remove_list(ImageStore& store, const std::string& list, const RemoveOptions& options);
Result<bool> list_exists(const ImageStore& store, const std::string& name);
/// The document of a list (or an image) in the store, else in its registry.
Result<std::string> read_manifest(const ImageStore& store, const std::string& name, const PullOptions& options);

}  // namespace moss::engine
