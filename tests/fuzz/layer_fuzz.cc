// Any bytes as a layer: unpacked into a folder beside a file that must never change.
//
// The first byte says how: whether to wrap the rest in gzip or zstd first, so that the fuzzer reaches the tar reader.
// Run as an ordinary user: layer_fuzz -max_len=65536 -rss_limit_mb=512 CORPUS
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "../unpack/tar_writer.hh"
#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"

namespace {

using namespace moss;

/// Header checksums made right, or nearly every mutation would end there.
std::string with_right_checksums(std::string tar) {
  for (size_t at = 0; at + 512 <= tar.size(); at += 512) {
    if (tar.compare(at + 257, 5, "ustar") == 0)
      tar.replace(at, 512, test::TarWriter::with_checksum(tar.substr(at, 512)));
  }
  return tar;
}

void require(bool promise) {
  if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string layer(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 4) != 0) layer = with_right_checksums(layer);
  if ((data[0] & 3) == 1) layer = test::gzip(layer);
  if ((data[0] & 3) == 2) layer = test::zstd(layer);

  const Result<sys::TemporaryDir> base = sys::TemporaryDir::create("/tmp", "moss-fuzz-");
  require(base.ok());
  const std::string victim = base->path() + "/victim";
  const std::string destination = base->path() + "/layer";
  require(sys::create_file(victim, "untouched", 0600).ok());
  require(sys::make_dirs(destination).ok());

  const Fd input(::memfd_create("layer", MFD_CLOEXEC));
  require(sys::write_all(input.get(), layer, "layer").ok() && ::lseek(input.get(), 0, SEEK_SET) == 0);
  engine::UnpackOptions options{.single_id = true, .max_unpacked_bytes = 64u << 20, .max_entries = 1000};
  const Result<engine::UnpackedLayer> result = engine::unpack_layer(input.get(), destination, options);
  require(result.ok() || !result.error().message().empty());

  struct stat status{};
  require(::lstat(victim.c_str(), &status) == 0 && status.st_size == 9 && status.st_nlink == 1 &&
          (status.st_mode & 07777) == 0600);
  require(sys::list_dir(base->path()).value().size() == 2);
  return 0;
}
