// Cgroups as folders.
#include "runtime/cgroup/folders.hh"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moss/sys/file.hh"

namespace moss::runtime {

Result<std::string> clean_cgroup_path(std::string_view path) {
  std::string clean;
  for (const std::string_view name : split(path, '/')) {
    if (name.empty() || name == ".") continue;
    if (name == "..") return Error(0, "cgroup path ", printable(path), ": it may not have \"..\" in it");
    clean += cat('/', name);
  }
  return clean.empty() ? std::string("/") : clean;
}

std::string below(std::string_view folder, std::string_view path) {
  std::string out(folder == "/" ? "" : folder);
  if (path.empty() || path == "/") return out.empty() ? "/" : out;
  if (path.front() != '/') out += '/';
  return out += path;
}

std::string parent_of(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

bool is_within(std::string_view path, std::string_view folder) {
  if (folder == "/") return true;
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

Result<std::string> read_control(const std::string& folder, const std::string& file) {
  std::string text = TRY(sys::read_kernel_file(below(folder, file)));
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Result<std::optional<std::string>> read_control_if_exists(const std::string& folder, const std::string& file) {
  Result<std::string> text = read_control(folder, file);
  if (text.ok()) return std::optional(std::move(text).value());
  if (text.error().code() == ENOENT || text.error().code() == ENODEV) return std::optional<std::string>();
  return std::move(text).error();
}

Result<Ok> write_control(const std::string& folder, const std::string& file, std::string_view value) {
  const std::string path = below(folder, file);
  const Fd fd = TRY(sys::open_at(AT_FDCWD, path, O_WRONLY | O_NOFOLLOW));
  ssize_t put;
  do {
    put = ::write(fd.get(), value.data(), value.size());
  } while (put < 0 && errno == EINTR);
  if (put < 0) return sys_error("write \"", printable(value), "\" to ", path);
  return Ok{};
}

std::optional<uint64_t> keyed_number(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    const auto [name, number] = cut(line, ' ');
    if (name == key && number) return parse_number<uint64_t>(trim(*number));
  }
  return std::nullopt;
}

Result<std::vector<std::string>> child_folders(const std::string& folder) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(folder.c_str());
  if (dir == nullptr) {
    if (errno == ENOENT) return names;
    return sys_error("open ", folder);
  }
  while (const dirent* entry = ::readdir(dir)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(dir);
  return names;
}

bool folder_exists(const std::string& folder) {
  struct stat status;
  return ::stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

}  // namespace moss::runtime
