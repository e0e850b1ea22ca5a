// Writing a tar: POSIX ustar headers, and pax records where these are too small.
//
// Of our own, because the bytes have to be the same on every machine: libarchive's writer asks the locale how a name is
// to be written, and adds what it knows of the file.
// See pax(1) "pax Interchange Format"; image-spec layer.md for what layers may hold.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

struct TarEntry {
  std::string path;  ///< relative; a folder's ends with "/"
  char type = '0';   ///< '0' file, '1' hard link, '2' symlink, '3' '4' devices, '5' folder, '6' FIFO
  std::string link;  ///< target of '1' and '2'
  mode_t mode = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t mtime = 0;  ///< seconds since 1970
  int64_t size = 0;   ///< of '0' alone
  uint32_t major = 0;
  uint32_t minor = 0;
  std::map<std::string, std::string> xattrs;
};

class TarWriter {
 public:
  explicit TarWriter(int out) : out_(out) {}
  /// Exactly `size` bytes of data() have to follow a file's header.
  Result<Ok> header(const TarEntry& entry);
  Result<Ok> data(std::string_view piece);
  /// The end of a file's data, filled up with zeros where less came than was announced (it shrank meanwhile).
  Result<Ok> end_of_data();
  /// The end of the archive.
  Result<Ok> finish();

 private:
  Result<Ok> write(std::string_view bytes);
  Result<Ok> flush();
  int out_;
  int64_t left_ = 0;     // of the current file
  int64_t padding_ = 0;  // behind it
  std::string buffer_;
};

}  // namespace moss::engine
