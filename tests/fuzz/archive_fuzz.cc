// The compressions of archives that users give: whatever comes in is read or refused, and never takes much memory.
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.hh"
#include "moss/base/fd.hh"
#include "moss/engine/archive_input.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  constexpr uint64_t kEnough = 8u << 20;
  const Fd file(::memfd_create("archive", MFD_CLOEXEC));
  must(::pwrite(file.get(), data, size, 0) == static_cast<ssize_t>(size), "the input is written");
  Result<std::unique_ptr<engine::ArchiveInput>> input = engine::ArchiveInput::open(file.get());
  must_be_short_and_printable(input);
  if (!input.ok()) return 0;
  for (uint64_t bytes = 0; bytes < kEnough;) {
    const Result<std::string_view> piece = (*input)->next();
    must_be_short_and_printable(piece);
    must((*input)->compressed_bytes() <= size, "no more is read than there is");
    if (!piece.ok() || piece->empty()) break;
    bytes += piece->size();
  }
  return 0;
}
