// Images on their way out: to registries, and into folders and archives that other tools read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"

namespace moss::engine {

enum class LayerCompression { none, gzip, zstd };
enum class ManifestFormat { oci, docker };

/// "gzip", "zstd". Pure. Errors: another one; zstd:chunked, which moss reads and does not write.
Result<LayerCompression> parse_compression(std::string_view text);
/// "oci", "v2s2" or "docker". Pure. Errors: another one; v2s1, which nobody should write any more.
Result<ManifestFormat> parse_manifest_format(std::string_view text);

/// What to change of an image. Nothing by default: it goes out byte for byte as it came in.
struct OutgoingForm {
  std::optional<ManifestFormat> format;
  std::optional<LayerCompression> compression;  ///< of layers that are compressed otherwise or not at all
  std::optional<int> level;                     ///< gzip: 1 to 9, zstd: 1 to 20
  bool only_plain = false;                      ///< `compression` is for layers that are not compressed at all
  bool recompress = false;                      ///< layers of that compression too, for another level
};

struct PushOptions {
  RegistryAccess access = {};
  int retries = 3;
  int retry_delay_ms = 300;  ///< as for a pull
  int connections = 4;
  bool all = false;  ///< a list with all its images; else the one for this host
  OutgoingForm form;
  ProgressCallback progress = {};
};

/// Sends an image or a list, known by `name`, and gives the digest of what was sent. `destination`:
///   [docker://]REGISTRY/NAME[:TAG]      empty: what the image is called
///   oci:DIR[:NAME]  dir:DIR  oci-archive:FILE[:NAME]  docker-archive:FILE[:NAME]  docker-daemon:NAME[:TAG]
/// A registry has the manifest last: nobody sees half an image. A file or a new folder appears when it is whole.
/// Errors: one line that names the image, the destination and what to do.
Result<std::string> push(const ImageStore& store, const std::string& name, const std::string& destination,
                         const PushOptions& options);

enum class ArchiveFormat { docker_archive, oci_archive, oci_dir, docker_dir };
/// "docker-archive", "oci-archive", "oci-dir", "docker-dir". Pure. Errors: another one.
Result<ArchiveFormat> parse_archive_format(std::string_view text);

struct SaveOptions {
  ArchiveFormat format = ArchiveFormat::docker_archive;
  bool several = false;  ///< all names are images; else those after the first are further names for it
  OutgoingForm form;
  ProgressCallback progress = {};
};

/// Writes images to `output`: a file, a folder (for the two formats that are one), or "-" for the standard output.
Result<Ok> save(const ImageStore& store, const std::vector<std::string>& names, const std::string& output,
                const SaveOptions& options);

}  // namespace moss::engine
