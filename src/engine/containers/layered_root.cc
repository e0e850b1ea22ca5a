// A path looked up part by part, keeping for each folder on the way one descriptor a layer that has it.
#include "src/engine/containers/layered_root.hh"

#include <fcntl.h>
#include <unistd.h>

#include <deque>

#include "moss/base/fd.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/merged_dir.hh"

namespace moss::engine {

namespace {

constexpr int kMaxSymlinks = 40;

std::deque<std::string> parts_of(std::string_view path) {
  std::deque<std::string> parts;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != ".") parts.emplace_back(part);
  }
  return parts;
}

}  // namespace

Result<std::optional<std::string>> LayeredRoot::read(const std::string& path, size_t max_bytes) const {
  const auto root = [&] {
    MergedDir dir;
    for (const std::string& layer : layers_) {
      Result<Fd> fd = sys::open_at(AT_FDCWD, layer, O_RDONLY | O_DIRECTORY);
      if (fd.ok()) dir.push_back(std::move(fd).value());
    }
    return dir;
  };
  std::vector<MergedDir> way;  // the folders from the root to here, for ".."
  way.push_back(root());
  std::deque<std::string> parts = parts_of(path);
  int symlinks = 0;
  while (!parts.empty()) {
    const std::string part = parts.front();
    parts.pop_front();
    if (part == "..") {
      if (way.size() > 1) way.pop_back();
      continue;
    }
    std::optional<MergedEntry> found = look_up(way.back(), part);
    if (!found) return std::optional<std::string>();
    if (!found->dir.empty()) {
      way.push_back(std::move(found->dir));
      continue;
    }
    if (S_ISLNK(found->status.st_mode)) {
      char target[4096];
      const ssize_t length = ::readlinkat(found->parent.get(), part.c_str(), target, sizeof target);
      if (length < 0) return sys_error("read link ", printable(path), " in the image");
      if (++symlinks > kMaxSymlinks) return Error(ELOOP, "read ", printable(path), " in the image");
      const std::string_view text(target, static_cast<size_t>(length));
      if (text.starts_with('/')) way.resize(1);
      std::deque<std::string> more = parts_of(text);
      parts.insert(parts.begin(), more.begin(), more.end());
      continue;
    }
    if (!parts.empty()) return std::optional<std::string>();  // a file where a folder should be
    Result<std::string> text = sys::read_file_at(found->parent.get(), part, max_bytes);
    if (text.ok()) return std::optional(std::move(text).value());
    if (text.error().code() == EACCES || text.error().code() == ENOENT) return std::optional<std::string>();
    return std::move(text).context("read ", printable(path), " in the image").error();
  }
  return std::optional<std::string>();
}

}  // namespace moss::engine
