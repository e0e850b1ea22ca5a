// The cache of compiled filters.
//
// A filter decides what a container may do, so an entry is used only if nobody but this user could have written it:
// the folder and the file belong to the caller and nobody else may write them. An entry carries the whole text it was
// compiled from, which must be the text at hand, so that neither a collision of hashes nor another version of moss or
// libseccomp can pass for it. Whatever does not fit is compiled anew and replaced.
//
//   header | key (the text) | instructions          the checksum covers key and instructions
#include "cache.hh"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "compile.hh"
#include "moss/base/fd.hh"
#include "moss/base/hash.hh"
#include "moss/base/text.hh"
#include "moss/sys/file.hh"
#include "profile.hh"

namespace moss::runtime {
namespace {

constexpr std::array<char, 8> kMagic = {'m', 'o', 's', 's', 'b', 'p', 'f', '1'};
constexpr size_t kMaxEntryBytes = 16u << 20;

struct Header {
  std::array<char, 8> magic;
  uint32_t key_bytes;
  uint32_t instructions;
  uint64_t checksum;
};
static_assert(sizeof(Header) == 24, "no padding: the header is written as it lies in memory");

bool is_ours_alone(const struct stat& st, mode_t forbidden) {
  return st.st_uid == ::geteuid() && (st.st_mode & forbidden) == 0;
}

/// The folder, if it can be trusted.
Fd open_private_dir(const std::string& dir) {
  Fd fd(::open(dir.c_str(), O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_RDONLY));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0 || !is_ours_alone(st, 0022)) return Fd();
  return fd;
}

}  // namespace

std::string cache_key(std::string_view policy_text) {
  return cat("moss ", MOSS_VERSION, " libseccomp ", SCMP_VER_MAJOR, ".", SCMP_VER_MINOR, ".", SCMP_VER_MICRO, " ",
             native_arch(), "\n", policy_text);
}

std::string cache_entry_name(std::string_view key) {
  // Two walks from different starting points: the name only has to be rarely shared, see above.
  return hex_digits(fnv1a(key)) + hex_digits(fnv1a(key, 0x6c62272e07bb0142)) + ".bpf";
}

std::optional<std::vector<sock_filter>> read_cached(const std::string& dir, const std::string& key) {
  const Fd folder = open_private_dir(dir);
  if (!folder) return std::nullopt;
  const std::string name = cache_entry_name(key);
  // O_NONBLOCK: a FIFO in its place must not be waited for.
  const Fd file(::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!file || ::fstat(file.get(), &st) != 0) return std::nullopt;
  if (!S_ISREG(st.st_mode) || !is_ours_alone(st, 0077)) return std::nullopt;
  auto content = sys::read_fd(file.get(), name, kMaxEntryBytes);
  if (!content.ok()) return std::nullopt;

  const std::string_view bytes = *content;
  Header header{};
  if (bytes.size() < sizeof header) return std::nullopt;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::string_view body = bytes.substr(sizeof header);
  if (header.magic != kMagic || header.key_bytes != key.size() || header.instructions > kMaxInstructions ||
      body.size() != key.size() + header.instructions * sizeof(sock_filter) || fnv1a(body) != header.checksum ||
      body.substr(0, key.size()) != key) {
    return std::nullopt;
  }
  std::vector<sock_filter> program(header.instructions);
  if (!program.empty()) std::memcpy(program.data(), body.data() + key.size(), program.size() * sizeof(sock_filter));
  if (!is_well_formed(program)) return std::nullopt;
  return program;
}

void write_cached(const std::string& dir, const std::string& key, std::span<const sock_filter> program) {
  if (!sys::make_dirs(dir, 0700).ok() || !open_private_dir(dir)) return;
  std::string body = key;
  body.append(reinterpret_cast<const char*>(program.data()), program.size_bytes());
  const Header header{kMagic, static_cast<uint32_t>(key.size()), static_cast<uint32_t>(program.size()), fnv1a(body)};
  std::string entry(reinterpret_cast<const char*>(&header), sizeof header);
  entry += body;
  if (entry.size() > kMaxEntryBytes) return;
  (void)sys::replace_file(cat(dir, "/", cache_entry_name(key)), entry, 0600).ok();
}

}  // namespace moss::runtime
