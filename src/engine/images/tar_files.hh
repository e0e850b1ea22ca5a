// The files of an archive, taken apart into staging.
//
// An archive's names never become paths: each file is kept under a number, and links are followed here, by name, within
// the archive alone.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "ingest.hh"
#include "moss/base/result.hh"

namespace moss::engine {

struct StagedFile {
  std::string name;    ///< in staging
  std::string digest;  ///< sha256
  int64_t bytes = 0;
  std::string start = {};  ///< its first bytes: the file itself is gone once an image has taken it
};

class ArchiveFiles {
 public:
  /// Reads the whole archive (tar, possibly in gzip, zstd, xz or bzip2) from `fd`, which need not be seekable.
  /// Errors: not an archive; damaged; more than `max_bytes` of content, or much more than the compressed bytes can
  /// honestly hold (max_ratio and ratio_free_bytes of `limits`); too many files or names.
  static Result<ArchiveFiles> stage(Ingest& ingest, int fd, int64_t max_bytes, const UnpackOptions& limits);

  /// The file of that name, through links; nothing where there is none.
  const StagedFile* find(const std::string& name) const;

 private:
  std::map<std::string, StagedFile> files_;
  std::map<std::string, std::string> links_;
};

/// A name in an archive without "./", "//" and a leading "/"; nothing where ".." leads out. Pure.
std::optional<std::string> archive_name(std::string_view name);

/// Decompresses `fd` (gzip, zstd, xz, bzip2) into the new staging file `name`.
Result<Copied> decompress_to_staging(Ingest& ingest, int fd, const std::string& name, int64_t max_bytes,
                                     const UnpackOptions& limits);

}  // namespace moss::engine
