// Images as files: the layouts that skopeo, podman, docker and umoci read.
#pragma once

#include <string>
#include <vector>

#include "file_sink.hh"
#include "outgoing.hh"

namespace moss::engine {

/// An OCI layout (image-spec image-layout.md). What a folder has stays; an entry of the same name is replaced.
/// `name` is the entry's reference name, and may be empty.
Result<Ok> write_layout(FileSink& sink, const OutgoingImage& image, const std::vector<std::string>& names);
Result<Ok> write_layout(FileSink& sink, const OutgoingList& list, const std::vector<std::string>& names);

/// Docker's archive: its layers are plain tars, so the images may be in any form. `sizes` tells a layer's.
struct NamedImage {
  OutgoingImage image;
  std::vector<std::string> names;
};
Result<Ok> write_docker_archive(FileSink& sink, const std::vector<NamedImage>& images, const std::string& store);

/// The containers tools' dir: files named by their digests beside manifest.json and version.
Result<Ok> write_dir(FileSink& sink, const OutgoingImage& image);
Result<Ok> write_dir(FileSink& sink, const OutgoingList& list);

}  // namespace moss::engine
