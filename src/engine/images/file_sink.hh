// Where the files of an image go: a folder, or the stream of an archive.
//
// What a killed moss leaves is nothing, or all that was there before: files are made without a name and get one when
// they are whole (O_TMPFILE), a new folder is made beside its place and renamed, an archive likewise. Only a pipe
// cannot be taken back.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "outgoing.hh"

namespace moss::engine {

class FileSink {
 public:
  virtual ~FileSink() = default;
  /// Whether a file of this name and size is there already.
  virtual bool has(const std::string& name, int64_t bytes) const = 0;
  /// The text of a file that is there; nothing where none is.
  virtual Result<std::optional<std::string>> read(const std::string& name, size_t max_bytes) = 0;
  virtual Result<Ok> put(const std::string& name, std::string_view text) = 0;
  /// A file of exactly `bytes`, which `fill` gives in pieces.
  using Piece = std::function<Result<Ok>(std::string_view)>;
  using Fill = std::function<Result<Ok>(const Piece& piece)>;
  virtual Result<Ok> put_pieces(const std::string& name, int64_t bytes, const Fill& fill) = 0;
  /// All is there: shows it. Nothing is shown without this.
  virtual Result<Ok> finish() = 0;
};

/// A folder. What is in it stays where `replace` is not set; else the old one goes when the new one is whole.
Result<std::unique_ptr<FileSink>> open_folder_sink(const std::string& path, bool replace);
/// A tar in a file, which takes the place of an earlier one; "-" is the standard output.
/// Errors: the standard output is a terminal.
Result<std::unique_ptr<FileSink>> open_archive_sink(const std::string& path);

/// One blob as file `name`, checked on the way. Errors: it is not what its digest says.
Result<Ok> put_blob(FileSink& sink, const std::string& name, const OutgoingBlob& blob);

}  // namespace moss::engine
